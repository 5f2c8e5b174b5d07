package email

import "time"

// alarm has the pool look after something later: one timer for all that needs it, instead
// of one each. It is off until it is set, and belongs to whoever holds the pool's lock.
type alarm struct {
	ring  func() // what is done then; the first thing it does is to turn the alarm off
	timer *time.Timer
	at    time.Time // when it rings; zero: it is off
}

// by has it ring at t, unless it does so earlier.
func (a *alarm) by(t, now time.Time) {
	switch {
	case !a.at.IsZero() && !a.at.After(t):
		return
	case a.timer == nil:
		a.timer = time.AfterFunc(t.Sub(now), a.ring)
	default:
		a.timer.Reset(t.Sub(now))
	}
	a.at = t
}

func (a *alarm) off() { a.at = time.Time{} }

// stop has it not ring any more.
func (a *alarm) stop() {
	if a.timer != nil {
		a.timer.Stop()
	}
}
