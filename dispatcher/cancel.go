package dispatcher

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"sitrep/channels"
	"sitrep/ledger"
)

const takenBack = "a person took it back"

// Cancel takes back what of an update has not been sent yet. Deliveries whose
// attempt is under way, or is about to be, are counted as UnderWay: those under way
// cannot be called back, and those that this process had not begun end as cancelled
// all the same, or as unknown if an earlier attempt may have arrived. Those that are not written down yet are written down as cancelled, by
// whoever is at Run or Work. It wakes the lanes, for newer updates may have waited
// behind.
//
// An update that is not in the ledger is [ledger.ErrNotFound].
func (d *Dispatcher) Cancel(ctx context.Context, update string) (ledger.Cancellation, error) {
	l, ok := d.o.Ledger.(ledger.Canceller)
	if !ok {
		return ledger.Cancellation{}, fmt.Errorf("cancel update %s: this ledger (%T) cannot take deliveries back", update, d.o.Ledger)
	}
	now := d.o.Now()
	got, err := l.Cancel(ctx, update, now)
	if err != nil {
		return ledger.Cancellation{}, fmt.Errorf("cancel update %s: %w", update, err)
	}
	d.recall(update)
	for _, e := range got.Ended {
		d.o.Record.Settled(e.Customer, e.Channel, e.Severity, string(e.Outcome), e.Key, now.Sub(e.Accepted))
		d.event(Event{
			Kind: EventSettled, At: now, Update: update, Customer: e.Customer, Channel: e.Channel, Key: e.Key,
			Outcome: e.Outcome, Detail: takenBack,
		})
	}
	d.wake()
	return got, nil
}

// recall takes back what the lanes have claimed of an update and not begun.
func (d *Dispatcher) recall(update string) {
	if c := d.crew.Load(); c != nil {
		c.recalls.add(update, time.Now())
	}
}

// recalls are the updates that were taken back a while ago. What was claimed before
// that and not begun is not sent.
type recalls struct {
	any atomic.Bool
	mu  sync.Mutex
	at  map[string]time.Time
}

// recallsFor is longer than any claim is held.
const recallsFor = time.Hour

func (r *recalls) add(update string, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.at == nil {
		r.at = map[string]time.Time{}
	}
	maps.DeleteFunc(r.at, func(_ string, at time.Time) bool { return now.Sub(at) > recallsFor })
	r.at[update] = now
	r.any.Store(true)
}

func (r *recalls) includes(h held) bool {
	if !r.any.Load() {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	at, ok := r.at[h.Update]
	return ok && !h.claimed.After(at)
}

// recalled settles a claim that was taken back before its attempt.
func recalled(s *ledger.Settlement, c *ledger.Claim) {
	s.Untried, s.Outcome, s.Detail = true, ledger.Cancelled, takenBack
	if c.Interrupted || c.Ambiguous {
		s.Outcome, s.Fault, s.Detail = ledger.Unknown, channels.Ambiguous, unknownWhy(c)
	}
}
