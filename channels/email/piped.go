package email

import "runtime"

// workPiped sends messages with DATA, and with each body the envelope of the next
// message, if one waits: a round trip a message instead of four. RFC 2920 section 3.1
// has DATA end a group, so there is never more than one body under way, and never
// more than one message in doubt.
func (s *session) workPiped(p *pool) {
	var next *job
	for {
		j := next
		if next = nil; j == nil {
			if j = s.nextPiped(p); j == nil {
				return
			}
		}
		if s.openData(p, j) {
			next = s.sendData(p, j)
		}
		if s.broken { // only this goroutine says so in this mode
			if next != nil {
				s.lose(p, next, errAfter)
			}
			return
		}
	}
}

// nextPiped waits for a message and asks the relay to take it.
func (s *session) nextPiped(p *pool) *job {
	for j := p.next(s); j != nil; j = p.next(s) {
		if !s.takes(p, j) {
			continue
		}
		if err := s.inStep(); err != nil {
			s.die(p, j, err)
			return nil
		}
		s.out = s.appendOpening(s.out[:0], j)
		if _, err := s.say(s.out); err != nil {
			s.die(p, j, s.lastWords(err))
			return nil
		}
		return j
	}
	return nil
}

func (s *session) appendOpening(dst []byte, j *job) []byte {
	dst = s.appendEnvelope(dst, j)
	if j.tail != nil {
		dst = append(dst, "DATA\r\n"...)
	}
	return dst
}

// openData hears what the relay says to a message's envelope and to DATA, and reports
// whether it waits for the message. If it does not, the attempt is over.
func (s *session) openData(p *pool, j *job) bool {
	s.expect(s.relay.commandTimeout)
	err := s.hearEnvelope(j)
	if err == nil && j.tail == nil {
		if err = s.hearProbe(); err == nil {
			p.finish(s, j, "", j.refusal)
			return false
		}
	}
	if err != nil {
		s.die(p, j, err)
		return false
	}
	return s.hearData(p, j)
}

func (s *session) hearData(p *pool, j *job) bool {
	r, err := s.replies.read(false)
	switch {
	case err != nil:
		s.die(p, j, err)
		return false
	case r.code != 354:
		if j.refusal == nil {
			j.refusal = at(sending, r.cut())
		}
		p.finish(s, j, "", j.refusal)
		return false
	case j.refusal == nil:
		return true
	}
	// RFC 2920 section 3.1: a relay may want a message although it takes no recipient.
	// It gets an empty one, for nobody.
	if _, err = s.say([]byte(".\r\n")); err == nil {
		_, err = s.replies.read(false)
	}
	if err != nil {
		s.die(p, j, err)
		return false
	}
	p.finish(s, j, "", j.refusal)
	return false
}

// sendData sends the message, and with it the envelope of the next one, which it
// returns. It hears what the relay says to the message.
func (s *session) sendData(p *pool, j *job) (next *job) {
	s.out = append(append(append(s.out[:0], j.head...), j.tail.stuffed...), ".\r\n"...)
	whole := len(s.out)
	for next == nil {
		if next = p.take(s); next == nil {
			break
		}
		if !s.takes(p, next) {
			next = nil
		}
	}
	if next != nil { // without RSET: after a refusal there is room for one message only
		s.out = s.appendOpening(s.out, next)
	}
	n, err := s.say(s.out)
	j.sent = n >= whole
	if err != nil {
		s.die(p, j, s.lastWords(err))
		return next
	}
	// Others first: where the relay is near, it has answered by then, and this goroutine
	// need not be put to sleep and woken for it.
	runtime.Gosched()
	s.hearBody(p, j)
	return next
}

// hearBody hears what the relay says to the message, and ends its attempt.
func (s *session) hearBody(p *pool, j *job) {
	s.expect(s.relay.submissionTimeout)
	answer, err := s.hearTaken()
	if stageOf(err) == answering {
		p.finish(s, j, "", err)
	} else if err != nil {
		s.die(p, j, err)
	} else {
		p.finish(s, j, answer, nil)
	}
}

// die ends the session and the attempt that it ended in.
func (s *session) die(p *pool, j *job, err error) {
	p.broke(s)
	s.lose(p, j, err)
}

// lastWords is why writing failed with err: if the relay has said so before it hung up,
// that is the reason.
func (s *session) lastWords(err error) error {
	s.expect(quitTime)
	if !s.aborted.Load() {
		if r, e := s.replies.read(false); e == nil && r.code >= 400 {
			return r.cut()
		}
	}
	return err
}
