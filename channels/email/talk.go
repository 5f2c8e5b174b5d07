package email

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/textproto"
	"strconv"
	"time"
)

// replies reads what a relay says, as the library would but for two things: it keeps
// the words of an answer only where somebody wants them, and it can tell that there is
// something to read without reading it.
type replies struct{ r *bufio.Reader }

// maxReply is how long an answer may be, and maxReplyLine one line of it: RFC 5321
// section 4.5.3.1.5 asks for 512.
const (
	maxReply     = 64 << 10
	maxReplyLine = 4 << 10
)

func newReplies(r io.Reader) replies { return replies{bufio.NewReaderSize(r, maxReplyLine)} }

// await returns once there is something to read.
func (r replies) await() error {
	_, err := r.r.Peek(1)
	return err
}

// read reads an answer. The words of one that is a plain yes are read past unless
// they are wanted.
func (r replies) read(words bool) (reply, error) {
	var got reply
	for n := 0; ; {
		line, err := r.r.ReadSlice('\n')
		if err != nil {
			return reply{}, lineError(line, err)
		}
		code, more, text, ok := cutReply(line)
		if !ok || n > 0 && code != got.code {
			return reply{}, textproto.ProtocolError("it answered something that is not SMTP: " + strconv.Quote(clip(string(line))))
		}
		if n += len(line); n > maxReply {
			return reply{}, fmt.Errorf("the relay's answer is longer than %d KiB", maxReply>>10)
		}
		got.code = code
		if words || code/100 != 2 {
			if got.text != "" {
				got.text += "\n"
			}
			got.text += string(text)
		}
		if !more {
			return got, nil
		}
	}
}

// cutReply takes a line of an answer apart (RFC 5321 section 4.2). A line may be a
// code alone.
func cutReply(line []byte) (code int, more bool, text []byte, ok bool) {
	for len(line) > 0 && (line[len(line)-1] == '\n' || line[len(line)-1] == '\r') {
		line = line[:len(line)-1]
	}
	if len(line) < 3 || line[0] < '1' || line[0] > '9' {
		return 0, false, nil, false
	}
	for _, c := range line[:3] {
		if c < '0' || c > '9' {
			return 0, false, nil, false
		}
		code = code*10 + int(c-'0')
	}
	switch {
	case len(line) == 3:
		return code, false, nil, true
	case line[3] != ' ' && line[3] != '-':
		return 0, false, nil, false
	}
	return code, line[3] == '-', line[4:], true
}

func lineError(line []byte, err error) error {
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		return fmt.Errorf("a line of the relay's answer is longer than %d octets", maxReplyLine)
	case errors.Is(err, io.EOF) && len(line) > 0:
		return io.ErrUnexpectedEOF
	}
	return err
}

// inStep is an error where the relay has said something that nobody asked for, so that
// its next answer would be taken for another's. It is asked before a message is begun
// with nothing under way; what has not arrived by then cannot be told from an answer.
func (s *session) inStep() error {
	if s.replies.r.Buffered() == 0 {
		return nil
	}
	r, err := s.replies.read(false)
	if err == nil && r.code == 421 {
		return r.cut()
	}
	return errOutOfStep
}

var errOutOfStep = errors.New("the relay said something that nobody had asked for, so its answers cannot be told apart any more")

// hearEnvelope reads the answers to RSET, if there was one, MAIL and RCPT. An error
// means that the session is over; that the relay said no is in j.refusal.
func (s *session) hearEnvelope(j *job) error {
	if j.reset {
		r, err := s.replies.read(false)
		if err == nil {
			err = s.leftBy(r)
		}
		if err != nil {
			return err
		}
	}
	for _, step := range [...]stage{sender, recipient} {
		r, err := s.replies.read(false)
		if err != nil {
			return err
		}
		if err := j.judge(step, r); err != nil {
			return err
		}
	}
	return nil
}

// leftBy judges the answer to RSET. An error means that the session is over.
func (s *session) leftBy(r reply) error {
	switch {
	case r.code == 421:
		return r.cut()
	case r.code/100 != 2:
		return fmt.Errorf("the relay refused RSET: %s", s.relay.show(r.cut().Error()))
	}
	return nil
}

// judge notes the answer to MAIL or RCPT. An error means that the session is over.
func (j *job) judge(step stage, r reply) error {
	yes := r.code == 250 || step == recipient && r.code/10 == 25
	if !yes && j.refusal == nil && (r.code != 421 || j.heard > 0 || j.fresh) {
		j.refusal = at(step, r.cut())
	}
	if r.code == 421 {
		return r.cut()
	}
	j.heard++
	return nil
}

// hearProbe reads the answer to the RSET that ends a probe.
func (s *session) hearProbe() error {
	r, err := s.replies.read(false)
	if err == nil && r.code/100 != 2 {
		err = r.cut()
	}
	return err
}

// hearTaken reads the answer to the whole message. The session is over if it is a
// 421, or none at all.
func (s *session) hearTaken() (answer string, err error) {
	r, err := s.replies.read(true)
	switch {
	case err != nil:
		return "", err
	case r.code/100 != 2:
		return "", at(answering, r.cut())
	}
	return r.text, nil
}

// appendEnvelope appends the commands that open a transaction, and the RSET that ends a
// probe's.
func (s *session) appendEnvelope(dst []byte, j *job) []byte {
	if j.reset {
		dst = append(dst, "RSET\r\n"...)
	}
	dst = s.appendRecipient(s.appendSender(dst, j), j)
	if j.tail == nil {
		dst = append(dst, "RSET\r\n"...)
	}
	return dst
}

// appendSender appends MAIL.
func (s *session) appendSender(dst []byte, j *job) []byte {
	dst = append(append(dst, "MAIL FROM:<"...), j.from...)
	dst = append(dst, '>')
	if s.eightBit {
		dst = append(dst, " BODY=8BITMIME"...)
	}
	if s.sizes && j.tail != nil {
		dst = strconv.AppendInt(append(dst, " SIZE="...), int64(j.size()), 10)
	}
	if s.relay.requireTLS {
		dst = append(dst, " REQUIRETLS"...)
	}
	if j.utf8 {
		dst = append(dst, " SMTPUTF8"...)
	}
	if j.dsn {
		dst = appendReturn(dst, j.key)
	}
	return append(dst, "\r\n"...)
}

// appendRecipient appends RCPT.
func (s *session) appendRecipient(dst []byte, j *job) []byte {
	dst = append(append(dst, "RCPT TO:<"...), j.to...)
	dst = append(dst, '>')
	if j.dsn {
		dst = appendNotify(dst, j.to)
	}
	return append(dst, "\r\n"...)
}

// expect gives the relay time for the answers that are read next, all of them together,
// from when the first of them is waited for. It is for the goroutine that reads.
func (s *session) expect(d time.Duration) { s.ear.next = d }

// extend gives the relay time from now on, also if somebody is waiting for it already.
func (s *session) extend(d time.Duration) error { return s.ear.limit.in(d, s.conn.SetReadDeadline) }

// say writes all of b and returns how much of it was handed to the network.
func (s *session) say(b []byte) (int, error) {
	if err := s.writing.in(s.relay.commandTimeout, s.conn.SetWriteDeadline); err != nil {
		return 0, err
	}
	return s.conn.Write(b)
}
