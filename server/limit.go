package server

import (
	"sync"
	"time"
)

// Rate is how many requests one token or input may make. Every process counts for
// itself.
type Rate struct {
	PerMinute int // sustained; 0: 600
	Burst     int // at once; 0: 100
}

func (r Rate) filled() Rate {
	if r.PerMinute <= 0 {
		r.PerMinute = 600
	}
	if r.Burst <= 0 {
		r.Burst = 100
	}
	return r
}

// limiter keeps to a rate for each of many callers, by the generic cell rate
// algorithm: one time a caller, which says when all it has used is paid off. The zero
// value is ready.
type limiter struct {
	mu    sync.Mutex
	paid  map[string]time.Time
	swept time.Time
}

// take uses one request of a caller's, or says how long to wait for it.
func (l *limiter) take(who string, r Rate, now time.Time) (wait time.Duration, ok bool) {
	each := time.Minute / time.Duration(r.PerMinute)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sweep(now)
	paid := l.paid[who]
	if most := now.Add(time.Duration(r.Burst) * each); paid.Before(now) || paid.After(most) { // after: the clock was put back
		paid = now
	}
	next := paid.Add(each)
	if over := next.Sub(now) - time.Duration(r.Burst)*each; over > 0 {
		return over, false
	}
	l.paid[who] = next
	return 0, true
}

// sweep forgets who owes nothing.
func (l *limiter) sweep(now time.Time) {
	if l.paid != nil && now.Sub(l.swept).Abs() < time.Minute {
		return
	}
	l.swept = now
	old := l.paid
	l.paid = map[string]time.Time{}
	for who, t := range old {
		if t.After(now) {
			l.paid[who] = t
		}
	}
}
