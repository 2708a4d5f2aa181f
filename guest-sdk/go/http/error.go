package http

import (
	"errors"
	"fmt"

	"pattoo/internal/host"
)

// Why there is no response, for errors.Is.
var (
	// ErrDenied: the origin, method or path is not granted, or the name leads to an address that a grant of this kind does not
	// reach.
	ErrDenied = errors.New("denied")
	// ErrInvalid: the request makes no sense: not an absolute URL, a header that is not allowed, a body that is too large.
	ErrInvalid = errors.New("invalid")
	// ErrTimeout: the request timed out.
	ErrTimeout = errors.New("the request timed out")
	// ErrConnection: the name was not found, the connection was refused or broken, or what came back is not HTTP.
	ErrConnection = errors.New("connection")
	// ErrTLS: the certificate is not trusted, has expired or belongs to another host.
	ErrTLS = errors.New("tls")
	// ErrTooLarge: the response is larger than it may be.
	ErrTooLarge = errors.New("the response is too large")
	// ErrRedirects: there were more redirects than there may be.
	ErrRedirects = errors.New("too many redirects")
	// ErrQuota: the collection has fetched all that its operator allows.
	ErrQuota = errors.New("quota")
)

// StatusError is the status that [Response.OK] found, for errors.As.
type StatusError int

func (s StatusError) Error() string { return fmt.Sprintf("the site answered %d", int(s)) }

// Error says what was fetched and why it failed, or what is wrong with what came back.
type Error struct {
	// Method is that of the request.
	Method string
	// URL is that of the request.
	URL  string
	kind error
	text string
}

func (e *Error) Error() string { return e.Method + " " + e.URL + ": " + e.text }

// Unwrap is what errors.Is and errors.As look at: one of the errors of this package, a [StatusError], what was wrong with the JSON, or
// nil for what a later version of the contract has to say.
func (e *Error) Unwrap() error { return e.kind }

func (r Request) failed(failure *host.Failure) error {
	failed := func(kind error, text string) error { return &Error{r.method(), r.URL, kind, text} }
	switch failure.Case {
	case host.HTTPDenied:
		return failed(ErrDenied, "denied: "+failure.Text)
	case host.HTTPInvalid:
		return failed(ErrInvalid, failure.Text)
	case host.HTTPTimeout:
		return failed(ErrTimeout, ErrTimeout.Error())
	case host.HTTPConnection:
		return failed(ErrConnection, failure.Text)
	case host.HTTPTLS:
		return failed(ErrTLS, failure.Text)
	case host.HTTPTooLarge:
		return failed(ErrTooLarge, fmt.Sprintf("the response is larger than %d bytes", failure.Number))
	case host.HTTPRedirects:
		return failed(ErrRedirects, fmt.Sprintf("there were more than %d redirects", failure.Number))
	case host.HTTPQuota:
		return failed(ErrQuota, failure.Text)
	default:
		return failed(nil, failure.Text)
	}
}
