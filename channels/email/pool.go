package email

import (
	"context"
	"slices"
	"sync"
	"time"
)

// pool keeps sessions for the next message. A slot is the right to have a session
// in use: there are never more sessions in use than slots, and a new one is opened
// only when none is idle, so there are never more open either.
type pool struct {
	dial       func(context.Context) (*session, error)
	slots      chan struct{}
	perSession int
	keep       time.Duration // how long an idle session stays open

	mu     sync.Mutex
	idle   []*session  // the latest used last; it is taken first, so a burst's surplus ages
	sweep  *time.Timer // due when the oldest idle one may have aged; nil before the first
	armed  bool
	closed bool

	leaving sync.WaitGroup // sessions saying goodbye
}

func newPool(dial func(context.Context) (*session, error), s settings) *pool {
	return &pool{dial: dial, slots: make(chan struct{}, s.MaxSessions), perSession: s.MaxPerSession, keep: s.IdleTimeout}
}

// get returns a session bound to ctx, an idle one if there is one, and whether it
// was used before. The caller gives it back with put.
func (p *pool) get(ctx context.Context) (s *session, reused bool, err error) {
	select {
	case p.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, false, at(opening, withCause(ctx, errBusy))
	}
	if s := p.take(); s != nil {
		s.unbind = bind(ctx, s.wire)
		return s, true, nil
	}
	s, err = p.open(ctx)
	return s, false, err
}

// replace closes a session that turned out to be dead and opens one in its place.
func (p *pool) replace(ctx context.Context, s *session) (*session, error) {
	s.unbind()
	_ = s.wire.Close() // it is dead
	return p.open(ctx)
}

// open opens a session in a slot that the caller has; if it fails, the slot is free again.
func (p *pool) open(ctx context.Context) (*session, error) {
	s, err := p.dial(ctx)
	if err != nil {
		<-p.slots
		return nil, err
	}
	s.unbind = bind(ctx, s.wire)
	return s, nil
}

func (p *pool) take() *session {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.idle) == 0 {
		return nil
	}
	last := len(p.idle) - 1
	s := p.idle[last]
	p.idle[last] = nil
	p.idle = p.idle[:last]
	return s
}

// put gives a session back: for the next message if it is good for one, and otherwise
// to be closed, which nobody waits for but Close.
func (p *pool) put(s *session) {
	if !s.unbind() {
		s.broken = true // the context ended a moment ago and has closed it
	}
	if s.broken || s.used >= p.perSession || s.refusals >= maxRefusals || !p.park(s) {
		p.leaving.Go(func() {
			s.quit()
			<-p.slots // only now: the relay counts it until then
		})
		return
	}
	<-p.slots
}

// park puts a session among the idle ones, unless the pool is closed.
func (p *pool) park(s *session) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	s.since = time.Now()
	p.idle = append(p.idle, s)
	p.arm(p.keep)
	return true
}

// arm has the sweep run after d, unless it is due anyhow. The caller holds the lock.
func (p *pool) arm(d time.Duration) {
	switch {
	case p.armed:
		return
	case p.sweep == nil:
		p.sweep = time.AfterFunc(d, p.age)
	default:
		p.sweep.Reset(d)
	}
	p.armed = true
}

// age closes the sessions that were idle for long enough.
func (p *pool) age() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.armed = false
	n := 0 // the oldest come first
	for n < len(p.idle) && time.Since(p.idle[n].since) >= p.keep {
		p.leaving.Go(p.idle[n].quit)
		n++
	}
	p.idle = slices.Delete(p.idle, 0, n)
	if len(p.idle) > 0 && !p.closed {
		p.arm(p.keep - time.Since(p.idle[0].since))
	}
}

// close ends all sessions and waits until they are gone. No attempt is under way.
func (p *pool) close() {
	p.mu.Lock()
	p.closed = true
	if p.sweep != nil {
		p.sweep.Stop()
	}
	for _, s := range p.idle {
		p.leaving.Go(s.quit)
	}
	p.idle = nil
	p.mu.Unlock()
	p.leaving.Wait()
}
