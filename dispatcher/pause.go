package dispatcher

import (
	"context"
	"sync/atomic"
	"time"

	"sitrep/channels"
	"sitrep/ledger"
)

// pause is a lane at rest, as far as this process knows. The ledger's word counts;
// this is what holds while it is being written.
type pause struct {
	until    moment    // no attempt begins before
	probing  bool      // after a pause, one attempt at a time until one gets through
	streak   int       // pauses in a row without an attempt that got through
	count    int       // pauses so far: tells an answer from before a pause from one after it
	stored   bool      // the ledger knows
	unstored time.Time // the ledger could not be told: ask it for nothing before
}

// moment is a time that can be read by anybody at any time. Its zero value is the zero
// time.
type moment struct{ at atomic.Pointer[time.Time] }

func (m *moment) get() time.Time {
	if t := m.at.Load(); t != nil {
		return *t
	}
	return time.Time{}
}

func (m *moment) set(t time.Time) { m.at.Store(&t) }

// How long a channel rests whose credentials are refused: somebody has to do
// something, and finds it working again within five minutes at most.
func unauthorizedPauses() Backoff { return Backoff{Base: time.Minute, Max: 5 * time.Minute} }

// resting reports whether this lane may not begin an attempt now.
func (l *lane) resting(now time.Time) bool { return now.Before(l.paused.until.get()) }

// rest pauses the whole channel for a fault. Workers that fail together make one
// pause, not a longer one each.
func (l *lane) rest(hard context.Context, f channels.Fault, asked time.Duration, detail string) {
	now := l.d.o.Now()
	l.mu.Lock()
	p := &l.paused
	if fresh := !now.Before(p.until.get()); fresh {
		p.streak++
	}
	until := now.Add(l.pauseFor(f, asked))
	longer := until.After(p.until.get())
	if longer {
		p.until.set(until)
		p.stored = false
		p.count++
	}
	p.probing = true
	count := p.count
	l.mu.Unlock()
	if longer {
		l.tellPause(hard, ledger.Pause{Channel: l.ID, Until: until, Fault: f, Detail: detail, Since: now}, count)
	}
}

// pauseFor is called with mu held.
func (l *lane) pauseFor(f channels.Fault, asked time.Duration) time.Duration {
	asked = min(asked, retryAfterMax)
	switch {
	case f == channels.Unauthorized:
		return max(asked, unauthorizedPauses().ceiling(l.paused.streak))
	case asked > 0:
		return asked
	default:
		return l.Backoff.ceiling(l.paused.streak)
	}
}

func (l *lane) tellPause(hard context.Context, p ledger.Pause, count int) {
	ctx, cancel := context.WithTimeout(hard, l.d.o.Lease/2)
	defer cancel()
	err := l.d.o.Ledger.Pause(ctx, p)
	l.mu.Lock()
	if count == l.paused.count {
		l.paused.stored = err == nil
		l.paused.unstored = time.Time{}
		if err != nil {
			l.paused.unstored = p.Until
		}
	}
	l.mu.Unlock()
	if err != nil && hard.Err() == nil {
		l.d.trouble(l.ID, "record that the channel rests", err)
	}
	l.d.o.Record.Up(l.ID, false)
	l.d.o.Log.Warn("the channel rests", "channel", l.ID, "until", p.Until, "fault", string(p.Fault), "detail", p.Detail)
	l.d.event(Event{Kind: EventPaused, Channel: l.ID, Fault: p.Fault, Detail: p.Detail, Until: p.Until})
}

// heedPause takes over what the ledger says about the channel's pause: another
// process may have set one, or a person lifted ours. It reports whether the pause is
// to be lifted, and is called with mu held.
func (l *lane) heedPause(told *ledger.Pause, pauses int, first bool) (lift bool) {
	p := &l.paused
	switch {
	case told == nil && p.stored && pauses == p.count && l.d.o.Now().Before(p.until.get()):
		p.until.set(time.Time{}) // lifted
		l.ask = true
	case told == nil:
	case first && told.Fault == channels.Unauthorized:
		// Whoever starts the program may just have mended the credentials: try
		// once, now.
		p.probing = true
		return true
	default:
		if told.Until.After(p.until.get()) {
			p.until.set(told.Until)
			p.stored = true
			p.count++
		}
		if !p.probing {
			p.probing = true
			l.d.o.Record.Up(l.ID, false)
			l.d.event(Event{Kind: EventPaused, Channel: l.ID, Fault: told.Fault, Detail: told.Detail, Until: told.Until})
		}
	}
	return false
}

func (l *lane) liftPause(ctx context.Context) {
	if err := l.d.o.Ledger.Pause(ctx, ledger.Pause{Channel: l.ID}); err != nil {
		l.d.trouble(l.ID, "lift the channel's pause", err)
		return
	}
	l.wake()
}

// gotThrough follows an attempt, begun at started, that the remote side has judged
// by itself: if it was the probe after a pause, the channel works again.
func (l *lane) gotThrough(started time.Time) {
	l.mu.Lock()
	p := &l.paused
	over := p.probing && !started.Before(p.until.get())
	if over {
		p.probing, p.streak, p.unstored = false, 0, time.Time{}
	}
	l.mu.Unlock()
	if !over {
		return
	}
	l.d.o.Record.Up(l.ID, true)
	l.d.o.Log.Info("the channel works again", "channel", l.ID)
	l.d.event(Event{Kind: EventResumed, Channel: l.ID})
	l.wake()
}
