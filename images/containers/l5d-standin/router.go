package main

import (
	"fmt"
	"io"
	"log"
	"math"
	"math/rand"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

const (
	decay       = 10 * time.Second // finagle's PeakEwma default
	// finagle requeues what never left it (service/Retries.scala): up to a fifth of a budget that is 100 where nothing was
	// retried lately (10 a second, kept for 10 s), and acquires a session up to 25 times before that.
	attempts    = 20
	ejectionMin = 5 * time.Second // finagle's failure accrual backs off from 5 s
)

type routing struct {
	config  router
	dtab    dtab
	namers  map[string]*namer
	metrics *metrics
	tracer  *tracer
	client  *http.Client
	mutex   sync.Mutex
	peers   map[string]*peer
}

// peer is one endpoint's latency average, load and failures, and the name that it was chosen for.
type peer struct {
	leaf     string
	ejected  bool
	ewma     float64
	stamp    time.Time
	pending  int
	failures int
	deadTill time.Time
}

func newRouter(config router, namers map[string]*namer, metrics *metrics, tracer *tracer) *routing {
	table, err := parseDtab(config.BaseDtab)
	if err != nil {
		log.Fatal(err)
	}
	transport := &http.Transport{MaxIdleConnsPerHost: 100, IdleConnTimeout: time.Minute}
	r := &routing{
		config: config, dtab: table, namers: namers, metrics: metrics, tracer: tracer, peers: map[string]*peer{},
		client: &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	}
	metrics.gauges = append(metrics.gauges, r.balancers)
	return r
}

// balancers says of each bound name how many endpoints there are, and how many of them failure accrual has left.
func (r *routing) balancers(found map[string]float64) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	for _, p := range r.peers {
		scope := "rt/" + r.config.Label + "/dst/id" + p.leaf + "/loadbalancer/"
		found[scope+"size"]++
		if time.Now().After(p.deadTill) {
			found[scope+"available"]++
		} else {
			found[scope+"available"] += 0
		}
	}
}

func (r *routing) on(s server) http.Handler {
	scope := fmt.Sprintf("rt/%s/srv/%s/%d", r.config.Label, s.IP, s.Port)
	return http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		started, id := time.Now(), r.tracer.begin(request)
		status := r.serve(w, request, id)
		took := time.Since(started)
		r.metrics.count(scope, status, took)
		r.tracer.record(span{id, r.identify(request), r.config.Label, started, took, true, tagged(request, status)})
	})
}

// tagged is what linkerd's spans say of a request, its whole URI too.
func tagged(request *http.Request, status int) [][2]string {
	return [][2]string{
		{"http.req.method", request.Method}, {"http.req.host", request.Host}, {"http.uri", request.URL.RequestURI()},
		{"http.rsp.status", fmt.Sprint(status)},
	}
}

func (r *routing) serve(w http.ResponseWriter, request *http.Request, id traceID) int {
	if request.Host == "" {
		return fail(w, http.StatusBadRequest, "Unknown destination: Host header is absent")
	}
	path := r.identify(request)
	leaf, addresses := r.resolve(path)
	if len(addresses) == 0 {
		return fail(w, http.StatusBadGateway, fmt.Sprintf("No hosts are available for %s, Dtab.base=[%s], Dtab.local=[]", path, r.dtab))
	}
	started := time.Now()
	status := r.forward(w, request, path, leaf, addresses, id)
	r.metrics.count("rt/"+r.config.Label+"/dst/path"+path, status, time.Since(started))
	return status
}

func (r *routing) identify(request *http.Request) string {
	if r.config.byHeader() {
		return r.config.DstPrefix + "/" + request.Host
	}
	return fmt.Sprintf("%s/1.1/%s/%s", r.config.DstPrefix, request.Method, strings.ToLower(request.Host))
}

func (r *routing) resolve(path string) (string, []string) {
	for _, leaf := range r.dtab.leaves(segments(path), 0) {
		parts := segments(leaf) // # prefix namespace port service
		if len(parts) < 5 {
			continue
		}
		if n, ok := r.namers[parts[1]]; ok {
			if addresses, _ := n.lookup(parts[2], parts[3], parts[4]); len(addresses) > 0 {
				return leaf, addresses
			}
		}
	}
	return "", nil
}

func (r *routing) forward(w http.ResponseWriter, request *http.Request, path, leaf string, addresses []string, id traceID) int {
	var last error
	for attempt := 0; attempt < attempts; attempt++ {
		address, chosen := r.choose(leaf, addresses)
		sent, next := time.Now(), id.child()
		response, err := r.send(request, address, path, leaf, next)
		r.ended(chosen, err == nil && response.StatusCode < 500)
		status := 0
		if err == nil {
			status = response.StatusCode
		}
		tags := append(tagged(request, status), [2]string{"dst.path", path}, [2]string{"dst.id", leaf})
		r.tracer.record(span{next, path, leaf, sent, time.Since(sent), false, tags})
		if err != nil {
			last = err
			if request.ContentLength != 0 {
				break // a body that was begun cannot be sent again
			}
			continue
		}
		defer response.Body.Close()
		for key, values := range response.Header {
			w.Header()[key] = values
		}
		w.Header().Add("Via", "1.1 "+name)
		w.WriteHeader(response.StatusCode)
		io.Copy(w, response.Body)
		r.metrics.count("rt/"+r.config.Label+"/dst/id"+leaf, response.StatusCode, chosen.latency())
		return response.StatusCode
	}
	return fail(w, http.StatusBadGateway, fmt.Sprintf("%v", last))
}

func (r *routing) send(request *http.Request, address, path, leaf string, id traceID) (*http.Response, error) {
	out, err := http.NewRequest(request.Method, "http://"+address+request.URL.RequestURI(), request.Body)
	if err != nil {
		return nil, err
	}
	out = out.WithContext(request.Context())
	for key, values := range request.Header {
		if key != "Connection" && key != "Proxy-Connection" && key != "Keep-Alive" && key != "Upgrade" {
			out.Header[key] = values
		}
	}
	out.ContentLength = request.ContentLength
	out.Host = request.Host
	out.Header.Add("Via", "1.1 "+name)
	out.Header.Set("l5d-dst-logical", path)
	out.Header.Set("l5d-dst-concrete", leaf)
	out.Header.Set(contextHeader, id.String())
	return r.client.Do(out)
}

// choose takes the better of two endpoints by peak EWMA of latency times load, leaving out those that failed too often.
func (r *routing) choose(leaf string, addresses []string) (string, *peer) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	alive := make([]string, 0, len(addresses))
	for _, address := range addresses {
		if r.peers[address] == nil {
			r.peers[address] = &peer{leaf: leaf, stamp: time.Now()}
		}
		if time.Now().After(r.peers[address].deadTill) {
			alive = append(alive, address)
		}
	}
	if len(alive) == 0 {
		alive = addresses
	}
	one, other := alive[rand.Intn(len(alive))], alive[rand.Intn(len(alive))]
	if r.peers[other].cost() < r.peers[one].cost() {
		one = other
	}
	chosen := r.peers[one]
	chosen.pending++
	chosen.stamp = time.Now()
	return one, chosen
}

func (p *peer) cost() float64 { return p.ewma * float64(p.pending+1) }

func (p *peer) latency() time.Duration { return time.Duration(p.ewma) }

func (r *routing) ended(p *peer, ok bool) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	took := float64(time.Since(p.stamp))
	if took > p.ewma {
		p.ewma = took
	} else {
		weight := math.Exp(-took / float64(decay))
		p.ewma = p.ewma*weight + took*(1-weight)
	}
	p.pending--
	scope := "rt/" + r.config.Label + "/dst/id" + p.leaf + "/failure_accrual/"
	if ok {
		p.failures = 0
		if p.ejected {
			p.ejected = false
			r.metrics.add(scope+"revivals", 1)
		}
		return
	}
	p.failures++
	if limit := r.config.Client.FailureAccrual.Failures; limit > 0 && p.failures >= limit {
		p.deadTill = time.Now().Add(ejectionMin)
		p.failures = 0
		if !p.ejected {
			p.ejected = true
			r.metrics.add(scope+"removals", 1)
		}
	}
}

func fail(w http.ResponseWriter, status int, text string) int {
	w.Header().Set("l5d-err", url.QueryEscape(text)) // 0.8.5 writes it as a URL has it
	w.Header().Set("Content-Type", "text/plain")
	w.WriteHeader(status)
	io.WriteString(w, text)
	return status
}
