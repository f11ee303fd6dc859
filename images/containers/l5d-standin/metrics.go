package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"runtime"
	"sort"
	"sync"
	"time"
)

// metrics counts as linkerd's /admin/metrics.json names things: flat keys, joined by slashes. Percentiles are of the last whole minute,
// as finagle's histograms have them; gauges are asked for when somebody looks.
type metrics struct {
	mutex     sync.Mutex
	begun     time.Time
	minute    int64
	values    map[string]float64
	latencies map[string][]float64
	last      map[string][]float64
	gauges    []func(map[string]float64)
}

func newMetrics() *metrics {
	return &metrics{
		begun: time.Now(), values: map[string]float64{name + "/is_a_stand_in": 1},
		latencies: map[string][]float64{}, last: map[string][]float64{},
	}
}

func (m *metrics) count(scope string, status int, took time.Duration) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	m.roll(time.Now())
	m.values[scope+"/requests"]++
	if status < 500 {
		m.values[scope+"/success"]++
	} else {
		m.values[scope+"/failures"]++
	}
	m.values[fmt.Sprintf("%s/status/%d", scope, status)]++
	m.latencies[scope] = append(m.latencies[scope], float64(took)/float64(time.Millisecond))
}

// roll lets a minute be the last one.
func (m *metrics) roll(now time.Time) {
	minute := now.Unix() / 60
	if minute == m.minute {
		return
	}
	m.last = map[string][]float64{}
	if minute == m.minute+1 {
		m.last = m.latencies
	}
	m.latencies, m.minute = map[string][]float64{}, minute
}

func (m *metrics) add(key string, by float64) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	m.values[key] += by
}

func (m *metrics) writeJSON(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(m.now())
}

func (m *metrics) now() map[string]float64 {
	found := map[string]float64{}
	for _, gauge := range m.gauges {
		gauge(found)
	}
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	found["jvm/uptime"] = float64(time.Since(m.begun)) / float64(time.Millisecond)
	found["jvm/heap/used"], found["jvm/heap/max"] = float64(memory.HeapAlloc), float64(memory.HeapSys)
	found["jvm/gc/msec"], found["jvm/gc/cycles"] = float64(memory.PauseTotalNs)/1e6, float64(memory.NumGC)
	m.mutex.Lock()
	defer m.mutex.Unlock()
	m.roll(time.Now())
	for key, value := range m.values {
		found[key] = value
	}
	for scope := range m.latencies {
		found[scope+"/request_latency_ms.count"] = 0 // all that an idle window shows
	}
	for scope, took := range m.last {
		sort.Float64s(took)
		found[scope+"/request_latency_ms.count"] = float64(len(took))
		for _, share := range []int{50, 90, 95, 99} {
			found[fmt.Sprintf("%s/request_latency_ms.p%d", scope, share)] = took[len(took)*share/100]
		}
	}
	return found
}
