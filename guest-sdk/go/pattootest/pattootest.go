//go:build !wasip1

// Package pattootest is a host for tests: what the runtime would be, under the control of the test, on the machine that runs
// go test.
//
//	func TestTheLevelIsEmitted(t *testing.T) {
//		host := pattootest.New()
//		host.Device("plc1").Holding(0, 17, 42)
//		collection := host.Collect(collect)
//		if collection.Err != nil {
//			t.Fatal(collection.Err)
//		}
//		if value := collection.Value("plc1", "level"); value != pattoo.Integer(42) {
//			t.Error(value)
//		}
//	}
//
// It follows the rules of the contract as far as a collector's logic can depend on them: which datapoints are refused, what
// is denied, what a device answers. It knows none of the limits on time and sizes except the number of datapoints, no
// redirects, and neither methods nor paths of a grant. Only the runtime knows those, and pattoo-wasm run shows them.
//
// Nothing is granted that the test did not set up. Tests may run in parallel; one collection is made at a time.
package pattootest

import (
	"encoding/json"
	"fmt"
	"maps"
	"time"

	"pattoo"
	"pattoo/http"
	"pattoo/internal/host"
	"pattoo/modbus"
)

// Host is what a test sets up: who the collector is, what it was granted, and what devices and sites answer.
//
// Without any of it: program TEST, every 300 seconds, at 2023-11-14T22:13:20Z, no settings, nothing granted.
type Host struct {
	// Program is the name of the program.
	Program string
	// PollingInterval is the time between the starts of two collections, in whole seconds.
	PollingInterval time.Duration
	// CollectionTime is when the collection begins. Its clocks move by a millisecond whenever one of them is read, so that
	// tests give the same on each run.
	CollectionTime time.Time
	// Settings is what the operator set: anything that becomes a JSON object, such as map[string]any{"unit": 7}.
	Settings any
	// State is what earlier collections left behind, and what this one leaves if it ends well.
	State map[string][]byte

	devices []*Device
	sites   []site
}

// New is a host that granted nothing.
func New() *Host {
	return &Host{
		Program:         "TEST",
		PollingInterval: 300 * time.Second,
		CollectionTime:  time.UnixMilli(1_700_000_000_000),
		Settings:        struct{}{},
		State:           map[string][]byte{},
	}
}

// Collection is what came of a collection.
type Collection struct {
	// Err is how it ended.
	Err error
	// Emitted is what was taken, in order. Keys and metadata are as pattoo has them: keys in lower case, and no white space
	// around anything.
	Emitted []Emitted
	// Rejected is what was refused, in order.
	Rejected []Rejected
	// Logs is what was logged, in order.
	Logs []LogLine
	// Requests is what was fetched, or tried to, in order.
	Requests []http.Request
	// Reads is what was read of devices, or tried to, in order.
	Reads []modbus.Span
}

// Emitted is a datapoint that was taken.
type Emitted struct {
	// Target is the name of its target.
	Target pattoo.Target
	pattoo.Datapoint
}

// Rejected is a datapoint that was refused.
type Rejected struct {
	// Target is the name of its target.
	Target pattoo.Target
	// Key is its key, as it was given.
	Key string
	// Reason is what of it is wrong.
	Reason pattoo.ReasonKind
}

// Level is how much a line of the log matters.
type Level string

// The levels.
const (
	Trace Level = "trace"
	Debug Level = "debug"
	Info  Level = "info"
	Warn  Level = "warn"
	Error Level = "error"
)

// LogLine is a line that was logged.
type LogLine struct {
	Level   Level
	Message string
}

// Device grants a device, or finds the one that was granted before. See [Device] for what it can be told to answer.
func (h *Host) Device(name string) *Device {
	for _, device := range h.devices {
		if device.name == name {
			return device
		}
	}
	device := &Device{name: name}
	h.devices = append(h.devices, device)
	return device
}

// Site grants the origin of a URL, and says what is found under that URL. Any other URL of the origin is answered with status 404.
func (h *Host) Site(url string, answer Answer) {
	origin, valid := originOf(url)
	if !valid {
		panic(fmt.Sprintf("%q is not an absolute URL with scheme http or https", url))
	}
	h.sites = append(h.sites, site{url, origin, answer})
}

// Collect makes one collection. The host may be used for another one, which finds the state that this one left.
func (h *Host) Collect(collect func() error) *Collection {
	settings, err := json.Marshal(h.Settings)
	if err != nil {
		panic(fmt.Sprintf("the settings cannot be written as JSON: %v", err))
	}
	run := &run{host: h, settings: string(settings), seen: map[string]bool{}, state: maps.Clone(h.State)}
	if run.state == nil {
		run.state = map[string][]byte{}
	}
	run.Err = host.With(run, collect)
	if run.Err == nil {
		h.State = run.state
	}
	return &run.Collection
}

// Value is the value that was taken of a target under a key, which is in lower case; the first one if there are several, and the
// zero Value, which no collector emits by itself, if there is none.
func (c *Collection) Value(target pattoo.Target, key string) pattoo.Value {
	value, _ := c.Lookup(target, key)
	return value
}

// Lookup is the same, and says whether there is one.
func (c *Collection) Lookup(target pattoo.Target, key string) (pattoo.Value, bool) {
	for _, emitted := range c.Emitted {
		if emitted.Target == target && emitted.Key == key {
			return emitted.Value, true
		}
	}
	return pattoo.Value{}, false
}
