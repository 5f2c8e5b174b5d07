package dispatcher

import (
	"context"
	"time"
)

// term is a context that calls share which begin close together: one of their own would
// cost each of them as much as all the rest of its way through the lane. It ends with its
// last call, or with the program's patience (hard), or when the time of the latest call
// that may join it is over; so nobody has less than the lane's Timeout, and nobody more
// than leeway beyond it. The lane's mu guards it.
type term struct {
	ctx    context.Context //nolint:containedctx // it is what the calls share
	cancel context.CancelFunc
	until  time.Time // nobody joins it later
	ends   time.Time // its deadline
	calls  int       // under way
}

// A thousandth more makes no difference to any timeout, and hundredths of a second none
// to a person.
const (
	leewayShare = 1000
	leewayLeast = 10 * time.Millisecond
)

// leeway is how much longer than its timeout a call may take.
func leeway(timeout time.Duration) time.Duration { return max(timeout/leewayShare, leewayLeast) }

func newTerm(hard context.Context, timeout time.Duration, now time.Time) *term {
	t := &term{until: now.Add(leeway(timeout))}
	t.ends = t.until.Add(timeout)
	t.ctx, t.cancel = context.WithDeadline(hard, t.ends)
	return t
}

// join is the term that a call beginning now belongs to. It is called with mu held.
func (l *lane) join(hard context.Context, now time.Time) *term {
	if l.term == nil || now.After(l.term.until) {
		l.term = newTerm(hard, l.Timeout, now)
	}
	l.term.calls++
	return l.term
}

// part ends a call's share in its term. It is called with mu held.
func (l *lane) part(t *term) {
	if t.calls--; t.calls > 0 {
		return
	}
	t.cancel()
	if l.term == t {
		l.term = nil
	}
}
