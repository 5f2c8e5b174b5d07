package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/emersion/go-message/mail"
	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// relay is an SMTP server on loopback with one mailbox for everybody: STARTTLS with
// a throw-away certificate, a password, and one recipient it does not know. It is
// safe for concurrent use.
type relay struct {
	address string
	pem     []byte // the certificate, for the client to trust
	ln      net.Listener
	server  *smtp.Server
	ended   chan error

	mu       sync.Mutex
	messages []received
}

// received is a message as it came in.
type received struct {
	From, To string // of the envelope
	Raw      []byte
	At       time.Time
}

// startRelay starts a relay that takes mail from whoever knows the password.
func startRelay(ctx context.Context, password string) (*relay, error) {
	cert, certPEM, err := throwawayCertificate()
	if err != nil {
		return nil, err
	}
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r := &relay{address: ln.Addr().String(), pem: certPEM, ln: ln, ended: make(chan error, 1)}
	s := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) {
		return &smtpSession{relay: r, password: password}, nil
	}))
	s.Domain, s.TLSConfig = "relay.example.com", &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	s.MaxMessageBytes, s.MaxRecipients, s.MaxLineLength = 4<<20, 100, 2000
	s.ReadTimeout, s.WriteTimeout = time.Minute, time.Minute
	s.EnableSMTPUTF8 = true
	s.ErrorLog = log.New(io.Discard, "", 0) // clients that go away are no news
	r.server = s
	go func() {
		err := s.Serve(ln)
		if errors.Is(err, smtp.ErrServerClosed) || errors.Is(err, net.ErrClosed) {
			err = nil // it was asked to
		}
		r.ended <- err
	}()
	return r, nil
}

// throwawayCertificate is a certificate for 127.0.0.1 that nobody has signed.
func throwawayCertificate() (tls.Certificate, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	now := time.Now() // TLS checks against the real clock
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "sitrep demo"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(30 * 24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, certPEM, nil
}

// Close ends all sessions.
func (r *relay) Close() error {
	err := errors.Join(r.server.Close(), ignoreClosed(r.ln.Close())) // the listener itself too: Serve may not know it yet
	return errors.Join(err, <-r.ended)
}

// mailbox is everything received so far, oldest first.
func (r *relay) mailbox() []received {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.messages)
}

// smtpSession is one connection's talk. go-smtp calls it from one goroutine.
type smtpSession struct {
	relay    *relay
	password string
	known    bool // gave the password
	from     string
	to       []string
}

// AuthMechanisms implements [smtp.AuthSession].
func (s *smtpSession) AuthMechanisms() []string { return []string{sasl.Plain} }

// Auth implements [smtp.AuthSession].
func (s *smtpSession) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, _, password string) error {
		if subtle.ConstantTimeCompare([]byte(password), []byte(s.password)) != 1 {
			return smtp.ErrAuthFailed
		}
		s.known = true
		return nil
	}), nil
}

// Mail implements [smtp.Session].
func (s *smtpSession) Mail(from string, _ *smtp.MailOptions) error {
	if !s.known {
		return smtp.ErrAuthRequired
	}
	s.from = from
	return nil
}

// Rcpt implements [smtp.Session].
func (s *smtpSession) Rcpt(to string, _ *smtp.RcptOptions) error {
	if strings.EqualFold(to, demoGone) {
		return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "No mailbox here by that name"}
	}
	s.to = append(s.to, to)
	return nil
}

// Data implements [smtp.Session].
func (s *smtpSession) Data(r io.Reader) error {
	raw, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	s.relay.mu.Lock()
	defer s.relay.mu.Unlock()
	for _, to := range s.to {
		s.relay.messages = append(s.relay.messages, received{From: s.from, To: to, Raw: raw, At: time.Now()})
	}
	return nil
}

// Reset implements [smtp.Session].
func (s *smtpSession) Reset() { s.from, s.to = "", nil }

// Logout implements [smtp.Session].
func (s *smtpSession) Logout() error { return nil }

// view reads a message as a mail program does.
func (m received) view() (mailView, error) {
	v := mailView{To: m.To, From: m.From}
	r, err := mail.CreateReader(bytes.NewReader(m.Raw))
	if err != nil {
		return v, fmt.Errorf("read the mail to %s: %w", m.To, err)
	}
	v.Subject, err = r.Header.Subject()
	if err != nil {
		return v, fmt.Errorf("read the subject of the mail to %s: %w", m.To, err)
	}
	v.From, v.To = addresses(r.Header, "From", v.From), addresses(r.Header, "To", v.To)
	for {
		part, err := r.NextPart()
		if errors.Is(err, io.EOF) {
			return v, nil
		}
		if err != nil {
			return v, fmt.Errorf("read the mail to %s: %w", m.To, err)
		}
		if err := v.take(part); err != nil {
			return v, fmt.Errorf("read the mail to %s: %w", m.To, err)
		}
	}
}

func addresses(h mail.Header, field, otherwise string) string {
	list, err := h.AddressList(field)
	if err != nil || len(list) == 0 {
		return otherwise
	}
	words := make([]string, len(list))
	for i, a := range list {
		words[i] = strings.TrimSpace(a.Name + " <" + a.Address + ">")
	}
	return strings.Join(words, ", ")
}

func (v *mailView) take(p *mail.Part) error {
	body, err := io.ReadAll(p.Body)
	if err != nil {
		return err
	}
	text := strings.ReplaceAll(string(body), "\r\n", "\n")
	h, ok := p.Header.(*mail.InlineHeader)
	if !ok {
		return nil
	}
	switch kind, _, _ := h.ContentType(); kind {
	case "text/html":
		v.HTML = text
	case "text/plain":
		v.Text = unflow(text)
	}
	return nil
}
