package dispatcher

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"sitrep/ledger"
)

// Run watches until ctx is done, and returns nil then. While the ledger does not
// answer it tries again. One Run at a time.
func (r *Reminder) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		r.news(ctx)
		next, err := r.turn(ctx)
		if err != nil && ctx.Err() == nil {
			r.d.trouble("", "tell which updates are due", err)
		}
		wait := r.o.Poll
		if !next.IsZero() {
			wait = min(wait, max(0, next.Sub(r.d.o.Now())))
		}
		r.sleep(ctx, wait)
	}
	return nil
}

// How soon a promise is known that any process has accepted.
const followEvery = time.Second

// sleep returns after wait, or soon after something has changed in the ledger.
func (r *Reminder) sleep(ctx context.Context, wait time.Duration) {
	for end := time.Now().Add(wait); ctx.Err() == nil; {
		left := time.Until(end)
		if left <= 0 {
			return
		}
		sleepFor(ctx, min(left, followEvery))
		if r.news(ctx) {
			return
		}
	}
}

// news reports whether anything has changed in the ledger since it was last asked. If
// the ledger cannot say, the next look is soon enough.
func (r *Reminder) news(ctx context.Context) bool {
	l, ok := r.d.o.Ledger.(ledger.Changes)
	if !ok {
		return false
	}
	latest, err := l.Latest(ctx)
	if err != nil || latest == r.seen {
		return false
	}
	r.seen = latest
	return true
}

func sleepFor(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// turn is one look, if nobody else is looking. The duty is given back after each: a
// process that hangs keeps nobody from looking.
func (r *Reminder) turn(ctx context.Context) (next time.Time, err error) {
	if r.o.Duty == nil {
		return r.look(ctx)
	}
	held, release, err := r.o.Duty.Hold(ctx, dutyReminders)
	if err != nil || !held {
		return time.Time{}, err
	}
	defer release()
	return r.look(ctx)
}

// look sends what is due now and returns when the next reminder is, zero if none is
// known of. Trouble with one incident does not keep it from the others.
func (r *Reminder) look(ctx context.Context) (next time.Time, err error) {
	open, err := r.d.o.Ledger.Incidents(ctx, ledger.IncidentQuery{Open: true})
	if err != nil {
		return next, fmt.Errorf("look up the open incidents: %w", err)
	}
	now := r.d.o.Now()
	errs := []error{r.withdraw(ctx, open, now)}
	for _, i := range open {
		at, err := r.incident(ctx, i, now)
		errs = append(errs, err)
		if !at.IsZero() && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	return next, errors.Join(errs...)
}

// incident sends what is due of one incident's promise and returns when more will be.
func (r *Reminder) incident(ctx context.Context, i ledger.Incident, now time.Time) (next time.Time, err error) {
	if i.Next.IsZero() {
		return next, nil
	}
	due, next := dueSteps(steps(r.o.rule(i.Customer), i.Next), now)
	due = slices.DeleteFunc(due, func(s step) bool { _, known := r.made[s.key(i)]; return known })
	if len(due) == 0 {
		return next, nil
	}
	rows, err := r.d.o.Ledger.Updates(ctx, ledger.UpdateQuery{Incident: i.ID, Limit: 1})
	if err != nil || len(rows) == 0 || rows[0].Seq != i.Seq {
		return next, err // a newer update has come in between: the next look sees it
	}
	var errs []error
	for _, s := range due {
		errs = append(errs, r.send(ctx, i, rows[0], s, now))
	}
	return next, errors.Join(errs...)
}

// send puts a reminder into the ledger, unless it is there.
func (r *Reminder) send(ctx context.Context, i ledger.Incident, row ledger.Update, s step, now time.Time) error {
	key := s.key(i)
	m := made{incident: i.ID, seq: i.Seq, forget: s.until}
	earlier, err := r.d.earlier(ctx, key)
	switch {
	case err != nil:
		return err
	case earlier != nil:
		m.pending = earlier.Accepted.Add(pendingAtMost)
	case s.from.After(row.Accepted): // else: the promise was made after the time to remind of it
		m.pending = now.Add(pendingAtMost)
		if err := r.accept(ctx, row, s, key, now); err != nil {
			return fmt.Errorf("remind of the next update of %s: %w", i.ID, err)
		}
	}
	r.made[key] = m
	return nil
}

// withdraw cancels what is still pending of promises that are not waited for any
// more, and forgets what is over.
func (r *Reminder) withdraw(ctx context.Context, open []ledger.Incident, now time.Time) error {
	seqs := map[string]int{}
	for _, i := range open {
		seqs[i.ID] = i.Seq
	}
	var errs []error
	for _, key := range slices.Sorted(maps.Keys(r.made)) {
		m := r.made[key]
		if !m.pending.IsZero() && now.Before(m.pending) && seqs[m.incident] != m.seq {
			left, err := r.cancel(ctx, key, now)
			errs = append(errs, err)
			if err == nil && left == 0 {
				m.pending = time.Time{}
				r.made[key] = m
			}
		}
		if now.After(m.forget) {
			delete(r.made, key)
		}
	}
	return errors.Join(errs...)
}

// cancel takes a reminder back and returns how many of its attempts are under way.
func (r *Reminder) cancel(ctx context.Context, key string, now time.Time) (underWay int, err error) {
	c, ok := r.d.o.Ledger.(ledger.Canceller)
	if !ok {
		return 0, nil
	}
	got, err := c.Cancel(ctx, key, now)
	if errors.Is(err, ledger.ErrNotFound) {
		return 0, nil // nobody was to be told
	}
	if err != nil {
		return 0, fmt.Errorf("cancel a reminder: %w", err)
	}
	r.d.recall(key)
	for _, e := range got.Ended {
		r.d.o.Record.Settled(e.Customer, e.Channel, e.Severity, string(e.Outcome), e.Key, now.Sub(e.Accepted))
		r.d.event(Event{
			Kind: EventSettled, Update: key, Customer: e.Customer, Channel: e.Channel, Key: e.Key,
			Outcome: e.Outcome, Detail: "the update that it reminds of was sent",
		})
	}
	r.d.wake()
	return got.UnderWay, nil
}
