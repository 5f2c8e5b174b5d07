package email

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// endpoint is a relay as configured and checked.
type endpoint struct {
	address                           string // host:port, for dialling and for messages
	host, hello                       string
	tls, serverName, caFile           string
	clientCert, clientKey             string // files
	requireTLS, neverDSN              bool
	priority                          int
	maxSessions, maxPerSession        int
	window                            int
	interval                          time.Duration // from one message to the next; zero: any
	connectTimeout                    time.Duration
	commandTimeout, submissionTimeout time.Duration
	credentials                       *credentials
}

// check makes an endpoint of r and reports every mistake at once. s is what all relays
// share.
func (r Relay) check(s *settings) (*endpoint, error) {
	e := &endpoint{
		hello: s.Hello, tls: r.TLS, serverName: r.ServerName, caFile: r.CAFile, clientCert: r.ClientCertFile, clientKey: r.ClientKeyFile,
		requireTLS: s.RequireTLS, neverDSN: s.DSN == dsnNever, priority: r.Priority, maxSessions: r.MaxSessions, maxPerSession: r.MaxPerSession, window: s.Window,
		connectTimeout: s.ConnectTimeout, commandTimeout: s.CommandTimeout, submissionTimeout: s.SubmissionTimeout,
	}
	host := e.checkHost(r.Host)
	var auth, rate error
	e.credentials, auth = r.credentials(e.tls)
	e.interval, rate = parseRate(r.Rate)
	return e, errors.Join(
		host, auth, rate, e.checkFiles(),
		checkNumber("max_sessions", &e.maxSessions, 8, 1000),
		checkNumber("max_per_session", &e.maxPerSession, 100, 1_000_000),
	)
}

func (e *endpoint) checkHost(s string) error {
	if s == "" {
		return errors.New("host: missing; write the relay's name and port, such as smtp.example.com:587")
	}
	scheme, rest, found := strings.Cut(s, "://")
	if !found {
		scheme, rest = "", s
	}
	if strings.ContainsAny(rest, "@/?#") {
		// Not repeated: it may hold a password.
		return errors.New("host: only a name and a port belong here; credentials go into username and password")
	}
	host, port, err := splitPort(rest)
	if err != nil {
		return fmt.Errorf("host: %w", err)
	}
	if err := e.checkTLS(scheme, port); err != nil {
		return err
	}
	if port == "" {
		port = map[string]string{tlsStart: "587", tlsImplicit: "465", tlsNone: "25"}[e.tls]
	}
	e.host, e.address = host, net.JoinHostPort(host, port)
	if e.serverName == "" {
		e.serverName = host
	}
	return nil
}

// splitPort splits host[:port] and checks both. The host comes back in ASCII and
// without brackets.
func splitPort(s string) (host, port string, err error) {
	host = s
	if h, p, err := net.SplitHostPort(s); err == nil {
		host, port = h, p
		if n, err := strconv.ParseUint(p, 10, 16); err != nil || n == 0 {
			return "", "", fmt.Errorf("%q is not a port from 1 to 65535", p)
		}
	}
	if ip, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		return ip.String(), port, nil
	}
	if ascii, err := hostName(host); err == nil {
		return ascii, port, nil
	}
	return "", "", fmt.Errorf("%q is not a host name or host:port", s)
}

func (e *endpoint) checkTLS(scheme, port string) error {
	implied, ok := map[string]string{"": "", "smtp": tlsStart, "smtps": tlsImplicit}[scheme]
	switch {
	case !ok:
		return fmt.Errorf("host: %q is not a scheme for mail; write smtp:// or smtps://, or only the name and port", scheme+"://")
	case e.tls != "" && e.tls != tlsStart && e.tls != tlsImplicit && e.tls != tlsNone:
		return fmt.Errorf("tls: %q is not one of starttls, implicit, none", e.tls)
	case e.tls != "" && scheme == "smtps" && e.tls != tlsImplicit:
		return fmt.Errorf("tls: %s contradicts smtps:// in host; leave one of them out", e.tls)
	case e.tls == tlsImplicit && scheme == "smtp":
		return errors.New("tls: implicit contradicts smtp:// in host; write smtps://, or only the name and port")
	case e.tls == tlsNone && e.requireTLS:
		return errors.New("require_tls: it cannot be asked for without TLS to the relay itself; take `tls: none` away")
	case e.tls != "":
		return nil
	}
	e.tls = implied
	if e.tls == "" {
		e.tls = tlsStart
		if port == "465" {
			e.tls = tlsImplicit
		}
	}
	return nil
}

func (e *endpoint) checkFiles() error {
	switch {
	case e.clientCert == "" && e.clientKey == "":
		return nil
	case e.clientCert == "":
		return errors.New("client_cert_file: missing, though there is a client_key_file")
	case e.clientKey == "":
		return errors.New("client_key_file: missing, though there is a client_cert_file")
	case e.tls == tlsNone:
		return errors.New("client_cert_file: a certificate is shown in TLS only; take `tls: none` away")
	}
	return nil
}

// parseRate reads 14/s, 500/m or 10000/h and returns the time from one message to the
// next.
func parseRate(s string) (time.Duration, error) {
	if s == "" {
		return 0, nil
	}
	number, unit, _ := strings.Cut(s, "/")
	n, err := strconv.Atoi(strings.TrimSpace(number))
	per := map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour}[strings.TrimSpace(unit)]
	if err != nil || n < 1 || n > 1_000_000 || per == 0 {
		return 0, fmt.Errorf("rate: %q is not a number of messages in a second, minute or hour; write it like 14/s, 500/m or 10000/h", s)
	}
	return per / time.Duration(n), nil
}
