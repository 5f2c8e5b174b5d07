package notify

import (
	"context"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	lib "github.com/nikoksr/notify"

	"sitrep/channels"
	"sitrep/channels/internal/httpx"
	"sitrep/internal/secret"
)

const (
	// callTime bounds a call whatever the caller's context says.
	callTime = 60 * time.Second

	// grace is what a service gets to return after its context is done.
	grace = 500 * time.Millisecond

	// abandonedMost is how many calls may be out that did not return in time.
	abandonedMost = 8
)

// call is one delivery through one service value.
type call struct {
	channels.Envelope
	client *http.Client // for this call only: ends with ctx, see httpx.Client.Foreign
	wire   *httpx.Exchange
	left   func() bool // for a service that hides its client: a request may have left
}

// protocol is how one service is spoken to.
type protocol struct {
	name    string // of the service, for people
	host    string // for errors where the service hides its client
	spec    channels.Spec
	part    int  // the most runes of text of one message; a longer text becomes several
	safe    bool // a repeated request shows once, so a lost answer is no ambiguity
	secrets []secret.String

	// open makes a service value with one receiver. It does no I/O.
	open func(c *call) (lib.Notifier, error)

	// verdict says what an answer means in this service. It sees successes too: some
	// are not. Optional.
	verdict func(r httpx.Response) meaning

	// receipt reads what a success left. Optional.
	receipt func(c *call, r httpx.Response) channels.Receipt

	// judge replaces reading the wire for a service that hides its client.
	judge func(ctx context.Context, b *bridge, c *call, err error) error
}

// bridge is a channel over one of the library's services.
type bridge struct {
	protocol
	web       *httpx.Client
	grace     time.Duration
	memory    memory
	abandoned atomic.Int64
}

var _ channels.Closer = (*bridge)(nil)

func newBridge(p protocol, env channels.Env) *bridge {
	p.spec.Format = channels.FormatChat
	if p.spec.Ambiguous == "" {
		p.spec.Ambiguous = channels.ResendAmbiguous // a second copy in a chat does less harm than none
	}
	if p.spec.Workers == 0 {
		p.spec.Workers = 2 // these services count requests per second
	}
	if env.Now == nil {
		env.Now = time.Now
	}
	p.spec.Limits.TextRunes = p.part * partsMost
	return &bridge{protocol: p, grace: grace, memory: memory{now: env.Now}, web: httpx.New(httpx.Options{Base: env.HTTP, Agent: env.Agent, Now: env.Now, Secrets: p.secrets})}
}

// Spec says what the service takes.
func (b *bridge) Spec() channels.Spec { return b.spec }

// Close ends idle connections.
func (b *bridge) Close() error {
	b.web.Close()
	return nil
}

// Send makes one call of the service for each part of the text; most have one. If
// it stops between two, the next attempt goes on from there.
func (b *bridge) Send(ctx context.Context, e channels.Envelope) (channels.Receipt, error) {
	parts := split(e.Message.Text, b.part)
	done := b.memory.recall(e.Key)
	for i := done.parts; i < len(parts); i++ {
		p := part(e, parts[i], i, len(parts))
		if p.Thread == "" {
			p.Thread = done.receipt.Thread
		}
		r, err := b.send(ctx, p)
		if err != nil && i > 0 {
			b.memory.keep(e.Key, done)
			f, wait := channels.FaultOf(err)
			return channels.Receipt{}, &channels.Error{Fault: f, RetryAfter: wait, Err: fmt.Errorf("%d of %d messages of the update are there: %w", i, len(parts), err)}
		}
		if err != nil {
			return channels.Receipt{}, err
		}
		done.add(r)
	}
	b.memory.forget(e.Key)
	return done.receipt, nil
}

// send makes one call.
func (b *bridge) send(ctx context.Context, e channels.Envelope) (channels.Receipt, error) {
	switch n := b.abandoned.Load(); {
	case e.Message.Format != channels.FormatChat:
		return channels.Receipt{}, channels.Errorf(channels.Rejected, "the message is made for %q, not for %s", e.Message.Format, b.name)
	case e.To.Address == "": // the library would report success
		return channels.Receipt{}, channels.Errorf(channels.NoRecipient, "%s: the address is empty", b.name)
	case n >= abandonedMost:
		return channels.Receipt{}, channels.Errorf(channels.Unavailable, "%s: %d earlier calls have not come back yet; no more are made until they do", b.name, n)
	case ctx.Err() != nil:
		return channels.Receipt{}, channels.Errorf(channels.Unavailable, "%s: the attempt was called off before it began: %w", b.name, ctx.Err())
	}
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	watched, left := httpx.Watch(ctx)
	c := &call{Envelope: e, wire: &httpx.Exchange{Safe: b.safe}, left: left}
	c.client = b.web.Foreign(ctx, c.wire)
	n, err := b.open(c)
	if err != nil {
		return channels.Receipt{}, err
	}
	if b.judge == nil {
		watched = ctx // a service with our client has a trace of its own
	}
	return b.finish(ctx, c, b.run(watched, c, n))
}

// finish turns what the library said into a receipt or a fault.
func (b *bridge) finish(ctx context.Context, c *call, err error) (channels.Receipt, error) {
	if own, ok := err.(*channels.Error); ok { //nolint:errorlint // only run's own, never one from inside the library
		return channels.Receipt{}, own
	}
	if b.judge != nil {
		return channels.Receipt{}, b.judge(ctx, b, c, err)
	}
	r, err := b.read(c, err)
	if err != nil || b.receipt == nil {
		return channels.Receipt{}, err
	}
	return b.receipt(c, r), nil
}

// run makes the call in a goroutine of its own, so that neither a panic nor a call
// that ignores its context gets any further.
func (b *bridge) run(ctx context.Context, c *call, n lib.Notifier) error {
	done := make(chan error, 1)
	var given atomic.Bool // up on by us, or come back: whoever is first
	go func() {
		var err error
		defer func() {
			if p := recover(); p != nil {
				err = b.panicked(c, p)
			}
			if !given.CompareAndSwap(false, true) {
				b.abandoned.Add(-1)
			}
			done <- err
		}()
		err = n.Send(ctx, c.Message.Subject, c.Message.Text)
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	patience := time.NewTimer(b.grace)
	defer patience.Stop()
	select {
	case err := <-done:
		return err
	case <-patience.C:
	}
	b.abandoned.Add(1)
	if !given.CompareAndSwap(false, true) {
		b.abandoned.Add(-1)
		return <-done
	}
	return channels.Errorf(channels.Ambiguous, "%s: the call did not come back in time and was given up; it may still arrive: %w", b.name, ctx.Err())
}

// panicked: with a request made, it may have arrived; without one, another attempt
// is the safer mistake.
func (b *bridge) panicked(c *call, p any) error {
	f := channels.Unavailable
	if n, _, _ := c.wire.Last(); n > 0 || c.left() {
		f = channels.Ambiguous
	}
	return channels.Errorf(f, "%s: the library failed with a panic: %s; if this happens again, please report it", b.name, b.web.Redact(fmt.Sprint(p)))
}

// read decides by the wire, the last exchange of the call.
func (b *bridge) read(c *call, err error) (httpx.Response, error) {
	n, r, lost := c.wire.Last()
	switch {
	case lost != nil:
		return r, channels.Errorf(faultOf(lost), "%s: %w", b.name, lost)
	case n == 0 && err == nil:
		return r, channels.Errorf(channels.Rejected, "%s: the library reports success, but nothing was sent", b.name)
	case n == 0:
		return r, channels.Errorf(channels.Rejected, "%s: the library refused the message: %s", b.name, b.web.Redact(err.Error()))
	}
	var m meaning
	if b.verdict != nil {
		m = b.verdict(r)
	}
	switch {
	case m.fault == delivered, r.OK() && m.fault == "" && err == nil:
		return r, nil
	case r.OK() && m.fault == "": // the service is content, the library is not
		return r, channels.Errorf(channels.Ambiguous, "%s: the answer is not understood: %s", b.name, b.web.Redact(err.Error()))
	}
	return r, b.refused(r, m)
}

// refused is an answer that is no success.
func (b *bridge) refused(r httpx.Response, m meaning) error {
	failed := r.Fail(m.fault)
	if m.why != "" {
		m.why = b.web.Redact(m.why) + ": "
	}
	return &channels.Error{
		Fault: failed.Fault, RetryAfter: max(failed.RetryAfter, min(m.wait, httpx.MaxWait)),
		Err: fmt.Errorf("%s: %s%w", b.name, m.why, failed),
	}
}

// meaning is what an answer means. Its zero value: what its status usually means.
type meaning struct {
	fault channels.Fault
	why   string        // in words for the operator, and what to do
	wait  time.Duration // asked for in the body
}

// delivered is a verdict: what looks like a failure means that it has arrived.
const delivered channels.Fault = "delivered"

func faultOf(err error) channels.Fault {
	f, _ := channels.FaultOf(err)
	return f
}
