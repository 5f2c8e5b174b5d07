package bounces

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"

	"github.com/emersion/go-smtp"

	"sitrep/ledger"
)

// session is a client of the listener.
type session struct {
	l       *Listener
	smtp    *smtp.Conn
	conn    *conn
	to      []string
	refused int
}

var (
	errNotHere = &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "No such address here; this server passes nothing on"}
	errUnread  = &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 3, 0}, Message: "The message was not read whole; come again"}
	errWait    = &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 3, 0}, Message: "What this is about is under way; come again later"}
	errAway    = &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 3, 0}, Message: "It cannot be recorded now; come again later"}
)

// Mail takes any sender: reports have none (RFC 3464 section 2), or any.
func (s *session) Mail(string, *smtp.MailOptions) error {
	s.l.busy(s.conn, true)
	return nil
}

// Rcpt takes what is ours, and lets nobody guess for long.
func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	if s.l.o.Receiver.Takes(to) {
		s.to = append(s.to, to)
		return nil
	}
	s.l.o.Receiver.Refused(to)
	if s.refused++; s.refused > maxRefused {
		s.smtp.Reject()
	}
	return errNotHere
}

// Data records a message, for each recipient by itself: repeating what was recorded
// changes nothing.
func (s *session) Data(r io.Reader) error {
	content, err := readWhole(r)
	if err != nil {
		return err
	}
	for _, to := range s.to {
		if err := s.receive(to, content); err != nil {
			return err
		}
	}
	return nil
}

// LMTPData answers for each recipient (RFC 2033 section 4.2).
func (s *session) LMTPData(r io.Reader, status smtp.StatusCollector) error {
	content, err := readWhole(r)
	if err != nil {
		return err
	}
	for _, to := range s.to {
		status.SetStatus(to, s.receive(to, content))
	}
	return nil
}

// readWhole reads what is looked at and lets the rest pass. What was broken off is
// nothing: the client does not know that we have it.
func readWhole(r io.Reader) ([]byte, error) {
	content, err := io.ReadAll(io.LimitReader(r, maxRead))
	if err == nil {
		_, err = io.Copy(io.Discard, r)
	}
	if refused, ok := errors.AsType[*smtp.SMTPError](err); ok {
		return nil, refused
	}
	if err != nil {
		return nil, errUnread
	}
	return content, nil
}

// receive returns an answer for the client, as the library wants it: the concrete type.
func (s *session) receive(to string, content []byte) error {
	ctx, cancel := context.WithTimeout(s.l.ctx, recording)
	defer cancel()
	trusted := s.l.trusts(s.smtp.Conn().RemoteAddr())
	err := s.l.o.Receiver.Receive(ctx, Mail{To: []string{to}, Trusted: trusted, Content: bytes.NewReader(content)})
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ledger.ErrUnderWay):
		return errWait
	}
	s.l.o.Log.LogAttrs(ctx, slog.LevelWarn, "a returned message could not be recorded; the mail server was asked to come again", slog.Any("error", err))
	return errAway
}

// Reset ends a message, taken or not.
func (s *session) Reset() {
	s.to = nil
	s.l.busy(s.conn, false)
}

// Logout ends the session.
func (s *session) Logout() error { return nil }
