// echo answers every request with the pod and node it came to, and what the mesh wrote on it. meshctl verifies the mesh with it.
package main

import (
	"encoding/json"
	"log"
	"net/http"
	"os"
	"strings"
)

func answer(w http.ResponseWriter, r *http.Request) {
	seen := map[string]string{}
	for name, values := range r.Header {
		lower := strings.ToLower(name)
		if strings.HasPrefix(lower, "l5d-") || lower == "via" {
			seen[lower] = strings.Join(values, ", ")
		}
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(map[string]interface{}{
		"app":  "echo",
		"pod":  os.Getenv("POD_NAME"),
		"node": os.Getenv("NODE_NAME"),
		"host": r.Host,
		"path": r.URL.Path,
		"mesh": seen,
	})
}

func main() {
	http.HandleFunc("/healthz", func(w http.ResponseWriter, r *http.Request) { w.Write([]byte("ok\n")) })
	http.HandleFunc("/", answer)
	log.Fatal(http.ListenAndServe(":8080", nil))
}
