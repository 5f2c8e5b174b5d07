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
	piped               // the envelope of the next with the body of this one (RFC 2920)
	chunked             // whole messages back to back (RFC 3030)
)

func (m mode) String() string { return [...]string{"one by one", "pipelining", "chunking"}[m] }

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
	replies replies
	out     []byte // kept for its memory
	open    bool   // the library has a transaction under way
	mode    mode

	utf8, eightBit, sizes bool // what the relay offers

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

// dial opens a session: connection, TLS, greeting, EHLO, AUTH.
func (r *relay) dial(ctx context.Context) (*session, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, r.connectTimeout, errConnectTimeout)
	defer cancel()
	s, err := r.tryDial(ctx)
	if errors.Is(err, errStaleToken) { // a new one may do
		s, err = r.tryDial(ctx)
	}
	return s, err
}

func (r *relay) tryDial(ctx context.Context) (*session, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", r.address)
	if err != nil {
		return nil, at(opening, withCause(ctx, err))
	}
	w := &wire{Conn: conn}
	unbind := context.AfterFunc(ctx, func() { _ = w.Close() })
	s := &session{relay: r, wire: w, in: make(chan *job, 1)}
	err = s.introduce(ctx)
	if err == nil && !unbind() {
		err = at(opening, context.Cause(ctx))
	}
	if err != nil {
		_ = w.Close() // nothing was begun that closing could spoil
		return nil, withCause(ctx, err)
	}
	if s.learn(); r.requireTLS && !s.has("REQUIRETLS") {
		s.quit()
		return nil, at(opening, &caError{errNoRequireTLS})
	}
	return s, nil
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
	return at(loggingIn, r.login(ctx, s.client))
}

// learn decides by what the relay offers how messages go to it.
func (s *session) learn() {
	s.utf8, s.eightBit, s.sizes = s.has("SMTPUTF8"), s.has("8BITMIME"), s.has("SIZE")
	switch {
	case s.relay.window < 2 || !s.has("PIPELINING"):
		s.mode = single
	case s.has("CHUNKING"):
		s.mode = chunked
	default:
		s.mode = piped
	}
	s.replies = newReplies(s.conn)
	s.wire.uncounted = s.mode != single // replies bounds what it reads
}

// work attempts messages until there is nothing left to do here, or nothing works any
// more. All it took are done or given back when it returns.
func (s *session) work(p *pool) {
	switch s.mode {
	case chunked:
		s.workChunked(p)
	case piped:
		s.workPiped(p)
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
