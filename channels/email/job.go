package email

import (
	"context"
	"errors"
	"time"
)

// letter is one message to one recipient. Without a tail it is only a probe.
type letter struct {
	from, to string // addr-specs for the envelope
	key      string // of the delivery: [a-z0-9]
	utf8     bool   // one of them needs SMTPUTF8
	id       string // <key@domain>
	thread   thread
	head     []byte // the headers that are this recipient's alone
	tail     *body  // the rest, shared by all recipients of the rendering
}

// size is what MAIL announces.
func (m letter) size() int { return len(m.head) + len(m.tail.plain) }

// job is a letter on its way through the pool. Its attempt waits for done, and hands it
// on to another one's afterwards. Sessions may still hold the job then, so nobody writes
// to done but the pool, which does so once (see pool.end).
type job struct {
	letter
	done chan result // of one

	// Under the pool's lock.
	on    *session      // that has it; nil while it is queued and once it is done
	ended bool          // how is known, and told or about to be; done is not its own any more
	tries int           // sessions that gave it back without anything of it having been looked at
	bare  bool          // a relay did not understand how it was asked for reports: it is not any more
	until time.Time     // when it is taken back, while it is queued
	left  time.Duration // how long it may wait if it is queued again

	// Set when a session gets it, and its own from then on.
	fresh   bool // it is the first of its session
	reset   bool // an RSET goes before it
	dsn     bool // reports are asked for
	careful bool // nobody knows whether the session still lives: MAIL and RCPT first, the message when they are answered
	answers chan error

	heard   int   // answers read, of MAIL and RCPT
	refusal error // the first answer that is a no
	sent    bool  // all of it was handed to the network
}

// result is how an attempt ended.
type result struct {
	relay  *relay
	answer string // what the relay said when it took the message
	err    error
}

func newJob(m letter) *job { return &job{letter: m, done: make(chan result, 1)} }

// stage is where in the exchange something was said or went wrong.
type stage int

const (
	opening   stage = iota // until the session is ready, but for logging in
	loggingIn              // AUTH
	sender                 // MAIL FROM
	recipient              // RCPT TO
	sending                // DATA or BDAT and the message, up to its last octet
	answering              // the answer to the whole message
)

// stageError is an error and where it happened.
type stageError struct {
	at  stage
	err error
}

func (e *stageError) Error() string { return e.err.Error() }
func (e *stageError) Unwrap() error { return e.err }

func at(s stage, err error) error {
	if err == nil {
		return nil
	}
	return &stageError{s, err}
}

// overError is an error that happened because the time was over.
type overError struct{ cause, err error }

func (e *overError) Error() string   { return e.cause.Error() }
func (e *overError) Unwrap() []error { return []error{e.cause, e.err} }

// withCause says why ctx ended where that is what broke the connection.
func withCause(ctx context.Context, err error) error {
	if err == nil || ctx.Err() == nil {
		return err
	}
	return &overError{cause: context.Cause(ctx), err: err}
}

var (
	errConnectTimeout = errors.New("the relay was not ready within connect_timeout")
	errBusy           = errors.New("every session with the relay is in use")
	errWaiting        = errors.New("no session with the relay is open yet")
	errCrowded        = errors.New("no session with the relay was free in time")
	errClosed         = errors.New("the channel is closed")
	errNeighbour      = errors.New("the session was given up, because the time of another message in it was over")
	errNoUTF8         = errors.New("it does not take addresses with letters beyond ASCII before the @ (no SMTPUTF8); " +
		"use another address of this person")
)
