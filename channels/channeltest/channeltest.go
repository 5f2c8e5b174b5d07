// Package channeltest is the suite every channel passes. An adapter's own test
// translates each [Scenario] into its protocol, on loopback, with the real client
// code; the suite asserts what the contract in package channels promises:
//
//   - one call makes one attempt, never two;
//   - each way of failing has its fault, and the fault is in the error's chain;
//   - Send ends soon after its context does, whatever the remote side does;
//   - no error, however it is printed or unwrapped, contains the credential;
//   - sends may run at the same time (run with -race);
//   - what Find and Edit say agrees with what Send did.
//
// The suite needs no network beyond loopback and is never skipped. A scenario that
// a protocol cannot express is left out by name and with the reason, which is
// logged.
package channeltest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"sitrep/channels"
)

// Scenario is how the remote side behaves.
type Scenario string

// The scenarios.
const (
	Accept           Scenario = "accept"            // takes everything
	Busy             Scenario = "busy"              // asks the whole channel to slow down
	Down             Scenario = "down"              // cannot work now
	BadPayload       Scenario = "bad payload"       // refuses this message for good
	UnknownRecipient Scenario = "unknown recipient" // knows no such address
	BadCredentials   Scenario = "bad credentials"   // refuses our token or password
	Silent           Scenario = "silent"            // accepts the connection, then says nothing
	Cut              Scenario = "cut"               // takes the message and hangs up before saying so
)

// Suite is an adapter under test.
type Suite struct {
	// Open starts a remote side that behaves as s says and a channel that talks to
	// it. It registers its own clean-up.
	Open func(t *testing.T, s Scenario) Rig

	// NoPause: the protocol has no way to say how long to wait when busy.
	NoPause bool

	// Skip names scenarios the protocol cannot express, each with the reason.
	Skip map[Scenario]string

	// Faults overrides the fault expected in a scenario where the protocol cannot
	// tell it from another one; the adapter's test says why beside it.
	Faults map[Scenario]channels.Fault
}

// Rig is one remote side and the channel that talks to it.
type Rig struct {
	Channel channels.Channel
	To      channels.Recipient
	Message channels.Message // one the remote side would accept
	Secret  string           // the credential: must never appear in an error
	// Attempts is how many times the remote side was asked to take a message
	// (not connections, not look-ups).
	Attempts func() int
}

func (r Rig) envelope(key string) channels.Envelope {
	return channels.Envelope{Key: key, To: r.To, Message: r.Message}
}

// Key makes a delivery key of the form the dispatcher makes.
func Key(n int) string { return fmt.Sprintf("%026d", n) }

// patience is how long after its context's end a Send may take.
const patience = 2 * time.Second

// Run runs the suite.
func Run(t *testing.T, s Suite) {
	t.Helper()
	faults := map[Scenario]channels.Fault{
		Busy: channels.RateLimited, Down: channels.Unavailable, BadPayload: channels.Rejected,
		UnknownRecipient: channels.NoRecipient, BadCredentials: channels.Unauthorized, Cut: channels.Ambiguous,
	}
	for scenario, f := range s.Faults {
		faults[scenario] = f
	}
	s.on(t, Accept, s.accept)
	for _, scenario := range []Scenario{Busy, Down, BadPayload, UnknownRecipient, BadCredentials, Cut} {
		s.on(t, scenario, func(t *testing.T, r Rig) { s.fails(t, r, scenario, faults[scenario]) })
	}
	s.on(t, Silent, silent)
}

// on runs one scenario as a subtest, or says why it is left out.
func (s Suite) on(t *testing.T, scenario Scenario, test func(*testing.T, Rig)) {
	t.Helper()
	if why, ok := s.Skip[scenario]; ok {
		t.Logf("%s: left out: %s", scenario, why)
		return
	}
	t.Run(strings.ReplaceAll(string(scenario), " ", "_"), func(t *testing.T) { test(t, s.Open(t, scenario)) })
}

func (s Suite) accept(t *testing.T, r Rig) {
	if r.Channel.Spec().Format != r.Message.Format {
		t.Fatalf("the rig's message is %q, the channel takes %q", r.Message.Format, r.Channel.Spec().Format)
	}
	if p := r.Channel.Spec().Ambiguous; p != channels.ResendAmbiguous && p != channels.KeepUnknown {
		t.Errorf("Spec().Ambiguous = %q: every kind needs a default", p)
	}
	t.Run("once", func(t *testing.T) { once(t, r) })
	t.Run("cancelled", func(t *testing.T) { cancelled(t, s.Open(t, Accept)) })
	t.Run("together", func(t *testing.T) { together(t, s.Open(t, Accept)) })
	t.Run("find", func(t *testing.T) { find(t, s.Open(t, Accept)) })
	t.Run("edit", func(t *testing.T) { edit(t, s.Open(t, Accept)) })
	t.Run("close", func(t *testing.T) { closing(t, s.Open(t, Accept)) })
}

func once(t *testing.T, r Rig) {
	receipt, err := r.Channel.Send(t.Context(), r.envelope(Key(1)))
	if err != nil {
		t.Fatalf("Send: %v", err)
	}
	if n := r.Attempts(); n != 1 {
		t.Errorf("the remote side saw %d attempts, want 1", n)
	}
	if r.Secret != "" && strings.Contains(fmt.Sprintf("%+v", receipt), r.Secret) {
		t.Errorf("the receipt holds the credential: %+v", receipt)
	}
	if len(receipt.Thread) > 8<<10 {
		t.Errorf("the thread is %d bytes, at most 8 KiB are kept", len(receipt.Thread))
	}
	follow := r.envelope(Key(2))
	follow.Thread = receipt.Thread
	if _, err := r.Channel.Send(t.Context(), follow); err != nil {
		t.Errorf("Send of the next update in the thread: %v", err)
	}
}

func cancelled(t *testing.T, r Rig) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	start := time.Now()
	if _, err := r.Channel.Send(ctx, r.envelope(Key(1))); err == nil {
		t.Error("Send with a context that is over reported success")
	}
	if took := time.Since(start); took > patience {
		t.Errorf("Send took %v after its context was over", took)
	}
}

func together(t *testing.T, r Rig) {
	const n = 16
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			if _, err := r.Channel.Send(t.Context(), r.envelope(Key(i))); err != nil {
				t.Errorf("Send %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	if got := r.Attempts(); got != n {
		t.Errorf("the remote side saw %d attempts of %d sends", got, n)
	}
}

// fails asserts the fault of a scenario, one attempt and no leak.
func (s Suite) fails(t *testing.T, r Rig, scenario Scenario, want channels.Fault) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	_, err := r.Channel.Send(ctx, r.envelope(Key(1)))
	if err == nil {
		t.Fatal("Send reported success")
	}
	if _, ok := errors.AsType[*channels.Error](err); !ok {
		t.Errorf("no *channels.Error in the chain of %T", err)
	}
	fault, wait := channels.FaultOf(err)
	if fault != want {
		t.Errorf("fault %q, want %q (%v)", fault, want, err)
	}
	if scenario == Busy && !s.NoPause && wait <= 0 {
		t.Errorf("the remote side said how long to wait, RetryAfter is %v", wait)
	}
	if n := r.Attempts(); n > 1 {
		t.Errorf("the remote side saw %d attempts, want 1", n)
	}
	NoLeak(t, err, r.Secret)
}

func silent(t *testing.T, r Rig) {
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	start := time.Now()
	_, err := r.Channel.Send(ctx, r.envelope(Key(1)))
	if err == nil {
		t.Fatal("Send reported success although nobody answered")
	}
	if took := time.Since(start); took > patience {
		t.Errorf("Send took %v, its context ended after 300ms", took)
	}
	if f, _ := channels.FaultOf(err); f != channels.Unavailable && f != channels.Ambiguous {
		t.Errorf("fault %q, want unavailable or ambiguous", f)
	}
	NoLeak(t, err, r.Secret)
}

// find asserts that a Finder agrees with Send.
func find(t *testing.T, r Rig) {
	f, ok := r.Channel.(channels.Finder)
	if !ok {
		t.Log("no Finder")
		return
	}
	if _, found, err := f.Find(t.Context(), r.envelope(Key(1))); err != nil || found {
		t.Fatalf("Find before Send = %v, %v; want false, nil", found, err)
	}
	sent, err := r.Channel.Send(t.Context(), r.envelope(Key(1)))
	if err != nil {
		t.Fatalf("Send: %v", err)
	}
	got, found, err := f.Find(t.Context(), r.envelope(Key(1)))
	if err != nil || !found {
		t.Fatalf("Find after Send = %v, %v; want true, nil", found, err)
	}
	if got.RemoteID != sent.RemoteID {
		t.Errorf("Find's remote id %q, Send's %q", got.RemoteID, sent.RemoteID)
	}
	if _, found, err := f.Find(t.Context(), r.envelope(Key(2))); err != nil || found {
		t.Errorf("Find of another delivery = %v, %v; want false, nil", found, err)
	}
}

// edit asserts that an Editor changes what was sent and sends nothing new.
func edit(t *testing.T, r Rig) {
	ed, ok := r.Channel.(channels.Editor)
	if !ok {
		t.Log("no Editor")
		return
	}
	e := r.envelope(Key(1))
	receipt, err := r.Channel.Send(t.Context(), e)
	if err != nil {
		t.Fatalf("Send: %v", err)
	}
	before := r.Attempts()
	if _, err := ed.Edit(t.Context(), e, receipt); err != nil {
		t.Fatalf("Edit: %v", err)
	}
	if after := r.Attempts(); after != before {
		t.Errorf("Edit sent %d new messages", after-before)
	}
}

func closing(t *testing.T, r Rig) {
	c, ok := r.Channel.(channels.Closer)
	if !ok {
		return
	}
	if _, err := r.Channel.Send(t.Context(), r.envelope(Key(1))); err != nil {
		t.Fatalf("Send: %v", err)
	}
	if err := c.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}

// NoLeak fails the test if secret shows in err, however it is printed, or in any
// error it wraps.
func NoLeak(t *testing.T, err error, secret string) {
	t.Helper()
	if secret == "" || err == nil {
		return
	}
	for _, s := range []string{err.Error(), fmt.Sprintf("%+v", err), fmt.Sprintf("%#v", err)} {
		if strings.Contains(s, secret) {
			t.Errorf("the credential shows in the error %q", s)
			return
		}
	}
	switch u := err.(type) { //nolint:errorlint // the suite walks the whole tree on purpose
	case interface{ Unwrap() error }:
		NoLeak(t, u.Unwrap(), secret)
	case interface{ Unwrap() []error }:
		for _, e := range u.Unwrap() {
			NoLeak(t, e, secret)
		}
	}
}
