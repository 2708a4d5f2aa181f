//go:build !wasip1

package pattootest

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"pattoo/http"
	"pattoo/internal/host"
)

// Answer is what is found under a URL.
type Answer struct {
	response host.Response
}

// JSON is status 200 with a value written as JSON.
func JSON(value any) Answer {
	body, err := json.Marshal(value)
	if err != nil {
		panic(fmt.Sprintf("the answer cannot be written as JSON: %v", err))
	}
	header := host.Header{Name: "content-type", Value: "application/json"}
	return Answer{host.Response{Status: 200, Headers: []host.Header{header}, Body: body}}
}

// Status is any status, with this body.
func Status(status int, body string) Answer {
	return Answer{host.Response{Status: uint16(status), Body: []byte(body)}}
}

// Header is the same answer with one more header.
func (a Answer) Header(name, value string) Answer {
	headers := a.response.Headers
	header := host.Header{Name: strings.ToLower(name), Value: value}
	a.response.Headers = append(headers[:len(headers):len(headers)], header)
	return a
}

// Fail is no response, for one of the reasons of the package http, such as [http.ErrTimeout].
func Fail(reason error) Answer {
	for failure, sentinel := range siteFailures {
		if errors.Is(reason, sentinel) {
			return Answer{host.Response{Failure: &host.Failure{Case: failure, Text: "the test wants it so"}}}
		}
	}
	panic(fmt.Sprintf("%v is not an error of the package http", reason))
}

var siteFailures = map[uint8]error{
	host.HTTPDenied:     http.ErrDenied,
	host.HTTPInvalid:    http.ErrInvalid,
	host.HTTPTimeout:    http.ErrTimeout,
	host.HTTPConnection: http.ErrConnection,
	host.HTTPTLS:        http.ErrTLS,
	host.HTTPTooLarge:   http.ErrTooLarge,
	host.HTTPRedirects:  http.ErrRedirects,
	host.HTTPQuota:      http.ErrQuota,
}

// site is a URL that a test made known, and with it its origin.
type site struct {
	url    string
	origin string
	answer Answer
}

// originOf is scheme, host and port of a URL, if it has all of them.
func originOf(text string) (origin string, valid bool) {
	parsed, err := url.Parse(text)
	if err != nil || parsed.Hostname() == "" || parsed.User != nil {
		return "", false
	}
	port := parsed.Port()
	switch {
	case parsed.Scheme != "http" && parsed.Scheme != "https":
		return "", false
	case port == "" && parsed.Scheme == "http":
		port = "80"
	case port == "":
		port = "443"
	}
	return parsed.Scheme + "://" + strings.ToLower(parsed.Hostname()) + ":" + port, true
}

// fetch is one fetch, as the runtime and the site would answer it.
func fetch(sites []site, url string) host.Response {
	origin, valid := originOf(url)
	if !valid {
		text := "the URL is not absolute, or not of scheme http or https"
		return host.Response{Failure: &host.Failure{Case: host.HTTPInvalid, Text: text}}
	}
	granted := false
	for _, site := range sites {
		if site.url == url {
			return site.answer.response
		}
		granted = granted || site.origin == origin
	}
	if !granted {
		text := "the origin " + origin + " is not granted"
		return host.Response{Failure: &host.Failure{Case: host.HTTPDenied, Text: text}}
	}
	return host.Response{Status: 404, Body: []byte("not found")}
}
