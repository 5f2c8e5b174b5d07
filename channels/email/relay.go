package email

import (
	"context"
	"errors"
	"time"

	"sitrep/channels"
)

// How long a relay is left alone when there is another one: doubling from the first
// to the last. And how long a relay that allows fewer sessions than configured is
// believed to go on doing so.
const (
	firstRest  = 5 * time.Second
	lastRest   = 5 * time.Minute
	limitLasts = time.Minute
)

// relay is an endpoint and how it fares. All of it is under the pool's lock.
type relay struct {
	*endpoint
	open    int // sessions, those that are saying goodbye included
	opening int

	limit      int       // sessions that it seems to allow
	perSession int       // messages in each that it seems to allow
	limitedAt  time.Time // when either was learnt; zero: they are as configured

	rests     int       // in a row
	restUntil time.Time // it is left alone, if there is another one

	bareUntil time.Time // reports are not asked for, see noteBare

	due   time.Time // when the next message would be on time, if all came evenly
	timed bool      // the queue is looked at again when it is due
}

// early is how long it is until the relay's rate allows a message. A second's worth
// may come at once.
func (r *relay) early(now time.Time) time.Duration {
	if r.interval == 0 || !r.due.After(now) {
		return 0
	}
	return r.due.Sub(now) - max(time.Second-r.interval, 0)
}

// count notes that a message was given to one of its sessions.
func (r *relay) count(now time.Time) {
	if r.interval == 0 {
		return
	}
	if r.due.Before(now) {
		r.due = now
	}
	r.due = r.due.Add(r.interval)
}

// hasRoom reports whether it may have one more session. What was learnt about its
// limits is doubted after a while, step by step.
func (r *relay) hasRoom(now time.Time) bool {
	if !r.limitedAt.IsZero() && now.Sub(r.limitedAt) > limitLasts {
		r.limit, r.perSession, r.limitedAt = min(r.limit+1, r.maxSessions), min(2*r.perSession, r.maxPerSession), now
		if r.limit == r.maxSessions && r.perSession == r.maxPerSession {
			r.limitedAt = time.Time{}
		}
	}
	return r.open+r.opening < r.limit
}

// rest leaves the relay alone for a while.
func (r *relay) rest(now time.Time) time.Duration {
	if now.Before(r.restUntil) {
		return 0 // sessions that fail together count once
	}
	d := firstRest << min(r.rests, 10)
	d = min(d, lastRest)
	r.rests++
	r.restUntil = now.Add(d)
	return d
}

// grow opens sessions for n messages that wait, and one more if those that there are
// have much to do. The caller holds the pool's lock.
func (p *pool) grow(n int, busy bool, now time.Time) {
	if busy {
		n = max(n, 1)
	}
	for !p.closed && p.opening < n {
		r := p.choose(now)
		if r == nil {
			return
		}
		r.opening++
		p.opening++
		ctx := p.openers
		p.running.Go(func() { p.run(ctx, r) })
	}
}

// choose is the relay to open a session with: of the most preferred ones that do not
// rest the one with the fewest sessions, or nil if none of these may have more. If
// all rest, it is the one that has rested most.
func (p *pool) choose(now time.Time) *relay {
	var best, rested *relay
	for _, r := range p.relays {
		if best != nil && r.priority != best.priority {
			break
		}
		switch {
		case now.Before(r.restUntil):
			if rested == nil || r.restUntil.Before(rested.restUntil) {
				rested = r
			}
		case best == nil || r.open+r.opening < best.open+best.opening:
			best = r
		}
	}
	if best == nil {
		best = rested
	}
	if best == nil || !best.hasRoom(now) || best.early(now) > 0 {
		return nil
	}
	return best
}

// run is the life of a session.
func (p *pool) run(ctx context.Context, r *relay) {
	s, err := p.dial(ctx, r)
	if err != nil {
		p.failed(ctx, r, err)
		return
	}
	p.opened(r, s)
	s.work(p)
	s.quit()
	p.mu.Lock()
	p.setFree(s, false)
	r.open-- // only now: the relay counts it until then
	p.match(time.Now())
	p.mu.Unlock()
}

func (p *pool) opened(r *relay, s *session) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r.opening--
	p.opening--
	r.open++
	r.rests, r.restUntil = 0, time.Time{}
	s.window = s.mode.window(p.window)
	p.setFree(s, true)
}

// failed deals with a session that could not be opened. As long as the relay has
// others, or they are being opened, it seems to allow no more than these. Otherwise another relay is tried, and
// if there is none left, what waits has failed.
func (p *pool) failed(ctx context.Context, r *relay, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r.opening--
	p.opening--
	now := time.Now()
	switch {
	case isCanceled(ctx, err):
	case r.open+r.opening > 0:
		r.limit, r.limitedAt = r.open+r.opening, now
		p.log.Debug("the mail relay allows no more sessions for now", "relay", r.address, "sessions", r.limit)
	default:
		r.limit, r.limitedAt = r.maxSessions, time.Time{} // nothing works, so nothing is known
		p.restRelay(r, now, err)
		if p.opening == 0 && p.inUse() == 0 && !p.hasAlternative(now) {
			p.failAll(r, err)
		}
	}
	p.match(now)
}

// heed learns from a 421 in a session that had worked how many messages the relay
// wants in one.
func (p *pool) heed(s *session, r reply) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := s.used - s.load; n > 0 && isTooMuch(r) {
		s.relay.perSession, s.relay.limitedAt = min(s.relay.perSession, n), time.Now()
	}
}

// restRelay leaves a relay alone if there are others.
func (p *pool) restRelay(r *relay, now time.Time, err error) {
	if len(p.relays) == 1 {
		return
	}
	if d := r.rest(now); d > 0 {
		p.log.Warn("a mail relay is left alone for a while; the others go on", "relay", r.address, "for", d,
			"error", r.explain(err, letter{}).Error())
	}
}

// hasAlternative reports whether there is a relay that does not rest.
func (p *pool) hasAlternative(now time.Time) bool {
	for _, r := range p.relays {
		if len(p.relays) > 1 && !now.Before(r.restUntil) {
			return true
		}
	}
	return false
}

func (p *pool) failAll(r *relay, err error) {
	all := p.queue
	p.queue = nil
	for _, j := range all {
		p.end(j, result{relay: r, err: err})
	}
}

// failsOver reports whether a message that a relay has put off because of itself, and
// not because of the message, is to be offered to another relay within the attempt.
func (p *pool) failsOver(s *session, j *job, err error, now time.Time) bool {
	if err == nil || len(p.relays) == 1 || j.tries > 0 {
		return false
	}
	where, ok := errors.AsType[*stageError](err)
	r, answered := replyOf(err)
	if !ok || !answered || where.at > recipient {
		return false
	}
	if fault, _ := classify(where.at, r); fault != channels.RateLimited && r.code != 421 {
		return false
	}
	p.restRelay(s.relay, now, err)
	return p.hasAlternative(now)
}
