package dispatcher

import (
	"context"
	"fmt"
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
	in   chan settled
}

// settled is a settlement on its way to the ledger.
type settled struct {
	lane  *lane
	claim ledger.Claim
	ledger.Settlement
}

const (
	settleMost    = 256
	linger        = 2 * time.Millisecond
	settleTimeout = 15 * time.Second // of one write; SQLite may wait for another process
)

func newSettler(d *Dispatcher, open *atomic.Int64) *settler {
	return &settler{d: d, open: open, in: make(chan settled, settleMost)}
}

// run ends when its inbox is closed and empty. soft only says when to stop being
// patient with a ledger that cannot be written.
func (s *settler) run(soft context.Context) error {
	var lost int
	batch := make([]settled, 0, settleMost)
	for first := range s.in {
		batch = s.fill(append(batch[:0], first))
		if !s.commit(soft, batch) {
			lost += len(batch)
		}
	}
	if lost > 0 {
		return fmt.Errorf("the ledger could not be written: the results of %d attempts are not on record; "+
			"mend the disk or the database and start again, these deliveries are then looked into first", lost)
	}
	return nil
}

func (s *settler) fill(batch []settled) []settled {
	patience := time.NewTimer(linger)
	defer patience.Stop()
	for len(batch) < settleMost && s.open.Load() > int64(len(batch)) {
		select {
		case next, ok := <-s.in:
			if !ok {
				return batch
			}
			batch = append(batch, next)
		case <-patience.C:
			return batch
		}
	}
	return batch
}

// commit writes one batch, however long that takes; after soft is done it gives up
// when the grace is over.
func (s *settler) commit(soft context.Context, batch []settled) bool {
	rows := make([]ledger.Settlement, len(batch))
	for i := range batch {
		rows[i] = batch[i].Settlement
	}
	patience := Backoff{Base: 100 * time.Millisecond, Max: 5 * time.Second}
	var giveUp time.Time
	for try := 1; ; try++ {
		verdicts, err := s.write(soft, rows)
		if err == nil {
			s.tell(batch, verdicts)
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
func (s *settler) tell(batch []settled, verdicts []ledger.Verdict) {
	for i, b := range batch {
		s.announce(b, verdicts[i])
		b.lane.settled(b, verdicts[i])
	}
	told := map[*lane]bool{}
	for _, b := range batch {
		if !told[b.lane] {
			told[b.lane] = true
			b.lane.afterSettling()
		}
	}
}

func (s *settler) announce(b settled, v ledger.Verdict) {
	if !v.Applied {
		s.d.o.Log.Warn("a delivery had passed to another process before its result was recorded",
			"channel", b.claim.Channel, "delivery", b.claim.Key)
		return
	}
	e := deliveryEvent(EventSettled, b.claim, b.Ended)
	e.Outcome, e.Fault, e.Detail, e.Receipt = v.Outcome, b.Fault, b.Detail, b.Receipt
	switch {
	case v.Outcome != ledger.Pending:
		s.d.o.Record.Settled(b.claim.Customer, b.claim.Channel, b.claim.Severity, string(v.Outcome),
			b.claim.Key, b.Ended.Sub(b.claim.Accepted))
	case b.Untried:
		return
	default:
		e.Kind, e.Until = EventRetry, b.Due
	}
	s.d.event(e)
}
