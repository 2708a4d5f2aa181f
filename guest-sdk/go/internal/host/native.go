//go:build !wasip1

package host

import "sync"

// Host is what a test puts in place of the runtime.
type Host interface {
	Program() string
	PollingInterval() uint32
	CollectionTime() uint64
	Settings() string
	Now() uint64
	Monotonic() uint64
	Log(level uint8, message string)
	Emit(target string, points []Datapoint) ([]Rejection, *Failure)
	Devices() []Device
	Read(span Span) Words
	Fetch(request Request) Response
	StateGet(key string) ([]byte, bool)
	StateSet(key string, value []byte) *Failure
	StateRemove(key string)
	StateKeys() []string
}

var (
	// One collection at a time, so that tests may run in parallel.
	collecting sync.Mutex
	current    Host
)

// With makes a collection with a stand-in.
func With(host Host, collect func() error) error {
	collecting.Lock()
	defer collecting.Unlock()
	current = host
	defer func() { current = nil }()
	return collect()
}

func host() Host {
	if current == nil {
		panic("there is no host: outside of WebAssembly a collector runs in pattootest.Host.Collect")
	}
	return current
}

func Program() string                 { return host().Program() }
func PollingInterval() uint32         { return host().PollingInterval() }
func CollectionTime() uint64          { return host().CollectionTime() }
func Settings() string                { return host().Settings() }
func Now() uint64                     { return host().Now() }
func Monotonic() uint64               { return host().Monotonic() }
func Log(level uint8, message string) { host().Log(level, message) }

func Emit(target string, points []Datapoint) ([]Rejection, *Failure) {
	return host().Emit(target, points)
}

func Devices() []Device { return host().Devices() }

func ReadCoils(span Span) Words            { return host().Read(span) }
func ReadDiscreteInputs(span Span) Words   { return host().Read(span) }
func ReadHoldingRegisters(span Span) Words { return host().Read(span) }
func ReadInputRegisters(span Span) Words   { return host().Read(span) }

func ReadMany(spans []Span) []Words {
	words := make([]Words, len(spans))
	for i, span := range spans {
		words[i] = host().Read(span)
	}
	return words
}

func Fetch(request Request) Response { return host().Fetch(request) }

func FetchAll(requests []Request) []Response {
	responses := make([]Response, len(requests))
	for i, request := range requests {
		responses[i] = host().Fetch(request)
	}
	return responses
}

func StateGet(key string) ([]byte, bool)         { return host().StateGet(key) }
func StateSet(key string, value []byte) *Failure { return host().StateSet(key, value) }
func StateRemove(key string)                     { host().StateRemove(key) }
func StateKeys() []string                        { return host().StateKeys() }
