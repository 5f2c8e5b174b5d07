// Package httpx makes one HTTP attempt and says honestly what became of it. Every
// adapter that speaks HTTP goes through it, so that they agree on this:
//
//   - One call is one request. Nothing is retried here, and no redirect is
//     followed: it would carry credentials, and a POST, to somewhere else.
//   - The context bounds everything: dialling, writing, waiting, reading the answer.
//   - The answer's body is read up to a limit and to its end, so that connections
//     are used again; a hostile server cannot fill the memory.
//   - A failure is an *channels.Error. If the request may have been processed
//     (it was written, and no complete answer came) the fault is Ambiguous, unless
//     the request is [Request.Safe]; if it never left, Unavailable.
//   - No error contains a URL's path or query, or one of [Options.Secrets]: webhook
//     URLs are credentials. Host names do appear, the operator needs them.
//
// A status code is not a failure here, for its meaning depends on the service:
// [Client.Do] returns the [Response], and [Response.Fail] classifies it as most
// services mean it.
package httpx

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"sitrep/channels"
	"sitrep/internal/secret"
)

// Options make a [Client]. The zero value works.
type Options struct {
	// Base gives the transport (proxies, certificates, tests). Nil, or a nil
	// Transport in it, means the standard one. Nothing else of it is used.
	Base *http.Client

	// Conns is the most connections to one host, in use and idle alike, so that
	// every worker's connection is kept. Zero means 64.
	Conns int

	Agent   string           // User-Agent, where the request has none
	Now     func() time.Time // nil means time.Now; only to read Retry-After dates
	MaxBody int64            // of an answer, in bytes; zero means 1 MiB

	// Secrets never appear in an error, even if the remote side repeats them.
	Secrets []secret.String
}

// Client makes attempts. It is safe for concurrent use and holds no state but
// idle connections.
type Client struct {
	transport http.RoundTripper
	agent     string
	now       func() time.Time
	maxBody   int64
	hide      *strings.Replacer
}

// New makes a Client.
func New(o Options) *Client {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Client{
		transport: transport(o.Base, cmp.Or(o.Conns, 64)),
		agent:     o.Agent,
		now:       o.Now,
		maxBody:   cmp.Or(o.MaxBody, 1<<20),
		hide:      hider(o.Secrets),
	}
}

// transport is a copy of base's with our limits; one of another make is used as
// it is.
func transport(base *http.Client, conns int) http.RoundTripper {
	rt := http.DefaultTransport
	if base != nil && base.Transport != nil {
		rt = base.Transport
	}
	t, ok := rt.(*http.Transport)
	if !ok {
		return rt
	}
	t = t.Clone()
	t.MaxConnsPerHost, t.MaxIdleConnsPerHost = conns, conns
	t.MaxIdleConns = max(t.MaxIdleConns, conns)
	t.MaxResponseHeaderBytes = 64 << 10
	t.DisableCompression = true // a small body may not become a big one
	return t
}

// Close ends idle connections.
func (c *Client) Close() {
	if t, ok := c.transport.(interface{ CloseIdleConnections() }); ok {
		t.CloseIdleConnections()
	}
}

// Request is one request.
type Request struct {
	Method string // empty means POST
	URL    string // may be a secret; is never shown
	Header http.Header
	Body   []byte

	// Safe: doing it twice does no more than doing it once, so a lost answer is
	// Unavailable and not Ambiguous.
	Safe bool
}

// Response is a complete answer.
type Response struct {
	Status int
	Header http.Header
	Body   []byte // at most Options.MaxBody bytes

	// RetryAfter is how long the remote side asked us to wait, or zero.
	RetryAfter time.Duration

	// Broken: the answer ended before its end, or was longer than the limit.
	Broken bool

	safe bool
	host string
	hide *strings.Replacer
}

// OK reports a complete answer with a 2xx status.
func (r Response) OK() bool { return r.Status >= 200 && r.Status < 300 && !r.Broken }

// Text is the answer's body as one short line for an error message, without
// control characters and secrets.
func (r Response) Text() string { return tidy(r.hide, string(r.Body)) }

// JSON makes a POST of v. It panics if v cannot be encoded, which is a mistake in
// the program.
func JSON(url string, v any) Request {
	body, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("httpx: encode %T: %v", v, err))
	}
	return Encoded(url, body)
}

// Encoded makes a POST of JSON.
func Encoded(url string, body []byte) Request {
	return Request{URL: url, Body: body, Header: http.Header{"Content-Type": {"application/json"}}}
}

// Do makes one attempt. Its error is an *channels.Error, and means that there is
// no complete status line and header; any status is a Response.
func (c *Client) Do(ctx context.Context, r Request) (Response, error) {
	req, err := http.NewRequestWithContext(ctx, cmp.Or(r.Method, http.MethodPost), r.URL, bytes.NewReader(r.Body))
	if err != nil { // its text holds the URL
		return Response{}, channels.Errorf(channels.Rejected, "the configured URL cannot be used: it is not a valid URL")
	}
	for name, values := range r.Header {
		req.Header[name] = values
	}
	return c.attempt(req, r.Safe)
}

// attempt is the one place where a request leaves.
func (c *Client) attempt(req *http.Request, safe bool) (Response, error) {
	if req.Header.Get("User-Agent") == "" && c.agent != "" {
		req.Header.Set("User-Agent", c.agent)
	}
	if req.URL.Host == "" || (req.URL.Scheme != "http" && req.URL.Scheme != "https") {
		return Response{}, channels.Errorf(channels.Rejected, "the configured URL cannot be used: it must begin with https:// and name a host")
	}
	var wire wire
	traced := req.WithContext(httptrace.WithClientTrace(req.Context(), wire.trace()))
	got, err := c.transport.RoundTrip(traced)
	if err != nil {
		return Response{}, c.failed(req.Context(), req.URL.Host, req.URL.Path, err, wire.left() && !safe)
	}
	defer got.Body.Close()
	body, err := io.ReadAll(io.LimitReader(got.Body, c.maxBody+1))
	r := Response{
		Status: got.StatusCode, Header: got.Header, Body: body,
		RetryAfter: RetryAfter(got.Header, c.now()), Broken: err != nil || int64(len(body)) > c.maxBody,
		safe: safe, host: req.URL.Host, hide: c.hide,
	}
	if int64(len(body)) > c.maxBody {
		r.Body = body[:c.maxBody]
	}
	return r, nil
}

// failed describes an attempt without an answer. maybe: it may have been processed.
func (c *Client) failed(ctx context.Context, host, path string, err error, maybe bool) error {
	fault := channels.Unavailable
	if maybe {
		fault = channels.Ambiguous
	}
	if cause := ctx.Err(); cause != nil {
		err = cause
	}
	var inner *url.Error // a foreign transport may wrap; its text has the URL
	if errors.As(err, &inner) {
		err = inner.Err
	}
	text := tidy(c.hide, explain(err))
	if len(path) > 1 {
		text = strings.ReplaceAll(text, path, "/…")
	}
	if maybe {
		text += "; the request had been sent, so it may have been processed"
	}
	return &channels.Error{Fault: fault, Err: &lost{text: host + ": " + text, err: sentinel(err)}}
}

// lost is an error whose text is clean and whose chain holds only what callers ask
// for: the original could print a URL.
type lost struct {
	text string
	err  error
}

func (l *lost) Error() string { return l.text }
func (l *lost) Unwrap() error { return l.err }

func sentinel(err error) error {
	for _, s := range []error{context.Canceled, context.DeadlineExceeded, io.EOF, io.ErrUnexpectedEOF} {
		if errors.Is(err, s) {
			return s
		}
	}
	return nil
}

// wire knows whether a request has left. The trace's calls come from the
// transport's goroutines, possibly after RoundTrip has returned.
type wire struct{ headers, whole, broken atomic.Bool }

func (w *wire) trace() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		WroteHeaders: func() { w.headers.Store(true) },
		WroteRequest: func(i httptrace.WroteRequestInfo) {
			w.broken.Store(i.Err != nil)
			w.whole.Store(i.Err == nil)
		},
	}
}

// left reports that the remote side may have the whole request: not if writing it
// failed half-way, but, to be careful, if writing had begun and nobody knows.
func (w *wire) left() bool { return w.whole.Load() || (w.headers.Load() && !w.broken.Load()) }
