package email

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// pool brings the messages that wait together with the sessions that have room for
// one. A message goes to a session that is waiting; if there is none it is queued, and
// one more session is opened as long as its relay may have more. A session asks for
// the next message when it can take one, so that whatever waits fills its window, and
// what does not wait is never held up for it.
//
// There is one lock. Nothing under it blocks.
type pool struct {
	dial   func(context.Context, *relay) (*session, error)
	relays []*relay      // the preferred ones first
	window int           // messages under way in a session, at most
	keep   time.Duration // how long an unused session stays open
	wait   time.Duration // how long a message waits for one
	doubt  time.Duration // how long it is believed to be alive
	log    *slog.Logger

	mu      sync.Mutex
	queue   []*job     // no session has them
	parked  []*session // they wait for a message; the latest used last, and taken first
	opening int        // sessions being opened
	free    int        // sessions with nothing under way that are about to ask for a message
	sweep   alarm      // ends what was parked for too long
	look    alarm      // takes back what has been queued for too long
	untold  []outcome  // attempts that are over, see end
	teller  alarm      // tells them
	closed  bool
	openers context.Context //nolint:containedctx // of all sessions being opened; ended when nobody waits for them any more
	abandon context.CancelFunc

	running sync.WaitGroup // goroutines of sessions
	done    sync.Pool      // of chan result: see job
}

func newPool(s settings, log *slog.Logger, dial func(context.Context, *relay) (*session, error)) *pool {
	p := &pool{dial: dial, window: s.Window, keep: s.IdleTimeout, wait: s.patience(), doubt: carefulAfter, log: log}
	for _, e := range s.endpoints {
		p.relays = append(p.relays, &relay{endpoint: e, limit: e.maxSessions, perSession: e.maxPerSession})
	}
	p.openers, p.abandon = context.WithCancel(context.Background())
	p.sweep.ring, p.look.ring, p.teller.ring = p.age, p.expire, p.tellInTime
	return p
}

func (p *pool) inUse() int {
	n := 0
	for _, r := range p.relays {
		n += r.open
	}
	return n
}

// match hands what is queued to waiting sessions, and opens more where that is not
// enough. The caller holds the lock.
func (p *pool) match(now time.Time) {
	busy := false
	for len(p.queue) > 0 {
		s := p.waiting(now)
		if s == nil {
			break
		}
		busy = busy || s.load > 0
		p.hand(s, p.assign(s, now))
	}
	p.grow(len(p.queue)-p.free, busy, now)
}

// waiting is the session to take the next message: one with nothing under way, the
// latest used first, or else the one with the least.
func (p *pool) waiting(now time.Time) *session {
	var best *session
	for _, s := range slices.Backward(p.parked) {
		if (best == nil || s.load < best.load) && p.mayTake(s.relay, now) {
			best = s
		}
		if best != nil && best.load == 0 {
			break
		}
	}
	return best
}

// mayTake leaves a relay alone that rests, and keeps to its rate. If it is too early,
// it has the queue looked at again when it no longer is.
func (p *pool) mayTake(r *relay, now time.Time) bool {
	if now.Before(r.restUntil) && p.hasAlternative(now) {
		return false
	}
	wait := r.early(now)
	if wait <= 0 {
		return true
	}
	if !r.timed {
		r.timed = true
		time.AfterFunc(wait, func() {
			p.mu.Lock()
			defer p.mu.Unlock()
			r.timed = false
			p.match(time.Now())
		})
	}
	return false
}

// assign gives the first of the queue to s.
func (p *pool) assign(s *session, now time.Time) *job {
	j := p.queue[0]
	p.queue[0] = nil
	p.queue = p.queue[1:]
	if !p.enough() {
		p.tell()
	}
	s.relay.count(now)
	j.on, j.left = s, j.until.Sub(now)
	j.fresh = s.used == 0
	j.dsn = s.asksFor(j, now)
	j.reset = s.dirty || s.mode == chunked && s.load > 0
	j.careful = s.mode == chunked && s.load == 0 && s.used > 0 && now.Sub(s.since) > p.doubt
	if j.careful {
		j.answers = make(chan error, 1)
	}
	s.load++
	s.used++
	return j
}

// hand wakes a parked session with a message, or with nil to make it look around.
func (p *pool) hand(s *session, j *job) {
	p.unpark(s)
	s.waits = false
	s.in <- j
}

func (p *pool) unpark(s *session) {
	if i := slices.Index(p.parked, s); i >= 0 {
		p.parked = slices.Delete(p.parked, i, i+1)
	}
}

// take returns a message that waits, or nil.
func (p *pool) take(s *session) *job {
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.setFree(s, false)
	return p.takeLocked(s, now)
}

// setFree keeps count of the sessions for whose sake no others need be opened.
func (p *pool) setFree(s *session, free bool) {
	switch {
	case free && !s.free:
		p.free++
	case !free && s.free:
		p.free--
	}
	s.free = free
}

func (p *pool) takeLocked(s *session, now time.Time) *job {
	if s.done() || s.load >= s.window || len(p.queue) == 0 || !p.mayTake(s.relay, now) {
		return nil
	}
	return p.assign(s, now)
}

// next waits for a message. Nil means that the session is to end.
func (p *pool) next(s *session) *job {
	for {
		now := time.Now()
		p.mu.Lock()
		p.setFree(s, false)
		if j := p.takeLocked(s, now); j != nil {
			p.mu.Unlock()
			return j
		}
		if s.done() || p.closed {
			p.mu.Unlock()
			return nil
		}
		p.await(s, now)
		p.mu.Unlock()
		if j := <-s.in; j != nil {
			return j
		}
	}
}

// await notes that s waits. It is parked only while it has room for a message.
func (p *pool) await(s *session, now time.Time) {
	s.waits = true
	if s.load < s.window {
		p.park(s, now)
	}
}

func (p *pool) park(s *session, now time.Time) {
	s.since = now
	p.parked = append(p.parked, s)
	p.sweep.by(now.Add(p.keep), now)
}

// finish ends an attempt.
func (p *pool) finish(s *session, j *job, answer string, err error) {
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	j.on = nil
	s.load--
	again := j.fallsBack(err) || p.failsOver(s, j, err, now)
	if !again {
		if err == nil {
			p.noteBare(s.relay, j, now)
		}
		p.end(j, result{relay: s.relay, answer: answer, err: err})
	}
	s.note(err, p.window)
	p.setFree(s, s.load == 0 && !s.waits && !s.done() && !again)
	p.stir(s, now)
	if again { // only now that it is known what s is good for
		p.requeue(j, now)
	}
}

// giveBack puts a message of which the relay has looked at nothing back to the head of
// the queue. That happens to a message only once: then it is an attempt that failed.
func (p *pool) giveBack(s *session, j *job, err error) {
	if j.tries > 0 {
		p.finish(s, j, "", err)
		return
	}
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	j.on = nil
	s.load--
	p.requeue(j, now)
}

// requeue puts j to the head of the queue, for as long as it had left to wait.
func (p *pool) requeue(j *job, now time.Time) {
	j.tries++
	j.heard, j.refusal, j.sent, j.answers = 0, nil, false, nil
	p.enqueue(0, j, j.left, now)
}

// stir wakes a session that waits, if what has changed concerns it.
func (p *pool) stir(s *session, now time.Time) {
	switch {
	case !s.waits:
	case s.drains:
		if s.load == 0 || s.broken {
			p.hand(s, nil)
		}
	case s.done():
		p.hand(s, nil)
	case s.load < s.window && !slices.Contains(p.parked, s):
		if j := p.takeLocked(s, now); j != nil {
			p.hand(s, j)
			return
		}
		p.park(s, now)
	case s.load == 0:
		s.since = now
	}
}

// drain waits until nothing is under way in s, which takes nothing more.
func (p *pool) drain(s *session) {
	p.mu.Lock()
	if s.load == 0 || s.broken {
		p.mu.Unlock()
		return
	}
	s.drains, s.waits = true, true
	p.mu.Unlock()
	<-s.in
}

// broke notes that nothing more can be said on s.
func (p *pool) broke(s *session) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s.broken = true
	p.setFree(s, false)
	p.stir(s, time.Now())
}

// age ends the sessions that were idle for long enough.
func (p *pool) age() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sweep.off()
	again, now := p.keep, time.Now()
	for _, s := range slices.Clone(p.parked) {
		switch left := p.keep - now.Sub(s.since); {
		case s.load > 0:
		case left <= 0:
			s.leaves = true
			p.hand(s, nil)
		default:
			again = min(again, left)
		}
	}
	if len(p.parked) > 0 && !p.closed {
		p.sweep.by(now.Add(again), now)
	}
}

// close ends all sessions and waits until they are gone. No attempt is under way.
func (p *pool) close() {
	p.mu.Lock()
	p.closed = true
	p.abandon()
	p.tell()
	for _, a := range []*alarm{&p.sweep, &p.look, &p.teller} {
		a.stop()
	}
	for _, s := range slices.Clone(p.parked) {
		p.hand(s, nil)
	}
	p.mu.Unlock()
	p.running.Wait()
}

// isCanceled reports that a session was not opened because nobody waited for it.
func isCanceled(ctx context.Context, err error) bool {
	return ctx.Err() != nil && errors.Is(err, context.Canceled)
}
