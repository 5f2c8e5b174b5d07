package dispatcher

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"sitrep/ledger"
)

// clock notices that the clock on the wall was set, by comparing it with the time
// that has passed.
//
// What is in the ledger is in the time of that clock, because other processes and
// other days must understand it. What concerns this process alone (leases, waits) is
// measured in time that has passed. So when the clock is set, or the machine has
// slept (which looks the same):
//
//   - Nothing more is claimed for half a lease. Leases may look ended that are not;
//     whoever holds one renews it within a third.
//   - Claims not begun are given back; leases of attempts under way are renewed.
//   - After a step back what waits in the ledger for a time that has moved away is
//     brought forward within a third of a lease, see [ledger.Rewinder]. This is also
//     done at the start and every minute, for the sake of clocks that were set while
//     nobody looked.
//   - After a step forward a delivery that was accepted before it and has never been
//     tried is tried once, however old it seems. Nobody knows whether the clock was
//     wrong or the machine asleep; news that is late is better than news that nobody
//     got, and once its time is really over there is no second attempt. A delivery
//     that was tried before ends by its age: it had its chance, and its sender is told.
//   - A pause after which the channel would be asked too early costs one attempt.
//
// Clocks of several machines on one ledger must agree within a lease. If they do not,
// one takes over what another is sending: recorded as interrupted, in order, nothing
// lost, but twice where the channel cannot tell.
type clock struct {
	now   func() time.Time
	began pair         // the first look
	apart atomic.Int64 // ns that the wall has gained since, at the latest look

	mu      sync.Mutex
	last    pair      // the latest look
	calm    time.Time // in time passed: nothing is claimed before
	forward time.Time // what the clock showed when it was last set forward; zero: never
	back    time.Time // what it showed when it was last set back; zero: never
}

const (
	// A clock that gains or loses less than this between two looks, a few seconds
	// apart at most, is not worth any trouble.
	clockTolerance = 2 * time.Second

	// How far the clock of whoever wrote something may have been ahead of ours and
	// still be taken for right, as long as nobody has seen it set.
	clocksApart = 10 * time.Minute

	rewindEvery = time.Minute
)

// pair is what the clock on the wall showed at a moment in time that has passed.
type pair struct{ wall, passed time.Time }

// gained is how much the wall is ahead of where it should be by an earlier pair.
func (p pair) gained(since pair) time.Duration {
	return p.wall.Sub(since.wall) - p.passed.Sub(since.passed)
}

func newClock(now func() time.Time) *clock {
	first := pair{now().Round(0), time.Now()}
	return &clock{now: now, began: first, last: first}
}

// steady reports that the clock has not been set since the last look, for certain and
// at next to no cost. If not, it is to be looked at.
func (c *clock) steady(p pair) bool {
	return (p.gained(c.began) - time.Duration(c.apart.Load())).Abs() < clockTolerance/4
}

// look returns by how much the clock was set since the last look, or 0.
func (c *clock) look(calm time.Duration) (by time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	before := time.Now()
	p := pair{c.now().Round(0), time.Now()}
	if p.passed.Sub(before) > clockTolerance/4 {
		return 0 // we were stopped in between: the next look is better
	}
	by = p.gained(c.last)
	c.last = p
	c.apart.Store(int64(p.gained(c.began)))
	if by.Abs() < clockTolerance {
		return 0
	}
	c.calm = p.passed.Add(calm)
	if by > 0 {
		c.forward = p.wall.Add(-by)
	} else if before := p.wall.Add(-by); before.After(c.back) {
		c.back = before
	}
	return by
}

// calms is how long to claim nothing.
func (c *clock) calms() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Until(c.calm)
}

// excuses reports whether a claim is to be attempted although it seems too old.
func (c *clock) excuses(k *ledger.Claim) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return k.Attempt == 1 && !c.forward.IsZero() && !k.Accepted.After(c.forward)
}

// skew is how far ahead of us a clock may be and be right, and how often to look for
// what was written by one that was not. Until a clock that was set back shows again what
// it showed before, what it wrote then may come to light.
func (c *clock) skew(now time.Time) (skew, every time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now.Before(c.back) {
		return clockTolerance, 0
	}
	return clocksApart, rewindEvery
}

// now is the time that has passed and the one on the wall, when what is to be done if
// that was set has been done.
func (c *crew) now(hard context.Context) (passed, wall time.Time) {
	passed, wall = time.Now(), c.d.o.Now()
	if c.clock.steady(pair{wall.Round(0), passed}) {
		return passed, wall
	}
	c.watchClock(hard)
	return time.Now(), c.d.o.Now()
}

// watchClock does what is to be done when the clock was set. Looking costs next to
// nothing.
func (c *crew) watchClock(hard context.Context) {
	by := c.clock.look(c.d.o.Lease / 2)
	if by == 0 {
		return
	}
	c.lease.lapse()
	c.d.o.Log.Warn("the clock was set, or the machine has slept; what waits is looked at again", "by", by)
	for _, l := range c.all() {
		l.clockSet()
	}
	c.renew(hard, false)
}

// rewind brings forward what waits for a time that nobody can have meant.
func (c *crew) rewind(hard context.Context, skew time.Duration) {
	l, ok := c.d.o.Ledger.(ledger.Rewinder)
	if !ok {
		return
	}
	ctx, cancel := context.WithTimeout(hard, c.d.o.Lease/3)
	defer cancel()
	n, err := l.Rewind(ctx, ledger.Rewind{Now: c.d.o.Now(), Skew: skew, Most: c.longest() + clocksApart, Lease: c.d.o.Lease})
	if err != nil {
		if hard.Err() == nil {
			c.d.trouble("", "look for what a wrong clock has left behind", err)
		}
		return
	}
	if n > 0 {
		c.d.o.Log.Warn("what a clock that was ahead had put off was brought forward", "count", n)
		c.wake("")
	}
}

// longest is the longest that anything in the ledger is made to wait.
func (c *crew) longest() time.Duration {
	longest := max(retryAfterMax, c.d.o.Lease)
	for _, l := range c.all() {
		longest = max(longest, l.Backoff.Max)
	}
	return longest
}

// clockSet forgets what the lane waits for by a clock that shows another time now.
// The ledger knows whether the channel rests.
func (l *lane) clockSet() {
	l.mu.Lock()
	l.ask, l.not, l.next = true, time.Time{}, time.Time{}
	l.paused.until.set(time.Time{})
	l.paused.unstored = time.Time{}
	l.mu.Unlock()
	nudge(l.awake)
}
