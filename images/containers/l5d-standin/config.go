package main

import (
	"errors"
	"fmt"

	"gopkg.in/yaml.v2"
)

// The keys are those of linkerd's config classes; `dtab` is what 0.9.0 renamed `baseDtab` to. What is not acted upon is
// accepted, so that one file serves both; what linkerd does not know is refused, as linkerd does.

type config struct {
	Admin     adminConfig   `yaml:"admin"`
	Namers    []namerConfig `yaml:"namers"`
	Routers   []router      `yaml:"routers"`
	Tracers   interface{}   `yaml:"tracers"`
	Telemetry interface{}   `yaml:"telemetry"`
	Usage     interface{}   `yaml:"usage"`
}

type adminConfig struct {
	IP              string      `yaml:"ip"`
	Port            int         `yaml:"port"`
	ShutdownGraceMs int         `yaml:"shutdownGraceMs"`
	TLS             interface{} `yaml:"tls"`
}

type namerConfig struct {
	Kind          string      `yaml:"kind"`
	Prefix        string      `yaml:"prefix"`
	Host          string      `yaml:"host"`
	Port          int         `yaml:"port"`
	Experimental  bool        `yaml:"experimental"`
	LabelSelector string      `yaml:"labelSelector"`
	Transformers  interface{} `yaml:"transformers"`
}

type router struct {
	Protocol   string       `yaml:"protocol"`
	Label      string       `yaml:"label"`
	DstPrefix  string       `yaml:"dstPrefix"`
	Identifier interface{}  `yaml:"identifier"`
	BaseDtab   string       `yaml:"baseDtab"`
	Dtab       string       `yaml:"dtab"`
	Servers    []server     `yaml:"servers"`
	Client     clientConfig `yaml:"client"`

	Service            interface{} `yaml:"service"`
	Interpreter        interface{} `yaml:"interpreter"`
	BindingCache       interface{} `yaml:"bindingCache"`
	BindingTimeoutMs   int         `yaml:"bindingTimeoutMs"`
	ResponseClassifier interface{} `yaml:"responseClassifier"`
	TimeoutMs          int         `yaml:"timeoutMs"`
	FailFast           bool        `yaml:"failFast"`
	Originator         bool        `yaml:"originator"`
	Announcers         interface{} `yaml:"announcers"`
	HTTPAccessLog      string      `yaml:"httpAccessLog"`
	MaxChunkKB         int         `yaml:"maxChunkKB"`
	MaxHeadersKB       int         `yaml:"maxHeadersKB"`
	MaxInitialLineKB   int         `yaml:"maxInitialLineKB"`
	MaxRequestKB       int         `yaml:"maxRequestKB"`
	MaxResponseKB      int         `yaml:"maxResponseKB"`
	StreamingEnabled   bool        `yaml:"streamingEnabled"`
	CompressionLevel   int         `yaml:"compressionLevel"`
	Experimental       bool        `yaml:"experimental"`
}

type clientConfig struct {
	LoadBalancer       interface{}    `yaml:"loadBalancer"`
	FailureAccrual     failureAccrual `yaml:"failureAccrual"`
	HostConnectionPool interface{}    `yaml:"hostConnectionPool"`
	Retries            interface{}    `yaml:"retries"`
	TLS                interface{}    `yaml:"tls"`
	Engine             interface{}    `yaml:"engine"`
	Kind               string         `yaml:"kind"`
	RequeueBudget      interface{}    `yaml:"requeueBudget"`
	FailFast           bool           `yaml:"failFast"`
	RequestTimeoutMs   int            `yaml:"requestAttemptTimeoutMs"`
}

type failureAccrual struct {
	Kind        string      `yaml:"kind"`
	Failures    int         `yaml:"failures"`
	Backoff     interface{} `yaml:"backoff"`
	SuccessRate float64     `yaml:"successRate"`
	Requests    int         `yaml:"requests"`
	Window      int         `yaml:"window"`
}

type server struct {
	IP                    string      `yaml:"ip"`
	Port                  int         `yaml:"port"`
	Label                 string      `yaml:"label"`
	MaxConcurrentRequests int         `yaml:"maxConcurrentRequests"`
	Announce              interface{} `yaml:"announce"`
	TLS                   interface{} `yaml:"tls"`
	Engine                interface{} `yaml:"engine"`
	ClearContext          bool        `yaml:"clearContext"`
	TimeoutMs             int         `yaml:"timeoutMs"`
}

var accruals = map[string]bool{
	"": true, "none": true,
	"io.l5d.consecutiveFailures": true, "io.l5d.successRate": true, "io.l5d.successRateWindowed": true,
}

func parseConfig(text []byte) (*config, error) {
	c := &config{Admin: adminConfig{IP: "0.0.0.0", Port: 9990}}
	if err := yaml.UnmarshalStrict(text, c); err != nil {
		return nil, fmt.Errorf("Unrecognized field or wrong type: %v", err)
	}
	if len(c.Routers) == 0 {
		return nil, errors.New("NoRoutersSpecified: At least one router must be specified in the configuration.")
	}
	labels := map[string]bool{}
	for i := range c.Routers {
		if err := c.Routers[i].complete(labels); err != nil {
			return nil, err
		}
	}
	for i := range c.Namers {
		c.Namers[i].complete()
	}
	return c, nil
}

func (r *router) complete(labels map[string]bool) error {
	if r.Protocol != "http" {
		return fmt.Errorf("Could not resolve type id '%s' into a subtype of RouterConfig: this stand-in knows http", r.Protocol)
	}
	if !accruals[r.Client.FailureAccrual.Kind] {
		return fmt.Errorf("Could not resolve type id '%s' into a subtype of FailureAccrualConfig", r.Client.FailureAccrual.Kind)
	}
	if r.Label == "" {
		r.Label = r.Protocol
	}
	if labels[r.Label] {
		return fmt.Errorf("ConflictingLabels: Multiple routers with the label %s", r.Label)
	}
	labels[r.Label] = true
	if len(r.Servers) == 0 {
		return fmt.Errorf("router '%s' has no servers", r.Label)
	}
	for i := range r.Servers {
		if r.Servers[i].IP == "" {
			r.Servers[i].IP = "127.0.0.1"
		}
		if r.Servers[i].Port == 0 {
			r.Servers[i].Port = 4140
		}
	}
	// 0.9.0 renamed the dtab and, with it, the default prefix and identifier.
	if r.Dtab != "" {
		r.BaseDtab = r.Dtab
		if r.DstPrefix == "" {
			r.DstPrefix = "/svc"
		}
		if r.Identifier == nil {
			r.Identifier = map[interface{}]interface{}{"kind": "io.l5d.header.token"}
		}
	}
	if r.DstPrefix == "" {
		r.DstPrefix = "/" + r.Protocol
	}
	return nil
}

func (r *router) byHeader() bool {
	fields, _ := r.Identifier.(map[interface{}]interface{})
	kind, _ := fields["kind"].(string)
	return kind == "io.l5d.header.token"
}

func (n *namerConfig) complete() {
	if n.Prefix == "" {
		n.Prefix = n.Kind
	}
	if n.Prefix[0] == '/' {
		n.Prefix = n.Prefix[1:]
	}
	if n.Host == "" {
		n.Host = "localhost"
	}
	if n.Port == 0 {
		n.Port = 8001
	}
}
