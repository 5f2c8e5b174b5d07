package server

import (
	"context"
	"time"

	"sitrep/ledger"
)

// reported is how many recipients a report names.
const reported = 1000

// report reads what became of an update. While its deliveries are being written down it
// looks again until none was written in between, for that one would count twice.
func (s *Server) report(ctx context.Context, u ledger.Update) (r *Report, err error) {
	left, err := s.unwritten(ctx, u.Key)
	for n, settled := 0, false; err == nil && !settled && n < looks; n++ {
		r = &Report{Incident: u.Incident, Update: u.Key, Pending: left, Unwritten: left, Channels: []ChannelReport{}, Recipients: []DeliveryView{}}
		if err = s.tally(ctx, r); err != nil {
			break
		}
		before := left
		left, err = s.unwritten(ctx, u.Key)
		settled = left == before
	}
	if err != nil {
		return nil, err
	}
	if err := s.missed(ctx, r); err != nil || !r.Finished {
		return r, err
	}
	return r, s.delayed(ctx, r)
}

// looks is how often a report is counted anew at most.
const looks = 20

func (s *Server) tally(ctx context.Context, r *Report) error {
	tallies, err := s.o.Ledger.Tally(ctx, ledger.DeliveryQuery{Update: r.Update})
	for _, t := range tallies {
		r.count(t)
	}
	r.Finished = r.Pending == 0
	return err
}

// unwritten is how many recipients of an update have no delivery on record yet. Ask
// for it before anything is counted: then nobody is missed.
func (s *Server) unwritten(ctx context.Context, update string) (int, error) {
	rows, err := s.o.Ledger.Updates(ctx, ledger.UpdateQuery{Key: update})
	for _, u := range rows {
		if u.Key == update {
			return u.Unwritten, err
		}
	}
	return 0, err
}

// over reports that nothing of an update is pending.
func (s *Server) over(ctx context.Context, update string) (bool, error) {
	n, err := s.unwritten(ctx, update)
	if err != nil || n > 0 {
		return false, err
	}
	left, err := s.o.Ledger.Tally(ctx, ledger.DeliveryQuery{Update: update, Outcomes: []ledger.Outcome{ledger.Pending}})
	return len(left) == 0, err
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
	if r.Failed+r.Pending+r.NotSent == 0 {
		return nil
	}
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

// delayed names who has not got it yet, as their mail servers said after they had taken
// it over.
func (s *Server) delayed(ctx context.Context, r *Report) error {
	for d, err := range s.o.Ledger.Deliveries(ctx, ledger.DeliveryQuery{Update: r.Update, Outcomes: []ledger.Outcome{ledger.Delivered}}) {
		switch {
		case err != nil:
			return err
		case !d.Delayed():
			continue
		}
		r.Delayed++
		if len(r.Recipients) == reported {
			r.More = true
			continue
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
		began := time.Now()
		if done, err := s.over(ctx, update); done || err != nil {
			return done && err == nil, err
		}
		took := time.Since(began)
		look := time.NewTimer(lookAgain)
		select {
		case <-rung:
			look.Stop()
			if !pause(ctx, max(calm, 5*took)) { // a large update takes its time to look at
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
