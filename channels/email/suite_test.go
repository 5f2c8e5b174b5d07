package email_test

import (
	"errors"
	"io"
	"net"
	"sync/atomic"
	"testing"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"sitrep/channels"
	"sitrep/channels/channeltest"
	"sitrep/channels/email"
	"sitrep/internal/secret"
)

const password = "correct-horse-battery"

// backend is a real SMTP server's other half, for go-smtp.
type backend struct {
	scenario channeltest.Scenario
	asked    atomic.Int32
}

func (b *backend) NewSession(*smtp.Conn) (smtp.Session, error) { return &conversation{b: b}, nil }

type conversation struct {
	b      *backend
	logged bool
}

func (c *conversation) Reset()                   {}
func (c *conversation) Logout() error            { return nil }
func (c *conversation) AuthMechanisms() []string { return []string{sasl.Plain} }

func (c *conversation) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, pass string) error {
		if c.b.scenario == channeltest.BadCredentials || user != "sitrep" || pass != password {
			return &smtp.SMTPError{Code: 535, EnhancedCode: smtp.EnhancedCode{5, 7, 8}, Message: "no such login: " + pass}
		}
		c.logged = true
		return nil
	}), nil
}

func (c *conversation) Mail(string, *smtp.MailOptions) error {
	c.b.asked.Add(1)
	if !c.logged {
		return smtp.ErrAuthRequired
	}
	switch c.b.scenario {
	case channeltest.Busy:
		return &smtp.SMTPError{Code: 421, EnhancedCode: smtp.EnhancedCode{4, 7, 0}, Message: "too many messages, try again in 7 seconds"}
	case channeltest.Down:
		return &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 3, 0}, Message: "queue file write error"}
	}
	return nil
}

func (c *conversation) Rcpt(to string, _ *smtp.RcptOptions) error {
	if c.b.scenario == channeltest.UnknownRecipient {
		return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "<" + to + ">: User unknown"}
	}
	return nil
}

func (c *conversation) Data(r io.Reader) error {
	if _, err := io.Copy(io.Discard, r); err != nil {
		return err
	}
	if c.b.scenario == channeltest.BadPayload {
		return &smtp.SMTPError{Code: 554, EnhancedCode: smtp.EnhancedCode{5, 6, 0}, Message: "we do not like this one"}
	}
	return nil
}

// TestSuiteOverGoSMTP runs the suite against the library's own server, with STARTTLS and
// AUTH, but for the two scenarios it cannot play; those are played by the
// scripted relay in TestSuiteOverScript.
func TestSuiteOverGoSMTP(t *testing.T) {
	channeltest.Run(t, channeltest.Suite{
		Open: func(t *testing.T, s channeltest.Scenario) channeltest.Rig {
			cfg, ca := authority(t)
			b := &backend{scenario: s}
			srv := smtp.NewServer(b)
			srv.Domain, srv.TLSConfig = "relay.test", cfg
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			done := make(chan error, 1)
			go func() { done <- srv.Serve(ln) }()
			t.Cleanup(func() {
				err := srv.Close()
				_ = ln.Close() // in case Serve had not begun
				if err := errors.Join(err, <-done); err != nil {
					t.Errorf("server: %v", err)
				}
			})
			ch := open(t, nil, email.Config{
				Host: ln.Addr().String(), CAFile: ca, Username: "sitrep", Password: secret.New(password),
			})
			return rig(ch, func() int { return int(b.asked.Load()) })
		},
		Skip: map[channeltest.Scenario]string{
			channeltest.Silent: "the library's server always answers; see TestSuiteOverScript",
			channeltest.Cut:    "the library's server always answers; see TestSuiteOverScript",
		},
	})
}

// TestSuiteOverScript runs the whole suite against the scripted relay.
func TestSuiteOverScript(t *testing.T) {
	answers := map[channeltest.Scenario]struct{ verb, reply string }{
		channeltest.Busy:             {"MAIL", "450 4.7.1 Error: too much mail from 127.0.0.1; retry in 2 minutes"},
		channeltest.Down:             {"EHLO", "421 4.3.2 closing down"},
		channeltest.BadPayload:       {".", "552 5.3.4 Message too big"},
		channeltest.UnknownRecipient: {"RCPT", "550 User unknown"},
		channeltest.BadCredentials:   {"AUTH", "535 5.7.8 authentication failed: " + password},
		channeltest.Silent:           {"GREETING", silence},
		channeltest.Cut:              {".", hangUp},
	}
	channeltest.Run(t, channeltest.Suite{
		Open: func(t *testing.T, s channeltest.Scenario) channeltest.Rig {
			cfg, ca := authority(t)
			r := (&relay{tls: cfg, implicit: true, bytewise: s == channeltest.Down, answer: func(c call) string {
				if a := answers[s]; a.verb == c.verb {
					return a.reply
				}
				return ""
			}}).start(t)
			ch := open(t, r, email.Config{
				TLS: "implicit", CAFile: ca, Username: "sitrep", Password: secret.New(password), Auth: "login",
			})
			return rig(ch, func() int { return r.seen("MAIL") })
		},
	})
}

func rig(ch *email.Channel, attempts func() int) channeltest.Rig {
	return channeltest.Rig{
		Channel: ch, To: channels.Recipient{Address: "alice@abc.example", Name: "Alice"},
		Message: message, Secret: password, Attempts: attempts,
	}
}
