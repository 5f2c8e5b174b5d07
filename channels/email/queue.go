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
	j := &job{letter: m, done: p.channel()}
	if !p.submit(j) {
		return result{relay: p.relays[0], err: at(opening, errClosed)}
	}
	select {
	case r := <-j.done:
		p.done.Put(j.done)
		return r
	case <-ctx.Done():
	}
	p.cancel(j)
	r := <-j.done // soon: its session is closed
	p.done.Put(j.done)
	if _, answered := replyOf(r.err); !answered {
		r.err = withCause(ctx, r.err)
	}
	return r
}

// channel is an empty one for a job's result.
func (p *pool) channel() chan result {
	if c, ok := p.done.Get().(chan result); ok {
		return c
	}
	return make(chan result, 1)
}

func (p *pool) submit(j *job) bool {
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	p.enqueue(len(p.queue), j, p.wait, now)
	return true
}

// enqueue puts j where it belongs in the queue, for wait at most. The caller holds the
// lock.
func (p *pool) enqueue(i int, j *job, wait time.Duration, now time.Time) {
	j.until = now.Add(wait)
	p.queue = slices.Insert(p.queue, i, j)
	p.match(now)
	if j.on == nil && !j.ended {
		p.look.by(j.until, now)
	}
}

// expire takes back what no session has taken up in time, wherever in the queue it is.
func (p *pool) expire() {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	err := errCrowded
	if p.inUse() == 0 {
		err = errWaiting
	}
	var next time.Time
	before := len(p.queue)
	p.queue = slices.DeleteFunc(p.queue, func(j *job) bool {
		if !j.until.After(now) {
			p.takeBack(j, err)
			return true
		}
		if next.IsZero() || j.until.Before(next) {
			next = j.until
		}
		return false
	})
	if len(p.queue) < before {
		p.unwanted()
	}
	if p.look.off(); !next.IsZero() {
		p.look.by(next, now)
	}
}

// cancel ends an attempt whose time is over.
func (p *pool) cancel(j *job) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if j.on != nil {
		j.on.abort()
		return
	}
	i := slices.Index(p.queue, j)
	if i < 0 {
		return // it is done
	}
	p.queue = slices.Delete(p.queue, i, i+1)
	if p.inUse() == 0 {
		p.takeBack(j, errWaiting)
	} else {
		p.takeBack(j, errBusy)
	}
	p.unwanted()
}

// takeBack ends an attempt that is no longer queued and that no session has.
func (p *pool) takeBack(j *job, err error) {
	p.end(j, result{relay: p.relays[0], err: at(opening, err)})
}

// unwanted stops opening sessions that nobody waits for any more. The caller holds the
// lock.
func (p *pool) unwanted() {
	if len(p.queue) == 0 && p.opening > 0 {
		p.abandon()
		p.openers, p.abandon = context.WithCancel(context.Background())
	}
}
