// l5d-standin stands in for linkerd 0.8.x in laboratories where linkerd's own image cannot be had. It is NOT linkerd:
// it reads the same linkerd.yaml, listens where linkerd would, and routes HTTP by the dtab's k8s namer through the same
// kubectl-proxy side-car. Every answer it gives says `Server: l5d-standin`.
package main

import (
	"encoding/json"
	"fmt"
	"io/ioutil"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"gopkg.in/yaml.v2"
)

const (
	name = "l5d-standin"
	like = "0.8.5" // whose words and ways these are

	// A JVM opens no port for seconds, and linkerd's admin port answers before its routers are there.
	untilAdmin   = 5 * time.Second
	untilRouters = 3 * time.Second
)

func main() {
	log.SetFlags(log.LstdFlags | log.LUTC)
	log.SetPrefix(name + ": ")
	if len(os.Args) != 2 {
		log.Fatal("usage: linkerd path/to/config")
	}
	text, err := ioutil.ReadFile(os.Args[1])
	if err != nil {
		log.Fatalf("config is not a file: %s", os.Args[1])
	}
	config, err := parseConfig(text)
	if err != nil {
		log.Fatal(err)
	}
	zipkin, err := zipkinOf(config)
	if err != nil {
		log.Fatal(err)
	}
	log.Print("a STAND-IN for linkerd, for laboratories only")
	time.Sleep(untilAdmin)
	metrics := newMetrics()
	namers := startNamers(config)
	tracer := startTracer(zipkin, metrics)
	serve("admin", listen(config.Admin.IP, config.Admin.Port), adminHandler(metrics, asJSON(text)))
	time.Sleep(untilRouters)
	for _, router := range config.Routers {
		handler := newRouter(router, namers, metrics, tracer)
		for _, server := range router.Servers {
			serve("router "+router.Label, listen(server.IP, server.Port), handler.on(server))
		}
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	log.Printf("received %s, shutting down", <-stop)
}

func listen(ip string, port int) net.Listener {
	listener, err := net.Listen("tcp", net.JoinHostPort(ip, strconv.Itoa(port)))
	if err != nil {
		log.Fatalf("Failed to bind to: /%s:%d: %v", ip, port, err)
	}
	return listener
}

func serve(what string, listener net.Listener, handler http.Handler) {
	log.Printf("serving %s on %s", what, listener.Addr())
	go func() { log.Fatal(http.Serve(listener, labelled(handler))) }()
}

func labelled(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Server", name)
		next.ServeHTTP(w, r)
	})
}

func adminHandler(metrics *metrics, config []byte) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/admin/ping", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "pong") })
	mux.HandleFunc("/admin/metrics.json", metrics.writeJSON)
	mux.HandleFunc("/admin/server_info", func(w http.ResponseWriter, r *http.Request) {
		json.NewEncoder(w).Encode(map[string]string{"name": name, "version": like + " (" + name + ")"})
	})
	mux.HandleFunc("/config.json", func(w http.ResponseWriter, r *http.Request) { w.Write(config) })
	return mux
}

// asJSON is how linkerd shows what it has read: with the dtab as it writes one itself.
func asJSON(text []byte) []byte {
	var read interface{}
	if err := yaml.Unmarshal(text, &read); err != nil {
		log.Fatal(err)
	}
	said, err := json.Marshal(jsonable(read))
	if err != nil {
		log.Fatal(err)
	}
	return said
}

// jsonable makes of yaml's maps those that JSON has.
func jsonable(value interface{}) interface{} {
	switch read := value.(type) {
	case map[interface{}]interface{}:
		found := map[string]interface{}{}
		for key, one := range read {
			found[fmt.Sprint(key)] = jsonable(one)
			if table, ok := one.(string); ok && (key == "baseDtab" || key == "dtab") {
				if parsed, err := parseDtab(table); err == nil {
					found[fmt.Sprint(key)] = parsed.String()
				}
			}
		}
		return found
	case []interface{}:
		for i := range read {
			read[i] = jsonable(read[i])
		}
		return read
	}
	return value
}
