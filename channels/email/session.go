package email

import (
	"context"
	"errors"
	"net"
	"time"

	"github.com/emersion/go-smtp"
)

// stage is where in the exchange something was said or went wrong.
type stage int

const (
	opening   stage = iota // until the session is ready, but for logging in
	loggingIn              // AUTH
	sender                 // MAIL FROM
	recipient              // RCPT TO
	sending                // DATA and the message, up to the final dot
	answering              // the answer to the final dot
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

// maxRefusals is how many refused recipients a session survives. Relays slow down and
// then cut off a session with many (Postfix: from 10 and at 20), which would
// harm the good ones after them.
const maxRefusals = 5

// session is one connection to the relay, ready for a transaction. It belongs to
// one attempt at a time.
type session struct {
	wire   *wire
	client *smtp.Client
	unbind func() bool // ends the watch over the attempt's context

	used     int  // transactions begun
	refusals int  // of them, those that the relay refused
	utf8     bool // the relay takes addresses beyond ASCII (RFC 6531)
	open     bool // a transaction is under way
	broken   bool // nothing more can be said on it
	since    time.Time
	head     []byte // kept for its memory
}

// dial opens a session: connection, TLS, greeting, EHLO, AUTH.
func (s *settings) dial(ctx context.Context) (*session, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, s.ConnectTimeout, errConnectTimeout)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", s.address)
	if err != nil {
		return nil, at(opening, withCause(ctx, err))
	}
	w := &wire{Conn: conn}
	unbind := bind(ctx, w)
	client, err := s.introduce(ctx, w)
	if err == nil && !unbind() {
		err = at(opening, context.Cause(ctx))
	}
	if err != nil {
		_ = w.Close() // nothing was begun that closing could spoil
		return nil, withCause(ctx, err)
	}
	utf8, _ := client.Extension("SMTPUTF8")
	return &session{wire: w, client: client, utf8: utf8}, nil
}

func (s *settings) introduce(ctx context.Context, w *wire) (*smtp.Client, error) {
	conn, err := s.secure(ctx, w)
	if err != nil {
		return nil, at(opening, err)
	}
	client := smtp.NewClient(conn)
	client.CommandTimeout, client.SubmissionTimeout = s.CommandTimeout, s.SubmissionTimeout
	if err := client.Hello(s.Hello); err != nil {
		return nil, at(opening, err)
	}
	if s.Username == "" {
		return client, nil
	}
	mechanism, err := s.mechanism(client)
	if err != nil {
		return nil, at(loggingIn, &authError{err})
	}
	return client, at(loggingIn, client.Auth(mechanism))
}

// authError is a log-in that was not even tried.
type authError struct{ err error }

func (e *authError) Error() string { return e.err.Error() }
func (e *authError) Unwrap() error { return e.err }

var errConnectTimeout = errors.New("the relay was not ready within connect_timeout")

// bind closes the connection when ctx ends. The library sets a new deadline with
// every command, so closing is the only thing it heeds.
func bind(ctx context.Context, w *wire) func() bool {
	return context.AfterFunc(ctx, func() { _ = w.Close() })
}

// withCause says why ctx ended where that is what broke the connection.
func withCause(ctx context.Context, err error) error {
	if err == nil || ctx.Err() == nil {
		return err
	}
	return &overError{cause: context.Cause(ctx), err: err}
}

// overError is an error that happened because the time was over.
type overError struct{ cause, err error }

func (e *overError) Error() string   { return e.cause.Error() }
func (e *overError) Unwrap() []error { return []error{e.cause, e.err} }

// letter is one message to one recipient. Without a tail it is only a probe.
type letter struct {
	from, to string // addr-specs for the envelope
	utf8     bool   // one of them needs SMTPUTF8
	head     head
	tail     []byte
}

var errNoUTF8 = errors.New("it does not take addresses with letters beyond ASCII before the @ (no SMTPUTF8); " +
	"use another address of this person")

// begin brings a transaction to the point where the relay has accepted the recipient.
func (s *session) begin(m letter) error {
	if s.open {
		if err := s.reset(); err != nil {
			return at(sender, err)
		}
	}
	if m.utf8 && !s.utf8 {
		return at(sender, errNoUTF8)
	}
	s.used++
	opts := smtp.MailOptions{UTF8: m.utf8}
	if m.tail != nil {
		s.head = m.head.append(s.head[:0])
		opts.Size = int64(len(s.head) + len(m.tail))
	}
	if err := s.client.Mail(m.from, &opts); err != nil {
		return at(sender, err)
	}
	s.open = true
	return at(recipient, s.client.Rcpt(m.to, nil))
}

// finish sends the message and returns what the relay said to it.
func (s *session) finish(m letter) (string, error) {
	w, err := s.client.Data()
	if err != nil {
		return "", at(sending, err)
	}
	// The library leaves the connection without a deadline while the message is sent.
	if err := s.wire.SetDeadline(time.Now().Add(s.client.CommandTimeout)); err != nil {
		return "", at(sending, err)
	}
	for _, part := range [][]byte{s.head, m.tail} {
		if _, err := w.Write(part); err != nil {
			return "", at(sending, err)
		}
	}
	answer, err := w.CloseWithResponse()
	s.open = false // RFC 5321 section 4.1.1.4: whatever the answer, the transaction is over
	switch {
	case err == nil:
		return answer.StatusText, nil
	case s.wire.unsent:
		return "", at(sending, err)
	}
	if r, ok := replyOf(err); ok && r.code/100 == 2 {
		return r.text, nil // 251 and the like: taken, in other words
	}
	return "", at(answering, err)
}

// reset leaves a transaction. The library greets again after it, in the next command.
func (s *session) reset() error {
	s.open = false
	return s.client.Reset()
}

// note keeps account of how an attempt ended, and so of what the session is good for.
func (s *session) note(err error) {
	r, answered := replyOf(err)
	switch {
	case err == nil:
	case !answered, r.code == 421:
		s.broken = true
	default:
		s.refusals++
	}
}

// quitTime is how long a relay has to say goodbye.
const quitTime = 2 * time.Second

// quit ends a session politely where that is possible, and in any case soon.
func (s *session) quit() {
	defer func() { _ = s.wire.Close() }() // closed already, if all is well
	if s.broken {
		return
	}
	timer := time.AfterFunc(quitTime, func() { _ = s.wire.Close() })
	defer timer.Stop()
	s.open = false
	_ = s.client.Quit() // the relay owes us nothing any more
}
