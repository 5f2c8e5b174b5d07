package email

import (
	"context"
	"slices"
	"time"
)

// do has a session attempt the letter. When ctx or the pool's patience ends before the
// letter was handed to a session it is simply taken back. When ctx ends afterwards, the
// session is given up with all that is under way in it, for there is no other way to
// stop a message half-way.
func (p *pool) do(ctx context.Context, m letter) result {
	j := newJob(m)
	if !p.submit(j) {
		return result{relay: p.relays[0], err: at(opening, errClosed)}
	}
	patience := time.AfterFunc(p.wait, func() { p.takeBack(j, errCrowded) })
	defer patience.Stop()
	select {
	case r := <-j.done:
		return r
	case <-ctx.Done():
	}
	p.cancel(j)
	r := <-j.done // soon: its session is closed
	if _, answered := replyOf(r.err); !answered {
		r.err = withCause(ctx, r.err)
	}
	return r
}

func (p *pool) submit(j *job) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	p.queue = append(p.queue, j)
	p.match()
	return true
}

func (p *pool) cancel(j *job) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case j.on != nil:
		j.on.abort()
	case p.inUse() == 0:
		p.remove(j, errWaiting)
	default:
		p.remove(j, errBusy)
	}
}

// takeBack ends an attempt that no session has taken up.
func (p *pool) takeBack(j *job, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.inUse() == 0 {
		err = errWaiting
	}
	if j.on == nil {
		p.remove(j, err)
	}
}

// remove ends an attempt that is queued, if it is. The caller holds the lock.
func (p *pool) remove(j *job, err error) {
	i := slices.Index(p.queue, j)
	if i < 0 {
		return // it is done
	}
	p.queue = slices.Delete(p.queue, i, i+1)
	j.done <- result{relay: p.relays[0], err: at(opening, err)}
	if len(p.queue) == 0 && p.opening > 0 {
		p.abandon() // nobody waits for these sessions any more
		p.openers, p.abandon = context.WithCancel(context.Background())
	}
}
