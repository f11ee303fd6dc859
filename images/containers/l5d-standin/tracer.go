package main

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand"
	"net"
	"net/http"
	"strconv"
	"time"
)

// Spans by scribe, as linkerd 0.8.5 sends them: Thrift's binary protocol in frames, each span in base64. What a collector does not take in
// time is dropped: no request waits for it.

const (
	contextHeader = "l5d-ctx-trace" // span, parent, trace, flags: finagle's TraceId.serialize in base64
	sampleHeader  = "l5d-sample"    // the share of requests like this one, instead of the tracer's own

	samplingKnown, sampled = 1 << 1, 1 << 2 // finagle's Flags

	queued    = 1000                   // spans that wait for the collector
	gathered  = 100                    // spans of one message
	gathering = 500 * time.Millisecond // how long a message waits for more
	patience  = 5 * time.Second        // for the collector
)

type tracerConfig struct {
	host string
	port int
	rate float64
}

// zipkinOf finds the tracer in `tracers` (before 0.9.0) or `telemetry`. 0.8.5 refuses a whole number for sampleRate, and so does this.
func zipkinOf(c *config) (*tracerConfig, error) {
	for _, list := range []interface{}{c.Tracers, c.Telemetry} {
		entries, _ := list.([]interface{})
		for _, entry := range entries {
			fields, _ := entry.(map[interface{}]interface{})
			if fields["kind"] != "io.l5d.zipkin" {
				continue
			}
			found := &tracerConfig{host: "localhost", port: 9410, rate: 0.001}
			if host, ok := fields["host"].(string); ok {
				found.host = host
			}
			if port, ok := fields["port"].(int); ok {
				found.port = port
			}
			switch rate := fields["sampleRate"].(type) {
			case nil:
			case float64:
				found.rate = rate
			default:
				return nil, fmt.Errorf("Can not construct instance of double from %v (sampleRate)", rate)
			}
			return found, nil
		}
	}
	return nil, nil
}

type traceID struct{ span, parent, trace, flags uint64 }

func (id traceID) sampled() bool { return id.flags&sampled != 0 }

func (id traceID) String() string {
	raw := new(bytes.Buffer)
	binary.Write(raw, binary.BigEndian, []uint64{id.span, id.parent, id.trace, id.flags})
	return base64.StdEncoding.EncodeToString(raw.Bytes())
}

// child is the span of a request that is sent on: the server of the next hop has the same.
func (id traceID) child() traceID {
	return traceID{rand.Uint64(), id.span, id.trace, id.flags}
}

type span struct {
	id            traceID
	name, service string
	begun         time.Time
	took          time.Duration
	server        bool
	tags          [][2]string
}

// tracer hands spans to the collector; nil traces nothing.
type tracer struct {
	config  tracerConfig
	spans   chan span
	metrics *metrics
}

func startTracer(c *tracerConfig, m *metrics) *tracer {
	if c == nil {
		return nil
	}
	t := &tracer{*c, make(chan span, queued), m}
	go t.run()
	return t
}

// begin gives a request the span that its caller has made for it, or a trace of its own.
func (t *tracer) begin(request *http.Request) traceID {
	if raw, err := base64.StdEncoding.DecodeString(request.Header.Get(contextHeader)); err == nil && len(raw) == 32 {
		word := func(at int) uint64 { return binary.BigEndian.Uint64(raw[at:]) }
		if id := (traceID{word(0), word(8), word(16), word(24)}); id.flags&samplingKnown != 0 {
			return id
		}
	}
	id := traceID{span: rand.Uint64(), flags: samplingKnown}
	id.parent, id.trace = id.span, id.span // finagle's root is its own parent
	rate := 0.0
	if t != nil {
		rate = t.config.rate
	}
	if said, err := strconv.ParseFloat(request.Header.Get(sampleHeader), 64); err == nil {
		rate = said
	}
	if rand.Float64() < rate {
		id.flags |= sampled
	}
	return id
}

func (t *tracer) record(s span) {
	if t == nil || !s.id.sampled() {
		return
	}
	select {
	case t.spans <- s:
	default:
		t.metrics.add(name+"/spans_dropped", 1)
	}
}

func (t *tracer) run() {
	for {
		t.send(t.gather())
	}
}

func (t *tracer) gather() []span {
	found := []span{<-t.spans}
	late := time.After(gathering)
	for len(found) < gathered {
		select {
		case one := <-t.spans:
			found = append(found, one)
		case <-late:
			return found
		}
	}
	return found
}

func (t *tracer) send(spans []span) {
	key := "/spans_sent"
	if err := t.handOver(spans); err != nil {
		log.Printf("zipkin: %v", err)
		key = "/spans_dropped"
	}
	t.metrics.add(name+key, float64(len(spans)))
}

func (t *tracer) handOver(spans []span) error {
	connection, err := net.DialTimeout("tcp", net.JoinHostPort(t.config.host, strconv.Itoa(t.config.port)), patience)
	if err != nil {
		return err
	}
	defer connection.Close()
	connection.SetDeadline(time.Now().Add(patience))
	if _, err := connection.Write(framed(spans)); err != nil {
		return err
	}
	return answered(connection)
}

// answered reads ResultCode OK: reply, `Log`, sequence, field 0 of type i32.
func answered(connection io.Reader) error {
	var size, version, length int32
	for _, value := range []*int32{&size, &version, &length} {
		if err := binary.Read(connection, binary.BigEndian, value); err != nil {
			return err
		}
	}
	if size < 15 || size > 1<<20 || length < 0 || length > size-15 {
		return errors.New("the collector's answer is not scribe's")
	}
	rest := make([]byte, int(size)-8)
	if _, err := io.ReadFull(connection, rest); err != nil {
		return err
	}
	result := rest[int(length)+4:]
	if uint32(version) != 0x80010002 || result[0] != i32 || !bytes.Equal(result[1:3], []byte{0, 0}) || !bytes.Equal(result[3:7], make([]byte, 4)) {
		return errors.New("the collector asks to try later")
	}
	return nil
}

const (
	i32, i64, text, structure, list = 8, 10, 11, 12, 15 // thrift-binary-protocol.md
	i16                             = 6
	stop                            = 0
	stringTag                       = 6 // zipkinCore's AnnotationType.STRING
)

type thrift struct{ bytes.Buffer }

func (w *thrift) field(kind byte, number int16) {
	w.WriteByte(kind)
	binary.Write(w, binary.BigEndian, number)
}

func (w *thrift) string(value string) {
	binary.Write(w, binary.BigEndian, int32(len(value)))
	w.WriteString(value)
}

func (w *thrift) items(count int) {
	w.WriteByte(structure)
	binary.Write(w, binary.BigEndian, int32(count))
}

func (w *thrift) long(number int16, value int64) {
	w.field(i64, number)
	binary.Write(w, binary.BigEndian, value)
}

func (w *thrift) words(number int16, value string) {
	w.field(text, number)
	w.string(value)
}

func (w *thrift) endpoint(number int16, service string) {
	w.field(structure, number)
	w.field(i32, 1)
	binary.Write(w, binary.BigEndian, int32(0x7f000001))
	w.field(i16, 2)
	binary.Write(w, binary.BigEndian, int16(0))
	w.words(3, service)
	w.WriteByte(stop)
}

func (s span) encoded() string {
	w := &thrift{}
	w.long(1, int64(s.id.trace))
	w.words(3, s.name)
	w.long(4, int64(s.id.span))
	if s.id.parent != s.id.span {
		w.long(5, int64(s.id.parent))
	}
	first, last := "cs", "cr"
	if s.server {
		first, last = "sr", "ss"
	}
	w.field(list, 6)
	w.items(2)
	for _, event := range []struct {
		at    time.Time
		value string
	}{{s.begun, first}, {s.begun.Add(s.took), last}} {
		w.long(1, event.at.UnixNano()/1000)
		w.words(2, event.value)
		w.endpoint(3, s.service)
		w.WriteByte(stop)
	}
	w.field(list, 8)
	w.items(len(s.tags))
	for _, tag := range s.tags {
		w.words(1, tag[0])
		w.words(2, tag[1])
		w.field(i32, 3)
		binary.Write(w, binary.BigEndian, int32(stringTag))
		w.endpoint(4, s.service)
		w.WriteByte(stop)
	}
	w.WriteByte(stop)
	return base64.StdEncoding.EncodeToString(w.Bytes())
}

func framed(spans []span) []byte {
	w := &thrift{}
	binary.Write(w, binary.BigEndian, uint32(0x80010001)) // a call, strict
	w.string("Log")
	binary.Write(w, binary.BigEndian, int32(1))
	w.field(list, 1)
	w.items(len(spans))
	for _, one := range spans {
		w.words(1, "zipkin")
		w.words(2, one.encoded())
		w.WriteByte(stop)
	}
	w.WriteByte(stop)
	whole := new(bytes.Buffer)
	binary.Write(whole, binary.BigEndian, int32(w.Len()))
	whole.Write(w.Bytes())
	return whole.Bytes()
}
