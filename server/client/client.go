// Package client speaks the API of sitrep's server, as the command line needs it.
//
// # What it promises
//
//   - The server is reached by https, by a Unix socket, or by http on this machine.
//     Nothing else gets to see the token, and it is in no error.
//   - What the server refuses is a [*Refused] with its problem document; a server that
//     cannot be reached is [ErrUnreachable].
//   - Requests that may be repeated safely are, a few times and for a short while, when
//     the server is busy, restarts or limits the rate. Sending is one of them: the
//     update's key keeps it from being sent twice.
//   - [Client.Events] resumes where it was cut off.
package client

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"sitrep/internal/secret"
	"sitrep/server"
)

// Options is where the server is and who calls.
type Options struct {
	// Server is "https://HOST[:PORT]", "http://" for this machine, or "unix:PATH".
	Server string
	Token  secret.String // empty for a socket
	Roots  []byte        // PEM of the authorities that vouch for the server; nil: the system's
	Agent  string        // introduces the program
}

// Client calls one server. It is safe for concurrent use.
type Client struct {
	base  string // without a slash at its end
	where string // for people
	token secret.String
	agent string
	http  *http.Client
}

// ErrUnreachable says that nobody answers at the server's address.
var ErrUnreachable = errors.New("the server cannot be reached")

// Refused is an answer of the server that is no success.
type Refused struct {
	server.Problem
	RetryAfter time.Duration
}

// Error says what the server says.
func (r *Refused) Error() string {
	if r.Detail != "" {
		return r.Detail
	}
	return r.Title
}

const (
	patience  = time.Minute // for one answer
	connectIn = 10 * time.Second
	tries     = 3
	mostWait  = 15 * time.Second // before another try
	base      = "/api/v1"
	mostBody  = 64 << 20
)

// New checks the options. It does no I/O.
func New(o Options) (*Client, error) {
	t := &http.Transport{
		Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, MaxIdleConnsPerHost: 4,
		TLSHandshakeTimeout: connectIn, ResponseHeaderTimeout: 3 * time.Minute, IdleConnTimeout: time.Minute,
	}
	dial := &net.Dialer{Timeout: connectIn}
	t.DialContext = dial.DialContext
	c := &Client{base: strings.TrimRight(o.Server, "/"), where: o.Server, token: o.Token, agent: o.Agent}
	if path, ok := strings.CutPrefix(o.Server, "unix:"); ok {
		c.base, t.Proxy = "http://sitrep", nil
		t.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) { return dial.DialContext(ctx, "unix", path) }
	} else if err := c.check(o, t); err != nil {
		return nil, err
	}
	c.http = &http.Client{Transport: t, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return c, nil
}

func (c *Client) check(o Options, t *http.Transport) error {
	u, err := url.Parse(o.Server)
	if err != nil || u.Host == "" || u.User != nil || (u.Scheme != "https" && u.Scheme != "http") {
		return errors.New("the server's address must be https://HOST or unix:PATH")
	}
	if u.Scheme == "http" && !thisMachine(u.Hostname()) {
		return fmt.Errorf("http://%s would send the token over the network for everybody to read: use https://", u.Host)
	}
	if o.Roots != nil {
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(o.Roots) {
			return errors.New("the file with the server's authorities holds no certificate (PEM)")
		}
		t.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	}
	return nil
}

func thisMachine(host string) bool {
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}

// call is one request and where its answer goes.
type call struct {
	method, path string
	query        url.Values
	kind         string // of the body
	body         []byte
	header       http.Header
	out          any // nil: the answer has nothing in it
	once         bool
}

// do makes a call, again where that is safe and may help.
func (c *Client) do(ctx context.Context, q call) error {
	for try := 1; ; try++ {
		wait, err := c.try(ctx, q)
		if err == nil || wait <= 0 || q.once || try == tries {
			return err
		}
		t := time.NewTimer(min(wait, mostWait))
		select {
		case <-ctx.Done():
			t.Stop()
			return err
		case <-t.C:
		}
	}
}

// try makes a call once. A wait above zero says that another try may help after it.
func (c *Client) try(ctx context.Context, q call) (wait time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	resp, err := c.send(ctx, q)
	if err != nil {
		return time.Second, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, mostBody))
	if err != nil {
		return time.Second, c.unreachable(err)
	}
	if resp.StatusCode >= 300 {
		r := refused(resp, body)
		if resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode == http.StatusServiceUnavailable {
			wait = max(r.RetryAfter, time.Second)
		}
		return wait, r
	}
	if q.out == nil {
		return 0, nil
	}
	if err := json.Unmarshal(body, q.out); err != nil {
		return 0, fmt.Errorf("%s does not answer as a sitrep server does: is it the right address? (%w)", c.where, err)
	}
	return 0, nil
}

func (c *Client) send(ctx context.Context, q call) (*http.Response, error) {
	at := c.base + base + q.path
	if len(q.query) > 0 {
		at += "?" + q.query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, q.method, at, bytes.NewReader(q.body))
	if err != nil {
		return nil, fmt.Errorf("call the server: %w", err)
	}
	for k, v := range q.header {
		req.Header[k] = v
	}
	if q.kind != "" {
		req.Header.Set("Content-Type", q.kind)
	}
	if !c.token.Empty() {
		req.Header.Set("Authorization", "Bearer "+c.token.Reveal())
	}
	req.Header.Set("User-Agent", c.agent)
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.unreachable(err)
	}
	return resp, nil
}

// unreachable says why, without the address of the request: it may name keys.
func (c *Client) unreachable(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	return fmt.Errorf("%w: %s: %w", ErrUnreachable, c.where, err)
}

// refused reads what an answer says. Not everything on the way speaks problem
// documents.
func refused(resp *http.Response, body []byte) *Refused {
	r := &Refused{}
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")) // one that cannot be read is none we know
	if kind != "application/problem+json" || json.Unmarshal(body, &r.Problem) != nil {
		r.Problem = server.Problem{Detail: "the server answers " + resp.Status + " and not as a sitrep server does: is it the right address?"}
	}
	r.Status = resp.StatusCode
	if n, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && n > 0 {
		r.RetryAfter = time.Duration(n) * time.Second
	}
	return r
}
