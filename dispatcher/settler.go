package dispatcher

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"sitrep/ledger"
)

// settler records what became of attempts. It takes what there is, up to settleMost,
// into one transaction: under load the cost of a durable write is shared by the
// group. While other attempts are under way it waits for company for linger at
// most; the only one is recorded at once.
//
// While the ledger cannot be written it keeps what it has and tries again; the
// lanes' workers then stop at its full inbox, so that nothing is sent that could
// not be recorded.
type settler struct {
	d    *Dispatcher
	open *atomic.Int64 // claims not yet settled
	came chan struct{} // something came into the empty inbox, or it was closed
	full chan struct{} // there may be nothing more to wait for

	mu     sync.Mutex
	room   sync.Cond // the inbox was emptied
	in     batch     // the inbox
	closed bool
	spare  batch // the memory of the one before
}

// batch is settlements on their way to the ledger, and whose they are.
type batch struct {
	rows []ledger.Settlement
	of   []origin
}

type origin struct {
	lane  *lane
	claim *ledger.Claim
}

const (
	settleMost    = 256
	linger        = 5 * time.Millisecond
	settleTimeout = 15 * time.Second // of one write; SQLite may wait for another process
)

func newSettler(d *Dispatcher, open *atomic.Int64) *settler {
	s := &settler{d: d, open: open, came: make(chan struct{}, 1), full: make(chan struct{}, 1)}
	s.room.L = &s.mu
	return s
}

// put hands over what became of a claim. It waits while there is no room.
func (s *settler) put(l *lane, c *ledger.Claim, row *ledger.Settlement) {
	s.mu.Lock()
	for len(s.in.rows) >= settleMost {
		s.room.Wait()
	}
	s.in.rows = append(s.in.rows, *row)
	s.in.of = append(s.in.of, origin{l, c})
	first, all := len(s.in.rows) == 1, s.complete()
	s.mu.Unlock()
	if first {
		nudge(s.came)
	}
	if all {
		nudge(s.full)
	}
}

// complete reports that there is nothing to wait for. It is called with mu held.
func (s *settler) complete() bool {
	n := len(s.in.rows)
	return s.closed || n >= settleMost || int64(n) >= s.open.Load()
}

// close says that nothing more will come.
func (s *settler) close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	nudge(s.came)
	nudge(s.full)
}

// run ends when its inbox is closed and empty. soft only says when to stop being
// patient with a ledger that cannot be written.
func (s *settler) run(soft context.Context) error {
	var lost int
	for s.waitForSome() {
		s.waitForMore()
		b := s.take()
		if !s.commit(soft, b) {
			lost += len(b.rows)
		}
	}
	if lost > 0 {
		return fmt.Errorf("the ledger could not be written: the results of %d attempts are not on record; "+
			"mend the disk or the database and start again, these deliveries are then looked into first", lost)
	}
	return nil
}

// waitForSome reports whether there is anything.
func (s *settler) waitForSome() bool {
	for {
		s.mu.Lock()
		n, closed := len(s.in.rows), s.closed
		s.mu.Unlock()
		if n > 0 || closed {
			return n > 0
		}
		<-s.came
	}
}

func (s *settler) waitForMore() {
	patience := time.NewTimer(linger)
	defer patience.Stop()
	for {
		s.mu.Lock()
		complete := s.complete()
		s.mu.Unlock()
		if complete {
			return
		}
		select {
		case <-s.full:
		case <-patience.C:
			return
		}
	}
}

// take empties the inbox.
func (s *settler) take() batch {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.in
	s.in, s.spare = batch{rows: s.spare.rows[:0], of: s.spare.of[:0]}, batch{}
	s.room.Broadcast()
	return b
}

// reuse keeps the memory of a batch that was written, for the one after the next.
func (s *settler) reuse(b batch) {
	clear(b.rows)
	clear(b.of)
	s.mu.Lock()
	s.spare = b
	s.mu.Unlock()
}

// commit writes one batch, however long that takes; after soft is done it gives up
// when the grace is over.
func (s *settler) commit(soft context.Context, b batch) bool {
	patience := Backoff{Base: 100 * time.Millisecond, Max: 5 * time.Second}
	var giveUp time.Time
	for try := 1; ; try++ {
		verdicts, err := s.write(soft, b.rows)
		if err == nil {
			s.tell(b, verdicts)
			if try == 1 { // a write that was given up may still be reading it
				s.reuse(b)
			}
			return true
		}
		s.d.trouble("", "record what became of deliveries", err)
		if soft.Err() != nil && giveUp.IsZero() {
			giveUp = time.Now().Add(s.d.o.Grace)
		}
		if !giveUp.IsZero() && time.Now().After(giveUp) {
			return false
		}
		rest(soft, patience.ceiling(try))
	}
}

// rest waits, less long once the program is to stop: then every wait is short.
func rest(soft context.Context, wait time.Duration) {
	if soft.Err() != nil {
		time.Sleep(min(wait, 200*time.Millisecond))
		return
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-soft.Done():
	case <-t.C:
	}
}

func (s *settler) write(soft context.Context, rows []ledger.Settlement) ([]ledger.Verdict, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(soft), settleTimeout)
	defer cancel()
	verdicts, err := s.d.o.Ledger.Settle(ctx, rows)
	if err == nil && len(verdicts) != len(rows) {
		return nil, fmt.Errorf("it answered %d settlements with %d verdicts", len(rows), len(verdicts))
	}
	return verdicts, err
}

// tell passes the verdicts on: to those who watch and count, then to the lanes.
func (s *settler) tell(b batch, verdicts []ledger.Verdict) {
	for i, v := range verdicts {
		s.announce(b.of[i].claim, &b.rows[i], v)
	}
	told := map[*lane]bool{}
	for _, o := range b.of {
		if !told[o.lane] {
			told[o.lane] = true
			o.lane.settled(b, verdicts)
		}
	}
	for l := range told {
		l.afterSettling()
	}
}

func (s *settler) announce(c *ledger.Claim, made *ledger.Settlement, v ledger.Verdict) {
	if !v.Applied {
		s.d.o.Log.Warn("a delivery had passed to another process before its result was recorded",
			"channel", c.Channel, "delivery", c.Key)
		return
	}
	if v.Outcome != ledger.Pending {
		s.d.o.Record.Settled(c.Customer, c.Channel, c.Severity, string(v.Outcome), c.Key, made.Ended.Sub(c.Accepted))
	}
	if s.d.o.OnEvent != nil && (v.Outcome != ledger.Pending || !made.Untried) {
		s.d.o.OnEvent(settledEvent(c, made, v))
	}
}

func settledEvent(c *ledger.Claim, made *ledger.Settlement, v ledger.Verdict) Event {
	e := eventOf(EventSettled, c, made.Ended)
	e.Outcome, e.Fault, e.Detail, e.Receipt = v.Outcome, made.Fault, made.Detail, made.Receipt
	if v.Outcome == ledger.Pending {
		e.Kind, e.Until = EventRetry, made.Due
	}
	return e
}
