package server

import (
	"context"
	"time"

	"sitrep/ledger"
)

// reported is how many recipients a report names.
const reported = 1000

// report reads what became of an update.
func (s *Server) report(ctx context.Context, u ledger.Update) (*Report, error) {
	r := &Report{Incident: u.Incident, Update: u.Key, Channels: []ChannelReport{}, Recipients: []DeliveryView{}}
	tallies, err := s.o.Ledger.Tally(ctx, ledger.DeliveryQuery{Update: u.Key})
	if err != nil {
		return nil, err
	}
	for _, t := range tallies {
		r.count(t)
	}
	r.Finished = r.Pending == 0
	if r.Failed+r.Pending+r.NotSent == 0 {
		return r, nil
	}
	return r, s.missed(ctx, r)
}

// count adds a tally; they come by channel.
func (r *Report) count(t ledger.Tally) {
	if n := len(r.Channels); n == 0 || r.Channels[n-1].Channel != t.Channel {
		r.Channels = append(r.Channels, ChannelReport{Channel: t.Channel, Outcomes: map[string]int{}})
	}
	c := &r.Channels[len(r.Channels)-1]
	c.Total += t.Count
	switch t.Outcome {
	case ledger.Pending:
		c.Pending += t.Count
		r.Pending += t.Count
		return
	case ledger.Delivered:
		r.Delivered += t.Count
	case ledger.Superseded, ledger.Suppressed, ledger.Cancelled:
		r.NotSent += t.Count
	case ledger.Failed, ledger.Bounced, ledger.Expired, ledger.Unknown:
		r.Failed += t.Count
	}
	c.Outcomes[string(t.Outcome)] += t.Count
}

// missed names who did not get it.
func (s *Server) missed(ctx context.Context, r *Report) error {
	but := []ledger.Outcome{ledger.Pending}
	for _, o := range ledger.Outcomes() {
		if o != ledger.Delivered {
			but = append(but, o)
		}
	}
	for d, err := range s.o.Ledger.Deliveries(ctx, ledger.DeliveryQuery{Update: r.Update, Outcomes: but}) {
		if err != nil {
			return err
		}
		if len(r.Recipients) == reported {
			r.More = true
			return nil
		}
		r.Recipients = append(r.Recipients, viewDelivery(d))
	}
	return nil
}

// lookAgain is how often those who wait look for what other processes did.
const lookAgain = time.Second

// await returns once nothing of an update is pending, or when time is up, the caller
// has gone or the server is drained; it reports which.
func (s *Server) await(ctx context.Context, update string, most time.Duration) (bool, error) {
	end := time.NewTimer(most)
	defer end.Stop()
	for {
		rung := s.bell.wait() // before looking, so that nothing falls in between
		left, err := s.o.Ledger.Tally(ctx, ledger.DeliveryQuery{Update: update, Outcomes: []ledger.Outcome{ledger.Pending}})
		if err != nil || len(left) == 0 {
			return err == nil, err
		}
		look := time.NewTimer(lookAgain)
		select {
		case <-rung:
			look.Stop()
			if !pause(ctx, calm) {
				return false, nil
			}
		case <-look.C:
		case <-end.C:
			look.Stop()
			return false, nil
		case <-s.drained:
			look.Stop()
			return false, nil
		case <-ctx.Done():
			look.Stop()
			return false, nil
		}
	}
}

// calm is the least time between two looks at a ledger that changes all the time.
const calm = 25 * time.Millisecond

// pause reports false if ctx was done first.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
