package email

import (
	"cmp"
	"errors"
	"os"
	"strconv"
	"time"
)

// maxBatch is how much is written at a time, in bytes, if more messages wait.
const maxBatch = 64 << 10

// errAfter is for a message that followed one after which the session ended.
var errAfter = errors.New("the relay ended the session before it looked at this message")

// workChunked sends whole messages back to back, each with BDAT and without waiting
// for answers, up to the window. This goroutine speaks; another one listens.
func (s *session) workChunked(p *pool) {
	flights := make(chan *job, p.window+1)
	heard := make(chan lost, 1)
	gone := make(chan struct{})
	go func() {
		l := s.listen(p, flights)
		p.broke(s) // or it is ending anyhow
		close(gone)
		heard <- l
	}()
	said := s.speak(p, flights, gone)
	if said != nil {
		// What the relay has said before it hung up can still be heard.
		defer time.AfterFunc(quitTime, func() { _ = s.wire.Close() }).Stop()
	} else {
		p.drain(s)
		s.ending.Store(true)
		_ = s.ear.limit.over(s.conn.SetReadDeadline) // have it look up; if this fails, it hears the end anyhow
	}
	l := <-heard
	close(flights)
	s.settle(p, l, flights, said)
}

// lost is what was under way when a session ended: the message whose answers were
// being read, if any, and why. A zero lost is a session that ended politely.
type lost struct {
	job *job
	err error
}

// settle ends the attempts of all that was under way.
func (s *session) settle(p *pool, l lost, flights <-chan *job, said error) {
	p.mu.Lock()
	s.broken = l.err != nil || said != nil
	p.mu.Unlock()
	if l.err == nil {
		l.err = said
	}
	if l.job != nil {
		s.lose(p, l.job, l.err)
	}
	r, answered := replyOf(l.err)
	for j := range flights {
		if answered && r.code == 421 { // what followed it was not looked at
			s.skip(p, j)
			continue
		}
		s.lose(p, j, l.err)
	}
}

// skip is for a message that followed one to which the relay said 421.
func (s *session) skip(p *pool, j *job) { p.giveBack(s, j, at(sender, errAfter)) }

// speak writes until there is nothing more for this session. An error means that it
// cannot be spoken on any more.
func (s *session) speak(p *pool, flights chan<- *job, gone <-chan struct{}) error {
	var batch []*job
	for j := p.next(s); j != nil; j = p.next(s) {
		batch = batch[:0]
		s.out = s.out[:0]
		var ends []int
		for ; j != nil; j = p.take(s) {
			if !s.takes(p, j) {
				continue
			}
			flights <- j // never full: the window is smaller
			batch = append(batch, j)
			s.out = s.appendEnvelope(s.out, j)
			if j.careful {
				break
			}
			s.out = appendChunk(s.out, j)
			ends = append(ends, len(s.out))
			if len(s.out) > maxBatch {
				break
			}
		}
		if err := s.sayBatch(batch, ends); err != nil {
			return err
		}
		if j != nil && j.careful {
			if err := s.sayAfterAnswer(j, gone); err != nil {
				return err
			}
		}
	}
	return nil
}

// appendChunk appends the message as one last chunk (RFC 3030 section 2).
func appendChunk(dst []byte, j *job) []byte {
	if j.tail == nil {
		return dst
	}
	dst = strconv.AppendInt(append(dst, "BDAT "...), int64(j.size()), 10)
	dst = append(append(dst, " LAST\r\n"...), j.head...)
	return append(dst, j.tail.plain...)
}

// sayBatch writes what has been put together and notes which messages went out whole.
func (s *session) sayBatch(batch []*job, ends []int) error {
	if len(batch) == 0 {
		return nil
	}
	if err := s.extend(s.relay.submissionTimeout); err != nil {
		return err
	}
	n, err := s.say(s.out)
	for i, end := range ends {
		batch[i].sent = n >= end
	}
	return err
}

// sayAfterAnswer writes the message itself once its envelope was answered.
func (s *session) sayAfterAnswer(j *job, gone <-chan struct{}) error {
	select {
	case refused := <-j.answers:
		if refused != nil || j.tail == nil {
			return nil
		}
	case <-gone:
		return errAfter
	}
	s.out = appendChunk(s.out[:0], j)
	return s.sayBatch([]*job{j}, []int{len(s.out)})
}

// listen hears the answers to what is in flight until the session ends.
func (s *session) listen(p *pool, flights <-chan *job) lost {
	for {
		if err := s.replies.await(); err != nil {
			if len(flights) > 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
				return lost{err: err}
			}
		} else if l := s.hearOne(p, flights); l.err != nil {
			return l
		}
		// At once, and before ending is asked: or the look that it asks for would be put off.
		if err := s.extend(s.relay.submissionTimeout); err != nil {
			return lost{err: err}
		}
		if s.ending.Load() && len(flights) == 0 {
			return lost{}
		}
	}
}

// hearOne hears the answers to the first message in flight.
func (s *session) hearOne(p *pool, flights <-chan *job) lost {
	select {
	case j := <-flights:
		done, err := s.hear(p, j)
		if done {
			j = nil
		}
		return lost{j, err}
	default:
		return lost{err: s.unasked()}
	}
}

// unasked reads what nobody asked for: the 421 of a relay that does not want to wait
// any longer.
func (s *session) unasked() error {
	r, err := s.replies.read(false)
	if err != nil {
		return err
	}
	return r.cut()
}

// hear reads all answers to one message and ends its attempt. An error means that the
// session is over, and not done that the message is not.
func (s *session) hear(p *pool, j *job) (done bool, err error) {
	if err := s.hearEnvelope(j); err != nil {
		return false, err
	}
	if j.careful {
		j.answers <- j.refusal
	}
	var answer string
	switch {
	case j.tail == nil:
		err = s.hearProbe()
	case j.careful && j.refusal != nil: // the message was not sent
	default:
		answer, err = s.hearTaken()
	}
	if err != nil && stageOf(err) != answering {
		return false, err
	}
	p.finish(s, j, answer, cmp.Or(j.refusal, err))
	if r, ok := replyOf(err); ok && r.code == 421 {
		return true, err
	}
	return true, nil
}
