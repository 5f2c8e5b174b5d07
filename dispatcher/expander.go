package dispatcher

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"sitrep/ledger"
)

// expander writes down the deliveries of updates that were accepted for more
// recipients than were written at once: a chunk of each such update in turn, as the
// update decided when it was accepted. Any process may come to any chunk, and every
// chunk is written once.
//
// Between two chunks others have their turn at the ledger. It stops between chunks,
// and whoever comes next goes on from there.
type expander struct {
	d        *Dispatcher
	l        ledger.Expander // nil: this ledger has everything written at once
	crew     *crew
	incident string // only this one's updates; empty: all
	awake    chan struct{}

	mu   sync.Mutex
	ask  bool // there may be something that we have not seen
	busy bool // there is, or a look is under way

	plans      map[string]*selection // read ones, by update
	stuck      map[string]stuck      // updates that cannot be gone on with
	suppressed map[place]string
	looked     time.Time // when suppressed was read
}

// stuck is an update of which the next chunk could not be made.
type stuck struct {
	tries int
	until time.Time
}

const (
	// The lanes get to the first deliveries of an update before the others are
	// written.
	headStart = 5 * time.Millisecond
	// How long whoever loses a chunk to another process leaves it to that one, at
	// most.
	leaveToOthers = 250 * time.Millisecond
	// How old the suppressed addresses may be that a chunk is written by.
	suppressedFor = time.Second
)

func newExpander(c *crew) *expander {
	e := &expander{
		d: c.d, crew: c, incident: c.scope.Incident, awake: make(chan struct{}, 1), ask: true,
		plans: map[string]*selection{}, stuck: map[string]stuck{},
	}
	e.l, _ = c.d.o.Ledger.(ledger.Expander)
	return e
}

// wake says that an update may have been accepted.
func (e *expander) wake() {
	e.mu.Lock()
	e.ask = true
	e.mu.Unlock()
	nudge(e.awake)
}

// dry reports that no update in scope is left to be written.
func (e *expander) dry() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.l == nil || !e.ask && !e.busy
}

// begin notes that everything until now is looked at.
func (e *expander) begin() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.ask, e.busy = false, true
}

func (e *expander) end(left bool) {
	e.mu.Lock()
	e.busy = left
	e.mu.Unlock()
	if !left {
		nudge(e.crew.quiet)
	}
}

// run ends when soft is done.
func (e *expander) run(soft context.Context) {
	if e.l == nil {
		return
	}
	fails := 0
	for soft.Err() == nil {
		e.begin()
		left, wait, err := e.turn(soft)
		if err != nil && soft.Err() == nil {
			fails++
			wait = Backoff{Base: 100 * time.Millisecond, Max: 5 * time.Second}.ceiling(fails)
			e.d.trouble("", "write down the deliveries of an update", err)
		} else {
			fails = 0
		}
		e.end(left)
		e.sleep(soft, wait)
	}
}

// sleep returns after wait, or a head start after there is something new.
func (e *expander) sleep(soft context.Context, wait time.Duration) {
	if wait <= 0 {
		return
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-soft.Done():
	case <-t.C:
	case <-e.awake:
		sleepFor(soft, headStart)
	}
}

// turn writes one chunk of every update. It returns whether any is left and how long
// to wait before the next turn.
func (e *expander) turn(soft context.Context) (left bool, wait time.Duration, err error) {
	ctx, cancel := context.WithTimeout(soft, settleTimeout)
	defer cancel()
	all, err := e.l.Expansions(ctx, e.incident)
	if err != nil {
		return true, 0, err
	}
	if len(all) == 0 {
		clear(e.plans)
		clear(e.stuck)
		e.suppressed = nil
		return false, e.d.o.Poll, nil
	}
	wait = e.d.o.Poll
	for _, x := range all {
		if soft.Err() != nil {
			break
		}
		next, err := e.step(soft, x)
		if err != nil {
			return true, 0, err
		}
		wait = min(wait, next)
	}
	return true, wait, nil
}

// step writes the next chunk of one update, and returns when to come to it again. An
// error is one of the ledger's.
func (e *expander) step(soft context.Context, x ledger.Expansion) (again time.Duration, err error) {
	now := e.d.o.Now()
	if wait := time.Until(e.stuck[x.Update].until); wait > 0 {
		return wait, nil
	}
	// Not soft itself: a chunk begun is written.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(soft), settleTimeout)
	defer cancel()
	rows, err := e.rows(ctx, x)
	if errors.Is(err, errChunk) || errors.Is(err, errSelection) || errors.Is(err, errRosterGone) {
		return e.jam(x, err), nil
	}
	if err != nil {
		return 0, err
	}
	got, err := e.l.Expand(ctx, ledger.Expanded{Update: x.Update, Chunk: x.Chunk, Deliveries: rows, Count: len(rows), Now: now})
	if err != nil {
		return 0, err
	}
	delete(e.stuck, x.Update)
	if len(rows) > 0 && got.Added == 0 {
		return rand.N(leaveToOthers) + 1, nil
	}
	e.announce(x, got, rows, now)
	return 0, nil
}

var errRosterGone = errors.New("the recipients kept for it are not in the ledger any more")

// rows are the deliveries of an update's next chunk.
func (e *expander) rows(ctx context.Context, x ledger.Expansion) ([]ledger.Planned, error) {
	s := e.plans[x.Update]
	if s == nil {
		var err error
		if s, err = readSelection(x.Plan); err != nil {
			return nil, err
		}
		e.plans[x.Update] = s
	}
	raw, err := e.l.RosterChunk(ctx, x.Roster, x.Chunk)
	if errors.Is(err, ledger.ErrNotFound) {
		return nil, errRosterGone
	} else if err != nil {
		return nil, err
	}
	c, err := decodeChunk(raw, len(s.Lists))
	if err != nil {
		return nil, err
	}
	if err := e.refresh(ctx); err != nil {
		return nil, err
	}
	m, err := s.maker(c.classes, e.suppressed)
	if err != nil {
		return nil, err
	}
	rows := make([]ledger.Planned, 0, len(c.seats))
	for _, x := range c.seats {
		if row, told := m.planned(x); told {
			rows = append(rows, row)
		}
	}
	return rows, nil
}

// refresh reads the suppressed addresses, unless that was a moment ago.
func (e *expander) refresh(ctx context.Context) error {
	now := e.d.o.Now()
	if e.suppressed != nil && now.Sub(e.looked).Abs() < suppressedFor {
		return nil
	}
	all, err := e.d.suppressed(ctx)
	if err != nil {
		return err
	}
	e.suppressed, e.looked = all, now
	return nil
}

// jam notes that an update cannot be gone on with, tells everybody who can help, and
// returns when to try again.
func (e *expander) jam(x ledger.Expansion, err error) time.Duration {
	j := e.stuck[x.Update]
	j.tries++
	wait := Backoff{Base: 5 * time.Second, Max: 5 * time.Minute}.ceiling(j.tries)
	j.until = time.Now().Add(wait)
	e.stuck[x.Update] = j
	e.d.o.Record.Trouble(partLedger, "")
	e.d.o.Log.Error("an update cannot be written down for all its recipients: cancel it, and send what it says as a new update",
		"update", x.Update, "incident", x.Incident, "recipients", x.Count, "error", err)
	e.d.event(Event{
		Kind: EventTrouble, Update: x.Update, Incident: x.Incident, Customer: x.Customer,
		Detail: fmt.Sprintf("%d recipients of the update are not told yet: %v. It is tried again; if that does not help, cancel the update and send what it says as a new one.",
			x.Count, err),
	})
	return wait
}

// announce tells the lanes and everybody who watches of a chunk that was written.
func (e *expander) announce(x ledger.Expansion, got ledger.Accepted, rows []ledger.Planned, now time.Time) {
	of := Event{Update: x.Update, Incident: x.Incident, Customer: x.Customer, At: now}
	e.d.overtook(x.Incident, got.Superseded)
	if x.Cancelled {
		e.cancelled(of, x, rows, now)
	} else {
		e.d.notWritten(of, x.Severity, rows)
	}
	var told []string
	for _, r := range rows {
		if !slices.Contains(told, r.Channel) {
			told = append(told, r.Channel)
			e.crew.fresh(r.Channel)
		}
	}
	if x.Chunk+1 == x.Chunks {
		e.crew.wake("") // later updates of the incident were waiting
	}
}

func (e *expander) cancelled(of Event, x ledger.Expansion, rows []ledger.Planned, now time.Time) {
	for _, r := range rows {
		e.d.o.Record.Settled(x.Customer, r.Channel, x.Severity, string(ledger.Cancelled), r.Key, now.Sub(x.Accepted))
		of.Kind, of.Channel, of.Key, of.Outcome, of.Detail = EventSettled, r.Channel, r.Key, ledger.Cancelled, takenBack
		e.d.event(of)
	}
}
