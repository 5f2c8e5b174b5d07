package httpx

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"sync"
)

// Exchange is what one call of a foreign library did on the wire. It is safe for
// concurrent use; its zero value has seen nothing.
type Exchange struct {
	// Safe is as in [Request.Safe], for all of the call's requests.
	Safe bool

	mu       sync.Mutex
	requests int
	response Response
	err      error
}

// Last returns how many requests the library made, and the outcome of the last.
func (x *Exchange) Last() (requests int, r Response, err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.requests, x.response, x.err
}

func (x *Exchange) note(r Response, err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.requests++
	x.response, x.err = r, err
}

// Foreign is an http.Client for one call of a library that makes its own requests.
// Whatever the library does, each request ends with ctx, follows no redirect and
// has a bounded, drained body, and x remembers what came of it.
func (c *Client) Foreign(ctx context.Context, x *Exchange) *http.Client {
	return &http.Client{
		Transport:     &foreign{c: c, ctx: ctx, x: x},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

type foreign struct {
	c   *Client
	ctx context.Context // stands in for the one a library does not pass on
	x   *Exchange
}

// RoundTrip makes one attempt. The caller gets a body that is already read.
func (f *foreign) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := f.ctx.Err(); err != nil {
		if req.Body != nil {
			_ = req.Body.Close() // RoundTrip must; there is nothing to lose
		}
		return nil, err
	}
	r, err := f.c.attempt(req.Clone(f.ctx), f.x.Safe)
	f.x.note(r, err)
	if err != nil {
		return nil, err
	}
	return &http.Response{
		Status: fmt.Sprintf("%d %s", r.Status, http.StatusText(r.Status)), StatusCode: r.Status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: r.Header, Body: io.NopCloser(bytes.NewReader(r.Body)), ContentLength: int64(len(r.Body)), Request: req,
	}, nil
}

// Watch is for a library that takes a context and no http.Client. left reports
// whether a request made with the returned context may have reached the remote side.
func Watch(ctx context.Context) (watched context.Context, left func() bool) {
	var w wire
	return httptrace.WithClientTrace(ctx, w.trace()), w.left
}

// Lost describes a request of such a library that had no answer, as Do does.
func (c *Client) Lost(ctx context.Context, host string, err error, left bool) error {
	return c.failed(ctx, host, "", err, left)
}
