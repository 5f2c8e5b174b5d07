package email

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"os"
	"strings"
)

// maxAnswer is how much a relay may say before we say something: more than a TLS
// handshake with a long chain, far less than would fill the memory.
const maxAnswer = 256 << 10

// wire is the TCP connection under a session. It remembers what the library does not
// tell, and bounds what it reads. Until it is uncounted it belongs to one goroutine; only Close
// may be called from another.
type wire struct {
	net.Conn
	heard     int
	uncounted bool // somebody else bounds it, and reads and writes may be concurrent

	// unsent: a write failed, so what was written last did not get out whole. After
	// the final dot it tells "not accepted, for it was never asked" from "who knows".
	unsent bool
}

// Read fails once the relay has said more than maxAnswer since we last spoke, unless w is
// uncounted.
func (w *wire) Read(p []byte) (int, error) {
	n, err := w.Conn.Read(p)
	if w.uncounted {
		return n, err
	}
	if w.heard += n; w.heard > maxAnswer {
		return 0, fmt.Errorf("the relay's answer is longer than %d KiB", maxAnswer>>10)
	}
	return n, err
}

// Write remembers a failure, and begins the count of what the relay may say anew.
func (w *wire) Write(p []byte) (int, error) {
	if !w.uncounted {
		w.heard = 0
	}
	n, err := w.Conn.Write(p)
	if err != nil {
		w.unsent = true
	}
	return n, err
}

// greeted is a connection whose greeting was read already: the library wants one
// at the beginning of every session, and there is none after STARTTLS.
type greeted struct {
	net.Conn
	greeting string
}

// Read yields the greeting before anything else.
func (g *greeted) Read(p []byte) (int, error) {
	if g.greeting == "" {
		return g.Conn.Read(p)
	}
	n := copy(p, g.greeting)
	g.greeting = g.greeting[n:]
	return n, nil
}

// errNoSTARTTLS is for a relay that does not offer encryption where it is required.
var errNoSTARTTLS = errors.New("it does not offer STARTTLS, and mail is not sent without encryption. " +
	"If its port is one for TLS from the first byte (usually 465), set `tls: implicit`; " +
	"if the way to it is safe by itself, set `tls: none`")

// secure makes TLS of a new connection, as the settings say, and returns one that
// begins with a greeting.
func (e *endpoint) secure(ctx context.Context, w *wire) (net.Conn, error) {
	if e.tls == tlsNone {
		return w, nil
	}
	cfg, err := e.tlsConfig()
	if err != nil {
		return nil, err
	}
	greeting := ""
	if e.tls == tlsStart {
		if err := startTLS(w, e.hello); err != nil {
			return nil, err
		}
		greeting = "220 ready\r\n"
	}
	t := tls.Client(w, cfg)
	if err := t.HandshakeContext(ctx); err != nil {
		return nil, err
	}
	return &greeted{Conn: t, greeting: greeting}, nil
}

// startTLS brings the relay to the point where the handshake begins (RFC 3207).
func startTLS(w *wire, hello string) error {
	r := bufio.NewReader(w)
	text := textproto.NewReader(r)
	if _, _, err := text.ReadResponse(220); err != nil {
		return err
	}
	msg, err := ask(w, text, "EHLO "+hello, 250)
	if err != nil {
		return err
	}
	if !offers(msg, "STARTTLS") {
		return errNoSTARTTLS
	}
	if _, err := ask(w, text, "STARTTLS", 220); err != nil {
		return err
	}
	if r.Buffered() > 0 {
		return errors.New("somebody answered in clear after STARTTLS; the way to the relay is tampered with, or the relay is broken")
	}
	return nil
}

func ask(w *wire, r *textproto.Reader, command string, code int) (string, error) {
	if _, err := w.Write([]byte(command + "\r\n")); err != nil {
		return "", err
	}
	_, msg, err := r.ReadResponse(code)
	return msg, err
}

// offers reports whether an answer to EHLO names an extension. Its first line is the
// relay's name.
func offers(answer, extension string) bool {
	lines := strings.Split(answer, "\n")
	for _, line := range lines[1:] {
		if word, _, _ := strings.Cut(line, " "); strings.EqualFold(word, extension) {
			return true
		}
	}
	return false
}

// tlsConfig reads the files anew, so that they can be renewed while we run.
func (e *endpoint) tlsConfig() (*tls.Config, error) {
	cfg := &tls.Config{ServerName: e.serverName, MinVersion: tls.VersionTLS12}
	if e.clientCert != "" {
		pair, err := tls.LoadX509KeyPair(e.clientCert, e.clientKey)
		if err != nil {
			return nil, &caError{fmt.Errorf("client_cert_file and client_key_file cannot be used: %w", err)}
		}
		cfg.Certificates = []tls.Certificate{pair}
	}
	if e.caFile == "" {
		return cfg, nil
	}
	pem, err := os.ReadFile(e.caFile)
	if err != nil {
		return nil, &caError{fmt.Errorf("ca_file cannot be read: %w", err)}
	}
	cfg.RootCAs = x509.NewCertPool()
	if !cfg.RootCAs.AppendCertsFromPEM(pem) {
		return nil, &caError{fmt.Errorf("ca_file %s has no certificate in it; it must be PEM, beginning with -----BEGIN CERTIFICATE-----", e.caFile)}
	}
	return cfg, nil
}

// caError is a mistake in the configuration that only opening a session shows.
type caError struct{ err error }

// Error says what to correct. It has no secret in it: files are named, not shown.
func (e *caError) Error() string { return e.err.Error() }

// Unwrap keeps what the system said for errors.Is.
func (e *caError) Unwrap() error { return e.err }
