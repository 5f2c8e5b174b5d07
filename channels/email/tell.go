package email

import "time"

const (
	// together is how many attempts are told together how they ended, and how many others
	// have to wait for that.
	together = 16

	// longestUntold is how long an attempt that has ended waits at most until it is told.
	longestUntold = 5 * time.Millisecond
)

// outcome is how an attempt ended, and whose it is.
type outcome struct {
	j *job
	r result
}

// end ends an attempt, unless it has ended. To wake who waits for it costs nearly as much
// as its message did: another thread of ours is woken, and that often on the very core
// which a relay on this machine works on. So while others wait who keep the sessions
// busy, several attempts are told together, none later than longestUntold after its end.
// The caller holds the lock.
func (p *pool) end(j *job, r result) {
	if j.ended {
		return
	}
	j.ended = true
	p.untold = append(p.untold, outcome{j, r})
	switch {
	case len(p.untold) >= together || !p.enough():
		p.tell()
	case len(p.untold) == 1: // who comes after it is told with it
		now := time.Now()
		p.teller.by(now.Add(longestUntold), now)
	}
}

// enough reports that so many messages are queued that nobody is missed who could bring
// another one. The caller holds the lock.
func (p *pool) enough() bool { return len(p.queue) >= together }

func (p *pool) tellInTime() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.teller.off()
	p.tell()
}

// tell tells all attempts that were not told yet. The caller holds the lock.
func (p *pool) tell() {
	for _, o := range p.untold {
		o.j.done <- o.r // which has room for it
	}
	clear(p.untold) // nobody's message is held on to
	p.untold = p.untold[:0]
}
