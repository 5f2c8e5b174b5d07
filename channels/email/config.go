package email

import (
	"errors"
	"fmt"
	"net"
	"net/mail"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	"sitrep/internal/secret"
)

// Config is the channel's stanza. Only host and from are needed.
type Config struct {
	// Host is the relay: host:port, host, smtp://host:port (STARTTLS) or
	// smtps://host:port (TLS from the first byte). Without a port it is 587 (RFC
	// 6409), or 465 with implicit TLS (RFC 8314), or 25 with none.
	Host string `yaml:"host"`

	// TLS is starttls (required, never optional), implicit or none. By default it
	// follows Host: implicit for smtps:// and port 465, otherwise starttls.
	TLS string `yaml:"tls,omitempty"`

	// Username, Password and Token are the credentials; they are only ever sent
	// over TLS. Auth is plain, login or xoauth2. By default it is xoauth2 with a
	// token; with a password it is plain, or login where the relay offers only that.
	Username string        `yaml:"username,omitempty"`
	Password secret.String `yaml:"password,omitempty"`
	Token    secret.String `yaml:"token,omitempty"`
	Auth     string        `yaml:"auth,omitempty"`

	// From is whom the mail is from, "Status <status@example.com>": the header and
	// the envelope sender, to which bounces go. ReplyTo is where answers go.
	From    string `yaml:"from"`
	ReplyTo string `yaml:"reply_to,omitempty"`

	// MessageIDDomain is the right side of Message-IDs; by default From's domain.
	// Changing it while an incident is open breaks nothing, for a thread carries
	// whole Message-IDs.
	MessageIDDomain string `yaml:"message_id_domain,omitempty"`

	// Hello is the name in EHLO: by default the machine's name if it is fully
	// qualified, otherwise MessageIDDomain.
	Hello string `yaml:"hello,omitempty"`

	// CAFile holds the PEM certificates to trust instead of the system's. It is
	// read whenever a session is opened, so that it can be renewed in place.
	// ServerName is the name the relay's certificate must have, by default Host's.
	CAFile     string `yaml:"ca_file,omitempty"`
	ServerName string `yaml:"server_name,omitempty"`

	MaxSessions   int `yaml:"max_sessions,omitempty"`    // open at a time; default 8
	MaxPerSession int `yaml:"max_per_session,omitempty"` // messages in one session; default 100

	// IdleTimeout is how long an unused session stays open; default 15s.
	// ConnectTimeout covers everything until the relay is ready to take mail;
	// default 30s. CommandTimeout is for each answer, default 5m, and
	// SubmissionTimeout for the one after the message, default 10m (both RFC 5321
	// section 4.5.3.2); a channel's `timeout` usually ends an attempt before.
	IdleTimeout       time.Duration `yaml:"idle_timeout,omitempty"`
	ConnectTimeout    time.Duration `yaml:"connect_timeout,omitempty"`
	CommandTimeout    time.Duration `yaml:"command_timeout,omitempty"`
	SubmissionTimeout time.Duration `yaml:"submission_timeout,omitempty"`
}

// The values of Config.TLS.
const (
	tlsStart    = "starttls"
	tlsImplicit = "implicit"
	tlsNone     = "none"
)

// settings is a Config that was checked, with its defaults filled in.
type settings struct {
	Config
	address string // host:port, for dialling and for messages
	host    string
	from    party
	replyTo party // zero: none
}

// party is a display name and an address.
type party struct {
	name string
	addr address
}

// check fills in the defaults and reports every mistake at once.
func (c Config) check() (settings, error) {
	s := settings{Config: c}
	err := errors.Join(
		s.checkHost(), s.checkAuth(), s.checkParties(), s.checkNames(), s.checkNumbers(),
	)
	return s, err
}

func (s *settings) checkHost() error {
	if s.Host == "" {
		return errors.New("host: missing; write the relay's name and port, such as smtp.example.com:587")
	}
	scheme, rest, found := strings.Cut(s.Host, "://")
	if !found {
		scheme, rest = "", s.Host
	}
	if strings.ContainsAny(rest, "@/?#") {
		// Not repeated: it may hold a password.
		return errors.New("host: only a name and a port belong here; credentials go into username and password")
	}
	host, port, err := splitPort(rest)
	if err != nil {
		return fmt.Errorf("host: %w", err)
	}
	if err := s.checkTLS(scheme, port); err != nil {
		return err
	}
	if port == "" {
		port = map[string]string{tlsStart: "587", tlsImplicit: "465", tlsNone: "25"}[s.TLS]
	}
	s.host, s.address = host, net.JoinHostPort(host, port)
	if s.ServerName == "" {
		s.ServerName = host
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

func (s *settings) checkTLS(scheme, port string) error {
	implied, ok := map[string]string{"": "", "smtp": tlsStart, "smtps": tlsImplicit}[scheme]
	switch {
	case !ok:
		return fmt.Errorf("host: %q is not a scheme for mail; write smtp:// or smtps://, or only the name and port", scheme+"://")
	case s.TLS != "" && s.TLS != tlsStart && s.TLS != tlsImplicit && s.TLS != tlsNone:
		return fmt.Errorf("tls: %q is not one of starttls, implicit, none", s.TLS)
	case s.TLS != "" && scheme == "smtps" && s.TLS != tlsImplicit:
		return fmt.Errorf("tls: %s contradicts smtps:// in host; leave one of them out", s.TLS)
	case s.TLS == tlsImplicit && scheme == "smtp":
		return errors.New("tls: implicit contradicts smtp:// in host; write smtps://, or only the name and port")
	case s.TLS != "":
		return nil
	}
	s.TLS = implied
	if s.TLS == "" {
		s.TLS = tlsStart
		if port == "465" {
			s.TLS = tlsImplicit
		}
	}
	return nil
}

func (s *settings) checkAuth() error {
	var errs []error
	s.Auth = strings.ToLower(s.Auth)
	wants := !s.Password.Empty() || !s.Token.Empty() || s.Auth != ""
	switch {
	case s.Auth != "" && s.Auth != authPlain && s.Auth != authLogin && s.Auth != authXOAuth2:
		errs = append(errs, fmt.Errorf("auth: %q is not one of plain, login, xoauth2", s.Auth))
	case wants && s.Username == "":
		errs = append(errs, errors.New("username: missing, though there is a password, a token or an auth"))
	case !s.Password.Empty() && !s.Token.Empty():
		errs = append(errs, errors.New("token: give a password or a token, not both"))
	case s.Auth == authXOAuth2 && s.Token.Empty():
		errs = append(errs, errors.New("token: missing; auth: xoauth2 needs one"))
	case (s.Auth == authPlain || s.Auth == authLogin) && s.Password.Empty():
		errs = append(errs, fmt.Errorf("password: missing; auth: %s needs one", s.Auth))
	case s.Username != "" && s.Password.Empty() && s.Token.Empty():
		errs = append(errs, errors.New("password: missing, though there is a username"))
	}
	if strings.ContainsAny(s.Username, "\x00\x01\r\n") {
		errs = append(errs, errors.New("username: has a control character in it"))
	}
	if s.Username != "" && s.TLS == tlsNone {
		errs = append(errs, errors.New("tls: none would send the credentials in clear; use starttls or implicit, or take username away"))
	}
	if s.Auth == "" && !s.Token.Empty() {
		s.Auth = authXOAuth2
	}
	return errors.Join(errs...)
}

func (s *settings) checkParties() error {
	var errs []error
	var err error
	if s.From == "" {
		errs = append(errs, errors.New(`from: missing; write an address, such as "Status <status@example.com>"`))
	} else if s.from, err = parseParty(s.From); err != nil {
		errs = append(errs, fmt.Errorf("from: %w", err))
	}
	if s.ReplyTo != "" {
		if s.replyTo, err = parseParty(s.ReplyTo); err != nil {
			errs = append(errs, fmt.Errorf("reply_to: %w", err))
		}
	}
	return errors.Join(errs...)
}

// parseParty reads `Name <local@domain>` or a bare address.
func parseParty(s string) (party, error) {
	p, err := mail.ParseAddress(s)
	if err != nil {
		return party{}, fmt.Errorf(`%q is not an address like "Status <status@example.com>"`, s)
	}
	addr, err := parseAddress(p.Address)
	return party{name: clean(p.Name), addr: addr}, err
}

func (s *settings) checkNames() error {
	var errs []error
	if s.MessageIDDomain == "" {
		s.MessageIDDomain = s.from.addr.domain
	} else if d, err := hostName(s.MessageIDDomain); err != nil {
		errs = append(errs, fmt.Errorf("message_id_domain: %w", err))
	} else {
		s.MessageIDDomain = d
	}
	if s.Hello == "" {
		s.Hello = defaultHello(s.MessageIDDomain)
	} else if h, err := helloName(s.Hello); err != nil {
		errs = append(errs, fmt.Errorf("hello: %w", err))
	} else {
		s.Hello = h
	}
	return errors.Join(errs...)
}

// defaultHello is the machine's name if it can be one of RFC 5321 section 4.1.4,
// otherwise a domain that certainly exists.
func defaultHello(domain string) string {
	name, err := os.Hostname()
	if err != nil || !strings.Contains(name, ".") || strings.HasPrefix(name, "localhost.") {
		return domain
	}
	if ascii, err := hostName(name); err == nil {
		return ascii
	}
	return domain
}

// helloName checks a name for EHLO: a domain, or an address literal in brackets.
func helloName(s string) (string, error) {
	if isLiteral(s) {
		return s, nil
	}
	return hostName(s)
}

func (s *settings) checkNumbers() error {
	var errs []error
	for _, n := range []struct {
		key     string
		value   *int
		preset  int
		highest int
	}{
		{"max_sessions", &s.MaxSessions, 8, 1000},
		{"max_per_session", &s.MaxPerSession, 100, 1_000_000},
	} {
		if *n.value < 0 || *n.value > n.highest {
			errs = append(errs, fmt.Errorf("%s: %d is not between 1 and %d", n.key, *n.value, n.highest))
		}
		if *n.value == 0 {
			*n.value = n.preset
		}
	}
	for _, d := range []struct {
		key    string
		value  *time.Duration
		preset time.Duration
	}{
		{"idle_timeout", &s.IdleTimeout, 15 * time.Second},
		{"connect_timeout", &s.ConnectTimeout, 30 * time.Second},
		{"command_timeout", &s.CommandTimeout, 5 * time.Minute},
		{"submission_timeout", &s.SubmissionTimeout, 10 * time.Minute},
	} {
		if *d.value < 0 {
			errs = append(errs, fmt.Errorf("%s: %s is negative; write a duration such as 30s", d.key, *d.value))
		}
		if *d.value == 0 {
			*d.value = d.preset
		}
	}
	return errors.Join(errs...)
}
