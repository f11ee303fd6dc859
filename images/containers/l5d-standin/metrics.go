package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// metrics counts as linkerd's /admin/metrics.json names things: flat keys, joined by slashes.
type metrics struct {
	mutex  sync.Mutex
	values map[string]float64
}

func newMetrics() *metrics {
	return &metrics{values: map[string]float64{name + "/is_a_stand_in": 1}}
}

func (m *metrics) count(scope string, status int, took time.Duration) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	m.values[scope+"/requests"]++
	if status < 500 {
		m.values[scope+"/success"]++
	} else {
		m.values[scope+"/failures"]++
	}
	m.values[fmt.Sprintf("%s/status/%d", scope, status)]++
	m.values[scope+"/request_latency_ms.count"]++
	m.values[scope+"/request_latency_ms.sum"] += float64(took) / float64(time.Millisecond)
}

func (m *metrics) writeJSON(w http.ResponseWriter, r *http.Request) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(m.values)
}
