package main

import (
	"fmt"
	"strings"
)

// A dtab of prefixes (with `*`), alternatives (`|`) and `!`, `~`, `$`. Weighted unions are linkerd's, not this stand-in's.

type dentry struct {
	prefix       []string
	alternatives []string
}

type dtab []dentry

func parseDtab(text string) (dtab, error) {
	var found dtab
	for _, part := range strings.Split(withoutComments(text), ";") {
		part = strings.TrimSpace(part)
		if part == "" {
			continue
		}
		sides := strings.SplitN(part, "=>", 2)
		if len(sides) != 2 || !strings.HasPrefix(strings.TrimSpace(sides[0]), "/") {
			return nil, fmt.Errorf("'=>' expected in dtab entry %q", part)
		}
		entry := dentry{prefix: segments(strings.TrimSpace(sides[0]))}
		for _, alternative := range strings.Split(sides[1], "|") {
			entry.alternatives = append(entry.alternatives, strings.TrimSpace(alternative))
		}
		found = append(found, entry)
	}
	return found, nil
}

func withoutComments(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		trimmed := strings.TrimSpace(line)
		if strings.HasPrefix(trimmed, "#") {
			lines[i] = ""
		} else if at := strings.Index(line, " # "); at >= 0 {
			lines[i] = line[:at]
		}
	}
	return strings.Join(lines, "\n")
}

func segments(path string) []string {
	path = strings.Trim(path, "/")
	if path == "" {
		return nil
	}
	return strings.Split(path, "/")
}

func (e dentry) matches(path []string) bool {
	if len(e.prefix) > len(path) {
		return false
	}
	for i, element := range e.prefix {
		if element != "*" && element != path[i] {
			return false
		}
	}
	return true
}

func (d dtab) String() string {
	var entries []string
	for _, entry := range d {
		entries = append(entries, "/"+strings.Join(entry.prefix, "/")+"=>"+strings.Join(entry.alternatives, " | "))
	}
	return strings.Join(entries, ";")
}

// leaves gives the `/#/…` paths that a path delegates to, in the order they are to be tried: the last matching entry
// wins, earlier ones are fallbacks.
func (d dtab) leaves(path []string, depth int) []string {
	if len(path) > 0 && path[0] == "#" {
		return []string{"/" + strings.Join(path, "/")}
	}
	if depth > 100 {
		return nil
	}
	var found []string
	for i := len(d) - 1; i >= 0; i-- {
		if !d[i].matches(path) {
			continue
		}
		rest := path[len(d[i].prefix):]
		for _, alternative := range d[i].alternatives {
			switch alternative {
			case "!", "$":
				return found
			case "~":
			default:
				next := append(append([]string{}, segments(alternative)...), rest...)
				found = append(found, d.leaves(next, depth+1)...)
			}
		}
	}
	return found
}
