package email

import (
	"context"
	"errors"
	"net"
	"sync/atomic"
	"time"

	"github.com/emersion/go-smtp"
)

// mode is how messages follow each other in a session.
type mode int

const (
	single  mode = iota // one after another, by the library
	plain               // one after another
	piped               // the envelope of the next with the body of this one (RFC 2920)
	chunked             // whole messages back to back (RFC 3030)
)

func (m mode) String() string {
	return [...]string{"one by one, by the library", "one by one", "PIPELINING", "CHUNKING"}[m]
}

// window is how many messages a session in this mode has under way at most.
func (m mode) window(most int) int {
	switch m {
	case chunked:
		return most
	case piped:
		return min(most, 2)
	default:
		return 1
	}
}

const (
	// maxRefusals is how many refused messages a session survives. Relays slow down and
	// then cut off a session with many (Postfix: from 10 and at 20), which would harm the
	// good ones after them.
	maxRefusals = 5

	// carefulAfter is how long a session is idle before it may have ended unnoticed. Then
	// a whole message is not sent into it before it has said something.
	carefulAfter = time.Second

	// quitTime is how long a relay has to say goodbye, or its last words.
	quitTime = 2 * time.Second
)

// session is one connection to a relay, ready for a transaction, and the goroutine
// that serves it.
type session struct {
	relay   *relay
	wire    *wire    // the TCP connection
	conn    net.Conn // the same with TLS on it
	client  *smtp.Client
	ear     ear
	replies replies  // what it hears
	writing deadline // of what is said
	out     []byte   // kept for its memory
	open    bool     // the library has a transaction under way
	mode    mode
	auth    string // how it logged in, or tried to; empty: not at all

	utf8, eightBit, sizes, dsn bool // what the relay offers, and is to be used

	aborted atomic.Bool // given up because a message's time was over
	ending  atomic.Bool // nothing more will be said, see listen

	// Under the pool's lock.
	in       chan *job // wakes it while it waits
	waits    bool
	free     bool // it has nothing under way and is about to ask, see pool.free
	load     int  // messages under way
	window   int  // how many there may be now
	used     int  // messages begun
	refusals int  // of them, those that the relay refused
	dirty    bool // the last one ended in a refusal, so its transaction may be open
	broken   bool // nothing more can be said on it
	leaves   bool // it was idle for too long
	drains   bool // it waits for nothing but its last answers
	since    time.Time
}

// done reports that s takes no more messages. The caller holds the pool's lock.
func (s *session) done() bool {
	return s.broken || s.leaves || s.used >= s.relay.perSession || s.refusals >= maxRefusals
}

// abort closes the connection, which ends all that is under way on it.
func (s *session) abort() {
	s.aborted.Store(true)
	_ = s.wire.Close() // closed is closed
}

// note keeps account of how a message ended, and so of what the session is good for:
// a refusal halves the window, for what follows in it was sent in vain or may annoy
// the relay further, and each success widens it again. The caller holds the lock.
func (s *session) note(err error, most int) {
	r, answered := replyOf(err)
	switch {
	case err == nil:
		s.dirty = false
		s.window = min(s.window+1, s.mode.window(most))
	case errors.Is(err, errNoUTF8): // nothing was said
	case !answered, r.code == 421:
		s.broken = true
	default:
		s.dirty = true
		s.refusals++
		s.window = max(s.window/2, 1)
	}
}

// dial opens a session: connection, TLS, greeting, EHLO, AUTH. Where that fails the
// session is closed, and shows how far it got.
func (r *relay) dial(ctx context.Context) (*session, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, r.connectTimeout, errConnectTimeout)
	defer cancel()
	s := newSession(r)
	err := s.dial(ctx)
	if errors.Is(err, errStaleToken) { // a new one may do
		s = newSession(r)
		err = s.dial(ctx)
	}
	return s, err
}

func newSession(r *relay) *session { return &session{relay: r, in: make(chan *job, 1)} }

func (s *session) dial(ctx context.Context) error {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", s.relay.address)
	if err != nil {
		return at(opening, withCause(ctx, err))
	}
	s.wire = &wire{Conn: conn}
	unbind := context.AfterFunc(ctx, func() { _ = s.wire.Close() })
	err = s.introduce(ctx)
	if err == nil && !unbind() {
		err = at(opening, context.Cause(ctx))
	}
	if err != nil {
		_ = s.wire.Close() // nothing was begun that closing could spoil
		return withCause(ctx, err)
	}
	s.ear.conn = s.conn
	s.replies = newReplies(&s.ear)
	s.wire.uncounted = s.mode != single // replies bounds what it reads
	if s.relay.requireTLS && !s.has("REQUIRETLS") {
		s.quit()
		return at(opening, &caError{errNoRequireTLS})
	}
	return nil
}

var errNoRequireTLS = errors.New("it does not offer REQUIRETLS, which require_tls asks for; use another relay, or take require_tls away")

func (s *session) has(extension string) bool { ok, _ := s.client.Extension(extension); return ok }

func (s *session) introduce(ctx context.Context) error {
	r := s.relay
	conn, err := r.secure(ctx, s.wire)
	if err != nil {
		return at(opening, err)
	}
	s.conn, s.client = conn, smtp.NewClient(conn)
	s.client.CommandTimeout, s.client.SubmissionTimeout = r.commandTimeout, r.submissionTimeout
	if err := s.client.Hello(r.hello); err != nil {
		return at(opening, err)
	}
	s.learn()
	s.auth, err = r.login(ctx, s.client)
	return at(loggingIn, err)
}

// learn decides by what the relay offers how messages go to it.
// The library sends them only where one at a time is asked for (`window: 1`).
func (s *session) learn() {
	s.utf8, s.eightBit, s.sizes = s.has("SMTPUTF8"), s.has("8BITMIME"), s.has("SIZE")
	s.dsn = s.has("DSN") && !s.relay.neverDSN
	switch {
	case s.relay.window < 2:
		s.mode = single
	case !s.has("PIPELINING"):
		s.mode = plain
	case s.has("CHUNKING"):
		s.mode = chunked
	default:
		s.mode = piped
	}
}

// work attempts messages until there is nothing left to do here, or nothing works any
// more. All it took are done or given back when it returns.
func (s *session) work(p *pool) {
	switch s.mode {
	case chunked:
		s.workChunked(p)
	case piped:
		s.workPiped(p)
	case plain:
		s.workPlainly(p)
	default:
		s.workSingly(p)
	}
}

// takes reports whether the relay can be asked to take the message at all.
func (s *session) takes(p *pool, j *job) bool {
	if j.utf8 && !s.utf8 {
		p.finish(s, j, "", at(sender, errNoUTF8))
		return false
	}
	return true
}

// lose ends the attempt at a message that was under way when the session ended with
// err. Only a message that the relay may have in whole is in doubt, and one of which
// it has looked at nothing is not lost at all.
func (s *session) lose(p *pool, j *job, err error) {
	if s.aborted.Load() {
		err = errNeighbour
	}
	where := [...]stage{sender, recipient, sending}[min(j.heard, 2)]
	r, answered := replyOf(err)
	switch {
	case j.refusal != nil:
		p.finish(s, j, "", j.refusal)
	case !j.fresh && answered && r.code == 421 && j.heard == 0:
		p.heed(s, r)
		p.giveBack(s, j, at(where, err))
	case !j.fresh && !j.sent && j.heard == 0 && !answered:
		p.giveBack(s, j, at(where, err))
	case answered || !j.sent:
		p.finish(s, j, "", at(where, err))
	default:
		p.finish(s, j, "", at(answering, err))
	}
}

// quit ends a session politely where that is possible, and in any case soon.
func (s *session) quit() {
	defer func() { _ = s.wire.Close() }() // closed already, if all is well
	if s.broken {
		return
	}
	timer := time.AfterFunc(quitTime, func() { _ = s.wire.Close() })
	defer timer.Stop()
	if _, err := s.conn.Write([]byte("QUIT\r\n")); err == nil {
		_, _ = s.replies.read(false) // the relay owes us nothing any more
	}
}
