package main

import (
	"encoding/json"
	"fmt"
	"log"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// The k8s namer: `/#/<prefix>/<namespace>/<port name>/<service>` by the Endpoints of a namespace, listed and watched
// through kubectl proxy, the two requests that linkerd 0.8.5 makes as well.

type namer struct {
	base  string
	mutex sync.Mutex
	known map[string]*namespace
}

type namespace struct {
	mutex    sync.RWMutex
	services map[string]map[string][]string // service, port name: addresses
	listed   bool
	problem  string
}

type endpointsList struct {
	Metadata struct {
		ResourceVersion string `json:"resourceVersion"`
	} `json:"metadata"`
	Items []endpoints `json:"items"`
}

type endpoints struct {
	Metadata struct {
		Name            string `json:"name"`
		ResourceVersion string `json:"resourceVersion"`
	} `json:"metadata"`
	Subsets []struct {
		Addresses []struct {
			IP string `json:"ip"`
		} `json:"addresses"`
		Ports []struct {
			Name     string `json:"name"`
			Port     int    `json:"port"`
			Protocol string `json:"protocol"`
		} `json:"ports"`
	} `json:"subsets"`
}

type watchEvent struct {
	Type   string    `json:"type"`
	Object endpoints `json:"object"`
}

func startNamers(c *config) map[string]*namer {
	found := map[string]*namer{}
	for _, n := range c.Namers {
		if n.Kind == "io.l5d.k8s" {
			found[n.Prefix] = &namer{base: "http://" + net.JoinHostPort(n.Host, strconv.Itoa(n.Port)), known: map[string]*namespace{}}
		} else {
			log.Printf("namer %s is not known to this stand-in and resolves nothing", n.Kind)
		}
	}
	return found
}

func (n *namer) namespace(name string) *namespace {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	ns, ok := n.known[name]
	if !ok {
		ns = &namespace{services: map[string]map[string][]string{}}
		n.known[name] = ns
		go n.follow(name, ns)
	}
	return ns
}

// lookup gives the addresses of a service's named port, and why there are none. It waits for the first listing.
func (n *namer) lookup(namespaceName, port, service string) ([]string, string) {
	ns := n.namespace(namespaceName)
	deadline := time.Now().Add(10 * time.Second)
	for {
		ns.mutex.RLock()
		addresses, listed, problem := ns.services[service][port], ns.listed, ns.problem
		ns.mutex.RUnlock()
		if listed || time.Now().After(deadline) {
			return addresses, problem
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (n *namer) follow(name string, ns *namespace) {
	for {
		if err := n.listAndWatch(name, ns); err != nil {
			log.Printf("k8s failed to list endpoints of %s: %v", name, err)
			ns.mutex.Lock()
			ns.problem = err.Error()
			ns.mutex.Unlock()
		}
		time.Sleep(time.Second)
	}
}

func (n *namer) listAndWatch(name string, ns *namespace) error {
	url := n.base + "/api/v1/namespaces/" + name + "/endpoints"
	var list endpointsList
	response, err := get(url)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if err := json.NewDecoder(response.Body).Decode(&list); err != nil {
		return err
	}
	ns.replace(list.Items)
	stream, err := get(url + "?watch=true&resourceVersion=" + list.Metadata.ResourceVersion)
	if err != nil {
		return err
	}
	defer stream.Body.Close()
	decoder := json.NewDecoder(stream.Body)
	for {
		var event watchEvent
		if err := decoder.Decode(&event); err != nil {
			return nil // the server ends a watch from time to time: list again
		}
		if event.Type == "ERROR" {
			return nil
		}
		ns.change(event)
	}
}

func get(url string) (*http.Response, error) {
	response, err := http.Get(url)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		response.Body.Close()
		return nil, fmt.Errorf("%s: %s", url, response.Status)
	}
	return response, nil
}

func (ns *namespace) replace(items []endpoints) {
	services := map[string]map[string][]string{}
	for _, item := range items {
		services[item.Metadata.Name] = item.ports()
	}
	ns.mutex.Lock()
	defer ns.mutex.Unlock()
	ns.services, ns.listed, ns.problem = services, true, ""
}

func (ns *namespace) change(event watchEvent) {
	ns.mutex.Lock()
	defer ns.mutex.Unlock()
	if event.Type == "DELETED" {
		delete(ns.services, event.Object.Metadata.Name)
		return
	}
	ns.services[event.Object.Metadata.Name] = event.Object.ports()
}

func (e endpoints) ports() map[string][]string {
	found := map[string][]string{}
	for _, subset := range e.Subsets {
		for _, port := range subset.Ports {
			if port.Name == "" || (port.Protocol != "" && !strings.EqualFold(port.Protocol, "TCP")) {
				continue
			}
			for _, address := range subset.Addresses {
				found[port.Name] = append(found[port.Name], net.JoinHostPort(address.IP, strconv.Itoa(port.Port)))
			}
		}
	}
	return found
}
