package email

import "cmp"

// workPlainly sends one message after another, one command at a time: for relays that
// offer no PIPELINING. Every answer is waited for, four in all, so what is left to save
// is what happens between them.
func (s *session) workPlainly(p *pool) {
	for j := p.next(s); j != nil; j = p.next(s) {
		if s.takes(p, j) {
			s.sendPlainly(p, j)
		}
	}
}

func (s *session) sendPlainly(p *pool, j *job) {
	err := s.openPlainly(j)
	switch {
	case err != nil:
		s.die(p, j, err)
		return
	case j.refusal != nil, j.tail == nil:
		p.finish(s, j, "", j.refusal)
		return
	}
	s.out = append(s.out[:0], "DATA\r\n"...)
	if _, err = s.say(s.out); err != nil {
		s.die(p, j, s.lastWords(err))
		return
	}
	if s.hearData(p, j) {
		s.sendBody(p, j)
	}
}

// openPlainly has the relay's word on RSET, if there is one, MAIL and RCPT, and leaves a
// probe's transaction. An error means that the session is over; that the relay said no
// is in j.refusal.
func (s *session) openPlainly(j *job) error {
	if err := s.inStep(); err != nil {
		return err
	}
	if j.reset {
		if err := cmp.Or(s.reset(), s.inStep()); err != nil {
			return err
		}
	}
	for _, step := range [...]stage{sender, recipient} {
		if s.out = s.out[:0]; step == sender {
			s.out = s.appendSender(s.out, j)
		} else {
			s.out = s.appendRecipient(s.out, j)
		}
		r, err := s.ask(s.out)
		if err == nil {
			err = j.judge(step, r)
		}
		if err != nil || j.refusal != nil {
			return err
		}
	}
	if j.tail == nil {
		return s.reset()
	}
	s.expect(s.relay.commandTimeout) // for DATA
	return nil
}

// sendBody sends the message and hears what the relay says to it.
func (s *session) sendBody(p *pool, j *job) {
	s.out = append(append(append(s.out[:0], j.head...), j.tail.stuffed...), ".\r\n"...)
	n, err := s.say(s.out)
	j.sent = n >= len(s.out)
	if err != nil {
		s.die(p, j, s.lastWords(err))
		return
	}
	s.hearBody(p, j)
}

// ask says b and hears the answer.
func (s *session) ask(b []byte) (reply, error) {
	if _, err := s.say(b); err != nil {
		return reply{}, s.lastWords(err)
	}
	s.expect(s.relay.commandTimeout)
	return s.replies.read(false)
}

// reset leaves a transaction.
func (s *session) reset() error {
	r, err := s.ask([]byte("RSET\r\n"))
	if err != nil {
		return err
	}
	return s.leftBy(r)
}
