package dispatcher

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"sitrep/channels"
	"sitrep/incident"
	"sitrep/ledger"
	"sitrep/renderers"
)

// Options is everything a Dispatcher needs. Fields that may be zero say so.
type Options struct {
	Ledger    ledger.Ledger
	Lanes     []Lane
	Parties   []incident.Party
	Renderers *renderers.Set
	Guard     renderers.Policy

	// RequireNext makes an unresolved update without a promise a problem instead
	// of a warning.
	RequireNext bool

	// NewID names a new incident. Nil: incident.Draft.Resolve's own way.
	NewID func(customer string, started time.Time) string

	Record  Recorder         // nil: nothing is counted
	OnEvent func(Event)      // nil: nobody watches, at no cost; called from many goroutines, must not block
	OnSpan  func(Span)       // nil: nothing is traced, at no cost; otherwise as OnEvent
	Log     *slog.Logger     // nil: nothing is logged
	Now     func() time.Time // nil: time.Now

	// Grace is how long attempts in flight may go on after Run or Work was asked
	// to stop. Zero: ten seconds.
	Grace time.Duration
	// Lease is how long a claim is ours without being renewed, and so how long a
	// crash delays what was being worked on. Zero: ten seconds.
	Lease time.Duration
	// Poll is how often an idle lane looks for work that another process
	// accepted. Work accepted by this one is taken up at once. Zero: two seconds.
	Poll time.Duration
}

// Lane is a channel and how it is worked. Zero fields take the defaults named.
type Lane struct {
	ID, Kind string
	Channel  channels.Channel

	Workers int // attempts at a time; 0: Spec.Workers, or four

	// Timeout is how long one attempt may take. None has less; for those that begin
	// close together end together, one may have up to a thousandth more, or ten
	// milliseconds if that is longer. Zero: Spec.Timeout, or thirty seconds.
	Timeout time.Duration

	Expire  time.Duration // age at which a delivery is given up; 0: four hours
	Backoff Backoff

	// Ambiguous is what becomes of a delivery that may have arrived, where the
	// channel cannot find out. Empty: Spec.Ambiguous, or resend.
	Ambiguous channels.AmbiguousPolicy
}

// Defaults of [Options] and [Lane].
const (
	defaultGrace   = 10 * time.Second
	defaultLease   = 10 * time.Second
	defaultPoll    = 2 * time.Second
	defaultWorkers = 4
	defaultTimeout = 30 * time.Second
	defaultExpire  = 4 * time.Hour
)

// ErrRunning says that Run or Work was called while one of them runs already.
var ErrRunning = errors.New("the dispatcher is at work already: one Run or Work at a time")

// Dispatcher takes updates in and works their deliveries. It is safe for
// concurrent use; one Run or Work goes on at a time.
type Dispatcher struct {
	o     Options
	owner string                // unique to this process: who leases
	crew  *atomic.Pointer[crew] // of all that came of one by Reload

	rosters rosters // of this configuration
}

// New checks the options whole and returns every mistake at once. It starts
// nothing and touches neither ledger nor network.
func New(o Options) (*Dispatcher, error) {
	o = o.filled()
	if err := o.check(); err != nil {
		return nil, err
	}
	return &Dispatcher{o: o, owner: rand.Text(), crew: &atomic.Pointer[crew]{}, rosters: newRosters(o.Parties)}, nil
}

func (o Options) filled() Options {
	if o.Record == nil {
		o.Record = noRecorder{}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	o.Guard = o.Guard.Ready()
	o.Grace = positive(o.Grace, defaultGrace)
	o.Lease = positive(o.Lease, defaultLease)
	o.Poll = positive(o.Poll, defaultPoll)
	o.Lanes = slices.Clone(o.Lanes)
	for i := range o.Lanes {
		o.Lanes[i] = o.Lanes[i].filled()
	}
	return o
}

func positive[T int | time.Duration](v, otherwise T) T {
	if v > 0 {
		return v
	}
	return otherwise
}

func (l Lane) filled() Lane {
	if l.Channel == nil {
		return l
	}
	spec := l.Channel.Spec()
	l.Workers = positive(l.Workers, positive(spec.Workers, defaultWorkers))
	l.Timeout = positive(l.Timeout, positive(spec.Timeout, defaultTimeout))
	l.Expire = positive(l.Expire, defaultExpire)
	l.Backoff = l.Backoff.filled()
	if l.Ambiguous == "" {
		l.Ambiguous = spec.Ambiguous
	}
	if l.Ambiguous == "" {
		l.Ambiguous = channels.ResendAmbiguous
	}
	return l
}

func (o Options) check() error {
	var errs []error
	if o.Ledger == nil {
		errs = append(errs, errors.New("no ledger: without one nothing can be accepted"))
	}
	if o.Renderers == nil {
		errs = append(errs, errors.New("no renderers: without them nothing can be written"))
	}
	known := map[string]bool{}
	for _, l := range o.Lanes {
		errs = append(errs, l.check(known)...)
		known[l.ID] = true
	}
	for _, p := range o.Parties {
		errs = append(errs, checkLists(p, known)...)
	}
	return errors.Join(errs...)
}

func (l Lane) check(known map[string]bool) []error {
	var errs []error
	switch {
	case l.ID == "":
		errs = append(errs, fmt.Errorf("a channel of kind %q has no id: give it one", l.Kind))
	case known[l.ID]:
		errs = append(errs, fmt.Errorf("two channels have the id %q: rename one", l.ID))
	}
	if l.Channel == nil {
		errs = append(errs, fmt.Errorf("channel %q of kind %q has no implementation", l.ID, l.Kind))
		return errs
	}
	if p := l.Ambiguous; p != channels.ResendAmbiguous && p != channels.KeepUnknown {
		errs = append(errs, fmt.Errorf("channel %q: on_ambiguous is %q: write resend or unknown", l.ID, p))
	}
	return errs
}

// checkLists finds recipients on channels that are not there: that must stop the
// start, not an incident.
func checkLists(p incident.Party, known map[string]bool) []error {
	var errs []error
	for _, list := range p.Lists {
		if !list.Audience.Valid() {
			errs = append(errs, fmt.Errorf("customer %q, list %q: %q is no audience: write internal, customer or public",
				p.ID, list.ID, list.Audience))
		}
		missing := map[string]bool{}
		for _, r := range list.To {
			if !known[r.Channel] && !missing[r.Channel] {
				missing[r.Channel] = true
				errs = append(errs, fmt.Errorf("customer %q, list %q: there is no channel %q: add it or correct the name",
					p.ID, list.ID, r.Channel))
			}
		}
	}
	return errs
}

// Run works all lanes until ctx is done. Then it begins no new attempt, lets those
// in flight end (for Grace at most), gives back what it had claimed, records
// everything and returns: nil, or an error if results could not be recorded (the
// next process finds those attempts interrupted).
func (d *Dispatcher) Run(ctx context.Context) error {
	lost := d.orphans(ctx)
	err := d.work(ctx, Scope{}, append(slices.Clone(d.o.Lanes), lost...), false)
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return nil
	}
	return err
}

// Scope is a part of the ledger. Its zero value is everything.
type Scope struct {
	Incident string // only this incident's deliveries
}

// Work is Run for a part of the ledger, and returns nil once nothing in it is
// pending on the configured channels. If ctx is done before, it stops as Run does
// and returns ctx's error: what is still pending stays in the ledger for the next
// Work or Run.
func (d *Dispatcher) Work(ctx context.Context, s Scope) error {
	return d.work(ctx, s, d.o.Lanes, true)
}

func (d *Dispatcher) work(ctx context.Context, s Scope, lanes []Lane, untilDry bool) error {
	c := newCrew(d, s, lanes)
	if !d.crew.CompareAndSwap(nil, c) {
		return ErrRunning
	}
	defer d.crew.Store(nil)
	return c.run(ctx, untilDry)
}

// wake tells the lanes that there is new work in the ledger.
func (d *Dispatcher) wake() {
	d.Wake("")
}

func (d *Dispatcher) event(e Event) {
	if d.o.OnEvent == nil {
		return
	}
	if e.At.IsZero() {
		e.At = d.o.Now()
	}
	d.o.OnEvent(e)
}

// trouble tells everybody who can help that the ledger does not answer.
func (d *Dispatcher) trouble(channel, what string, err error) {
	d.o.Record.Trouble(partLedger, channel)
	d.o.Log.Error("the ledger does not answer; nothing is lost, trying again",
		"doing", what, "channel", channel, "error", err)
	d.event(Event{
		Kind: EventTrouble, Channel: channel,
		Detail: fmt.Sprintf("The ledger could not %s: %v. Nothing is lost; it is tried again.", what, err),
	})
}
