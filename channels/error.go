package channels

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// Fault is why an attempt failed. The set is closed: it is also a metric label.
type Fault string

// The faults. What the dispatcher does about each follows from the fault alone.
const (
	Unavailable  Fault = "unavailable"  // try again with back-off
	RateLimited  Fault = "rate_limited" // pause the whole channel for RetryAfter
	Unauthorized Fault = "unauthorized" // pause the whole channel, tell the operator
	NoRecipient  Fault = "no_recipient" // give up on this recipient, suppress the address
	Rejected     Fault = "rejected"     // give up on this delivery
	Ambiguous    Fault = "ambiguous"    // it may have arrived: reconcile first, then the channel's policy
)

// Faults returns all faults. The slice is the caller's.
func Faults() []Fault {
	return []Fault{Unavailable, RateLimited, Unauthorized, NoRecipient, Rejected, Ambiguous}
}

// Valid reports whether f is one of the closed set.
func (f Fault) Valid() bool { return slices.Contains(Faults(), f) }

// Final reports that another attempt of the same delivery would be of no use.
func (f Fault) Final() bool { return f == NoRecipient || f == Rejected }

// OfChannel reports that the fault concerns the whole channel, not one recipient:
// no other delivery of the channel is attempted until the pause is over.
func (f Fault) OfChannel() bool { return f == RateLimited || f == Unauthorized }

// Error is how an attempt failed. Err is for people (the operator at 3 am): what
// happened and why, with the remote side's own words, and without credentials.
type Error struct {
	Fault      Fault
	RetryAfter time.Duration // what the remote side asked for; zero if it said nothing
	Err        error
}

func (e *Error) Error() string { return e.Err.Error() }
func (e *Error) Unwrap() error { return e.Err }

// Errorf makes an *Error of a fault and a message, wrapping with %w as fmt.Errorf
// does.
func Errorf(f Fault, format string, args ...any) *Error {
	return &Error{Fault: f, Err: fmt.Errorf(format, args...)}
}

// FaultOf is the fault in err's chain and the wait it asks for. An error nobody
// classified is Unavailable, because trying again is the safer mistake. A nil
// error has no fault: "".
func FaultOf(err error) (Fault, time.Duration) {
	if err == nil {
		return "", 0
	}
	if e, ok := errors.AsType[*Error](err); ok && e.Fault.Valid() {
		return e.Fault, e.RetryAfter
	}
	return Unavailable, 0
}
