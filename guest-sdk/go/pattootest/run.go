//go:build !wasip1

package pattootest

import (
	"maps"
	"slices"
	"time"

	"pattoo"
	"pattoo/http"
	"pattoo/internal/host"
	"pattoo/modbus"
)

const (
	// The runtime's default: all keys and values of the state together.
	maxState = 1 << 20
	// The longest key of it.
	maxKey = 255
)

// run is one collection under way.
type run struct {
	Collection
	host     *Host
	settings string
	// elapsed is in milliseconds.
	elapsed uint64
	// seen holds what tells the series of this collection apart.
	seen  map[string]bool
	state map[string][]byte
}

func (r *run) Program() string         { return r.host.Program }
func (r *run) PollingInterval() uint32 { return uint32(r.host.PollingInterval / time.Second) }
func (r *run) CollectionTime() uint64  { return uint64(r.host.CollectionTime.UnixMilli()) }
func (r *run) Settings() string        { return r.settings }

func (r *run) Now() uint64 {
	r.elapsed++
	return r.CollectionTime() + r.elapsed
}

func (r *run) Monotonic() uint64 {
	r.elapsed++
	return r.elapsed * uint64(time.Millisecond)
}

func (r *run) Log(level uint8, message string) {
	levels := [...]Level{Trace, Debug, Info, Warn, Error}
	r.Logs = append(r.Logs, LogLine{levels[level], message})
}

func (r *run) Devices() []host.Device {
	var devices []host.Device
	for _, device := range r.host.devices {
		devices = append(devices, device.granted())
	}
	return devices
}

func (r *run) Read(span host.Span) host.Words {
	asked := modbus.Span{Device: span.Device, Table: modbus.Table(span.Table), Address: span.Address, Count: span.Count}
	if span.UnitGiven {
		asked.Unit = &span.Unit
	}
	r.Reads = append(r.Reads, asked)
	return read(r.host.devices, span)
}

func (r *run) Fetch(request host.Request) host.Response {
	asked := http.Request{Method: request.Method, URL: request.URL, Timeout: time.Duration(request.Timeout) * time.Millisecond}
	if request.HasBody {
		asked.Body = slices.Clone(request.Body)
	}
	for _, header := range request.Headers {
		asked.Header = append(asked.Header, http.Field(header))
	}
	r.Requests = append(r.Requests, asked)
	return fetch(r.host.sites, request.URL)
}

func (r *run) StateGet(key string) ([]byte, bool) {
	value, found := r.state[key]
	return slices.Clone(value), found
}

func (r *run) StateSet(key string, value []byte) *host.Failure {
	if len(key) < 1 || len(key) > maxKey {
		return &host.Failure{Case: host.StateInvalid, Text: "a key is 1 to 255 bytes"}
	}
	bytes := len(key) + len(value)
	for other, value := range r.state {
		if other != key {
			bytes += len(other) + len(value)
		}
	}
	if bytes > maxState {
		return &host.Failure{Case: host.StateQuota, Text: "all keys and values together would be more than 1 MiB"}
	}
	r.state[key] = slices.Clone(value)
	return nil
}

func (r *run) StateRemove(key string) { delete(r.state, key) }
func (r *run) StateKeys() []string    { return slices.Sorted(maps.Keys(r.state)) }

func (r *run) Emit(target string, points []host.Datapoint) ([]host.Rejection, *host.Failure) {
	if failure := checkTarget(target); failure != nil {
		return nil, failure
	}
	if len(r.Emitted)+len(points) > maxDatapoints {
		return nil, &host.Failure{Case: host.EmitQuota, Text: "a collection emits at most 10000 datapoints"}
	}
	var rejections []host.Rejection
	for i, point := range points {
		taken, reason := r.take(target, point)
		if reason != nil {
			rejections = append(rejections, host.Rejection{Index: uint32(i), Reason: *reason})
			r.Rejected = append(r.Rejected, Rejected{pattoo.Target(target), point.Key, pattoo.ReasonKind(reason.Case)})
			continue
		}
		r.Emitted = append(r.Emitted, Emitted{pattoo.Target(target), taken})
	}
	return rejections, nil
}
