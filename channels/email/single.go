package email

import (
	"errors"
	"fmt"
	"time"

	"github.com/emersion/go-smtp"
)

// workSingly sends one message after another through the library: for relays that
// offer no PIPELINING.
func (s *session) workSingly(p *pool) {
	for j := p.next(s); j != nil; j = p.next(s) {
		if !s.takes(p, j) {
			continue
		}
		answer, err := s.sendSingly(j)
		if isStale(err) && !j.fresh && !s.aborted.Load() {
			// The relay closed the session while nobody used it. Nothing of this message was
			// sent, so another session is still the same attempt.
			p.broke(s)
			if r, answered := replyOf(err); answered {
				p.heed(s, r)
			}
			p.giveBack(s, j, err)
			continue
		}
		if err != nil && s.aborted.Load() {
			err = &stageError{stageOf(err), errNeighbour}
		}
		p.finish(s, j, answer, err)
	}
}

func stageOf(err error) stage {
	if e, ok := errors.AsType[*stageError](err); ok {
		return e.at
	}
	return opening
}

// isStale reports whether a used session turned out to be over at the first command:
// the connection is gone, or the relay's 421 for being idle was waiting in it.
func isStale(err error) bool {
	where, ok := errors.AsType[*stageError](err)
	if !ok || where.at != sender {
		return false
	}
	r, answered := replyOf(err)
	return !answered || r.code == 421
}

func (s *session) sendSingly(j *job) (string, error) {
	if s.open {
		if err := s.leaveTransaction(); err != nil {
			return "", at(sender, s.notOfMessage(err))
		}
	}
	opts := smtp.MailOptions{UTF8: j.utf8, RequireTLS: s.relay.requireTLS}
	if j.tail != nil {
		opts.Size = int64(j.size())
	}
	ask := j.ask(&opts)
	if err := s.client.Mail(j.from, &opts); err != nil {
		return "", at(sender, err)
	}
	s.open = true
	if err := s.client.Rcpt(j.to, ask); err != nil {
		return "", at(recipient, err)
	}
	if j.tail == nil {
		return "", at(recipient, s.leaveTransaction())
	}
	return s.dataSingly(j)
}

// dataSingly sends the message and returns what the relay said to it.
func (s *session) dataSingly(j *job) (string, error) {
	w, err := s.client.Data()
	if err != nil {
		return "", at(sending, err)
	}
	// The library leaves the connection without a deadline while the message is sent.
	if err := s.wire.SetDeadline(time.Now().Add(s.client.CommandTimeout)); err != nil {
		return "", at(sending, err)
	}
	for _, part := range [][]byte{j.head, j.tail.plain} {
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

// notOfMessage makes of a refusal of RSET what it is: the end of a session, not of the
// message that was to follow.
func (s *session) notOfMessage(err error) error {
	if r, answered := replyOf(err); answered && r.code != 421 {
		return fmt.Errorf("the relay refused RSET: %s", s.relay.show(r.Error()))
	}
	return err
}

// leaveTransaction says RSET. The library greets again after it, in the next command.
func (s *session) leaveTransaction() error {
	s.open = false
	return s.client.Reset()
}
