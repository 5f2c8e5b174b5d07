package email

import (
	"net"
	"sync"
	"time"
)

// mostLate bounds how much later than asked for a deadline comes, see deadline.
const mostLate = time.Second

// deadline is one of a connection's two, for reading or for writing. To move it costs
// more than all else that happens for an answer, and it is never needed to the
// millisecond. So it is set a little later than asked for, and then stays as long as
// that is right for what is asked next. Nobody else may set it. It is safe for
// concurrent use; the zero value is one that nobody has set.
type deadline struct {
	mu sync.Mutex
	at time.Time
}

// in has the deadline come once d is over: never sooner, and at most a hundredth of d,
// or a second, later.
func (l *deadline) in(d time.Duration, set func(time.Time) error) error {
	soonest := time.Now().Add(d)
	latest := soonest.Add(min(d/100, mostLate))
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.at.Before(soonest) && !l.at.After(latest) {
		return nil
	}
	if err := set(latest); err != nil {
		return err
	}
	l.at = latest
	return nil
}

// over has it come now, whatever was asked for.
func (l *deadline) over(set func(time.Time) error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.at = time.Unix(1, 0)
	return set(l.at)
}

// ear is how a session hears its relay. What the relay has said already costs neither a
// deadline nor a look at the clock: the time for an answer begins when it has to be
// waited for. It belongs to the goroutine that reads, but for limit.
type ear struct {
	conn  net.Conn
	limit deadline
	next  time.Duration // how long the relay has from the next Read on; zero: as long as is left
}

// Read waits for the relay.
func (e *ear) Read(p []byte) (int, error) {
	if d := e.next; d > 0 {
		e.next = 0
		if err := e.limit.in(d, e.conn.SetReadDeadline); err != nil {
			return 0, err
		}
	}
	return e.conn.Read(p)
}
