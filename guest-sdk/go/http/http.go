// Package http fetches from web origins that were granted.
//
// An origin is scheme, host and port, as in RFC 6454. One that was not granted is [ErrDenied] before its name is looked up.
// Redirects are followed, each hop checked against the grant. Secrets that the operator attaches (an API token, say) are
// added by the runtime and never shown to the collector.
package http

import (
	"bytes"
	"encoding/json"
	"strings"
	"time"

	"pattoo/internal/host"
)

// Get fetches a page with GET. Every status is a response, 404 too: see [Response.OK]. The error is an [*Error].
func Get(url string) (*Response, error) { return Request{URL: url}.Send() }

// Request is what to fetch.
type Request struct {
	// Method is in capitals; an empty one is GET. Only GET and HEAD are granted unless the operator set it otherwise.
	Method string
	// URL is absolute, with scheme http or https. Example: https://site-a.example.org/v1/quotes?symbol=ABC.
	URL string
	// Header is sent as it is. Those that belong to the connection (host, content-length and their kind) and those that the
	// operator attached are [ErrInvalid].
	Header Header
	// Body is what to send, at most 1 MiB unless set otherwise; nil is none.
	Body []byte
	// Timeout is for the whole fetch, redirects included, in steps of a millisecond; 0 is the runtime's own (10 seconds
	// unless set), which holds when it is shorter.
	Timeout time.Duration
}

// Field is one field of a header section.
type Field struct {
	// Name is in any case of letters; responses have it in lower case.
	Name string
	// Value is text.
	Value string
}

// Header is a header section, in its order.
type Header []Field

// Get is the value of a field, in any case of letters; the first one if there are several, and empty if there is none.
func (h Header) Get(name string) string {
	for _, field := range h {
		if strings.EqualFold(field.Name, name) {
			return field.Value
		}
	}
	return ""
}

// Send fetches it. The error is an [*Error].
func (r Request) Send() (*Response, error) { return r.settle(host.Fetch(r.lowered())) }

// Result is what came of one request among many.
type Result struct {
	// Response is what came back, or nil.
	Response *Response
	// Err is an [*Error], or nil.
	Err error
}

// FetchAll fetches many at once. There is one result for each request, in the same order; a dead site costs its own results only.
func FetchAll(requests ...Request) []Result {
	lowered := make([]host.Request, len(requests))
	for i, request := range requests {
		lowered[i] = request.lowered()
	}
	results := make([]Result, len(requests))
	for i, response := range host.FetchAll(lowered) {
		results[i].Response, results[i].Err = requests[i].settle(response)
	}
	return results
}

func (r Request) method() string {
	if r.Method == "" {
		return "GET"
	}
	return r.Method
}

func (r Request) lowered() host.Request {
	lowered := host.Request{Method: r.method(), URL: r.URL, HasBody: r.Body != nil, Body: r.Body}
	if r.Timeout > 0 {
		lowered.Timeout = uint32(min(max(r.Timeout.Milliseconds(), 1), 1<<32-1))
	}
	for _, field := range r.Header {
		lowered.Headers = append(lowered.Headers, host.Header(field))
	}
	return lowered
}

func (r Request) settle(response host.Response) (*Response, error) {
	if response.Failure != nil {
		return nil, r.failed(response.Failure)
	}
	header := make(Header, len(response.Headers))
	for i, field := range response.Headers {
		header[i] = Field(field)
	}
	return &Response{int(response.Status), header, response.Body, r}, nil
}

// Response is what came back.
type Response struct {
	// Status is the status code, such as 200.
	Status int
	// Header is in the order in which it came, names in lower case.
	Header Header
	// Body is the whole body, already decompressed unless the request set accept-encoding itself.
	Body []byte
	// So that an error about the response says what it is about.
	request Request
}

// OK is an error unless the status is one of success: 200 to 299.
func (r *Response) OK() error {
	if r.Status >= 200 && r.Status < 300 {
		return nil
	}
	return &Error{r.request.method(), r.request.URL, StatusError(r.Status), StatusError(r.Status).Error()}
}

// Text is the body as text. What is not UTF-8 in it becomes U+FFFD.
func (r *Response) Text() string { return strings.ToValidUTF8(string(r.Body), "\uFFFD") }

// JSON reads the body as JSON into what into points to, as json.Unmarshal does. A byte order mark before it is skipped.
func (r *Response) JSON(into any) error {
	if err := json.Unmarshal(bytes.TrimPrefix(r.Body, []byte("\uFEFF")), into); err != nil {
		text := strings.TrimPrefix(err.Error(), "json: ")
		return &Error{r.request.method(), r.request.URL, err, "the response is not the JSON that was expected: " + text}
	}
	return nil
}
