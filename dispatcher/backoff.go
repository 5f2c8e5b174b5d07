package dispatcher

import (
	"math/rand/v2"
	"time"
)

// Backoff says how long to wait before another attempt. Attempts are bounded by
// age (a delivery's Expire), never by count. The zero value means one second,
// growing to five minutes.
type Backoff struct {
	Base time.Duration // the longest wait after the first failure; 0: one second
	Max  time.Duration // the longest wait there is; 0: five minutes
}

const (
	backoffBase = time.Second
	backoffMax  = 5 * time.Minute

	// No remote side can put a channel or a delivery to sleep for longer than
	// this, whatever its Retry-After says.
	retryAfterMax = time.Hour
)

func (b Backoff) filled() Backoff {
	if b.Base <= 0 {
		b.Base = backoffBase
	}
	if b.Max <= 0 {
		b.Max = backoffMax
	}
	b.Max = max(b.Base, b.Max)
	return b
}

// ceiling is the longest wait after the attempt-th failure in a row.
func (b Backoff) ceiling(attempt int) time.Duration {
	b = b.filled()
	wait := b.Base
	for range attempt - 1 {
		if wait >= b.Max/2 {
			return b.Max
		}
		wait *= 2
	}
	return wait
}

// wait is the time until the next attempt: full jitter, so that recipients who
// failed together do not come back together, and never less than the remote side
// asked for.
func (b Backoff) wait(attempt int, asked time.Duration) time.Duration {
	jitter := rand.N(b.ceiling(attempt)) + 1 //nolint:gosec // jitter is no secret
	return max(jitter, min(asked, retryAfterMax))
}
