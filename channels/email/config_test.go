package email_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"sitrep/channels"
	"sitrep/channels/email"
	"sitrep/internal/secret"
)

func TestConfigMistakes(t *testing.T) {
	ok := email.Config{Host: "smtp.example.com:587", From: "Status <status@example.com>"}
	with := func(change func(*email.Config)) email.Config {
		c := ok
		change(&c)
		return c
	}
	for want, cfg := range map[string]email.Config{
		"host: missing":                      with(func(c *email.Config) { c.Host = "" }),
		"not a port":                         with(func(c *email.Config) { c.Host = "smtp.example.com:99999" }),
		"is not a host name":                 with(func(c *email.Config) { c.Host = "smtp example com" }),
		"not a scheme for mail":              with(func(c *email.Config) { c.Host = "https://smtp.example.com" }),
		"credentials go into username":       with(func(c *email.Config) { c.Host = "smtp://me:hunter2@smtp.example.com" }),
		"tls: \"yes\" is not one of":         with(func(c *email.Config) { c.TLS = "yes" }),
		"contradicts smtps://":               with(func(c *email.Config) { c.Host, c.TLS = "smtps://smtp.example.com", "starttls" }),
		"contradicts smtp://":                with(func(c *email.Config) { c.Host, c.TLS = "smtp://smtp.example.com", "implicit" }),
		"from: missing":                      with(func(c *email.Config) { c.From = "" }),
		"from: \"Status\" is not an address": with(func(c *email.Config) { c.From = "Status" }),
		"reply_to:":                          with(func(c *email.Config) { c.ReplyTo = "a@b" }),
		"message_id_domain:":                 with(func(c *email.Config) { c.MessageIDDomain = "no domain" }),
		"hello:":                             with(func(c *email.Config) { c.Hello = "my host\r\nMAIL" }),
		"in clear":                           with(func(c *email.Config) { c.TLS, c.Username, c.Password = "none", "u", secret.New("hunter2") }),
		"username: missing":                  with(func(c *email.Config) { c.Password = secret.New("hunter2") }),
		"password: missing, though":          with(func(c *email.Config) { c.Username = "u" }),
		"password: missing; auth: login":     with(func(c *email.Config) { c.Username, c.Auth = "u", "login" }),
		"token: missing":                     with(func(c *email.Config) { c.Username, c.Auth = "u", "xoauth2" }),
		"not both":                           with(func(c *email.Config) { c.Username, c.Password, c.Token = "u", secret.New("hunter2"), secret.New("t") }),
		"auth: \"kerberos\"":                 with(func(c *email.Config) { c.Auth = "Kerberos" }),
		"username: has a control character":  with(func(c *email.Config) { c.Username, c.Password = "a\x00b", secret.New("hunter2") }),
		"max_sessions: -1 is not between":    with(func(c *email.Config) { c.MaxSessions = -1 }),
		"max_per_session:":                   with(func(c *email.Config) { c.MaxPerSession = -1 }),
		"idle_timeout: -1s is negative":      with(func(c *email.Config) { c.IdleTimeout = -time.Second }),
		"is not between 1 and 100":           with(func(c *email.Config) { c.Window = 101 }),
		"write it like 14/s":                 with(func(c *email.Config) { c.Rate = "14" }),
		"rate: \"0/s\"":                      with(func(c *email.Config) { c.Rate = "0/s" }),
		"there are relays as well":           with(func(c *email.Config) { c.Relays = []email.Relay{{Host: "a.example"}} }),
		"relay b.example: tls: \"x\"": with(func(c *email.Config) {
			c.Host, c.Relays = "", []email.Relay{{Host: "a.example"}, {Host: "b.example", TLS: "x"}}
		}),
		"relay a.example: max_sessions: -2": with(func(c *email.Config) { c.Host, c.Relays = "", []email.Relay{{Host: "a.example", MaxSessions: -2}} }),
		"take `tls: none` away":             with(func(c *email.Config) { c.TLS, c.RequireTLS = "none", true }),
		"client_key_file: missing":          with(func(c *email.Config) { c.ClientCertFile = "a.pem" }),
		"client_cert_file: missing":         with(func(c *email.Config) { c.ClientKeyFile = "a.pem" }),
		"in TLS only":                       with(func(c *email.Config) { c.TLS, c.ClientCertFile, c.ClientKeyFile = "none", "a", "b" }),
		"a token or a token_command":        with(func(c *email.Config) { c.Username, c.Token, c.TokenCommand = "u", secret.New("hunter2"), []string{"t"} }),
		"auth: oauthbearer needs one":       with(func(c *email.Config) { c.Username, c.Auth, c.Password = "u", "oauthbearer", secret.New("hunter2") }),
		"its first word":                    with(func(c *email.Config) { c.Username, c.TokenCommand = "u", []string{" "} }),
		"reply_to_lists: contacts:":         with(func(c *email.Config) { c.ReplyToLists = map[string]string{"contacts": "x"} }),
		"unsubscribe: url: missing":         with(func(c *email.Config) { c.Unsubscribe.Key = secret.New("0123456789abcdef") }),
		"it must be an https address": with(func(c *email.Config) {
			c.Unsubscribe = email.Unsubscribe{URL: "http://x.example/u/", Key: secret.New("0123456789abcdef")}
		}),
		"it must end in /": with(func(c *email.Config) {
			c.Unsubscribe = email.Unsubscribe{URL: "https://x.example/u", Key: secret.New("0123456789abcdef")}
		}),
		"at least 16 characters": with(func(c *email.Config) {
			c.Unsubscribe = email.Unsubscribe{URL: "https://x.example/u/", Key: secret.New("hunter2")}
		}),
		"dkim: signature 1: selector":     with(func(c *email.Config) { c.DKIM = []email.DKIM{{}} }),
		"dkim: signature 1: key: missing": with(func(c *email.Config) { c.DKIM = []email.DKIM{{Selector: "s"}} }),
		"key: it is not PEM":              with(func(c *email.Config) { c.DKIM = []email.DKIM{{Selector: "s", Key: secret.New("hunter2")}} }),
		"cannot be part of a name":        with(func(c *email.Config) { c.DKIM = []email.DKIM{{Selector: "a b", Key: secret.New("hunter2")}} }),
		"dsn: \"off\" is not one of":      with(func(c *email.Config) { c.DSN = "off" }),
		"bounces: address: missing":       with(func(c *email.Config) { c.Bounces.Key = secret.New("0123456789abcdef") }),
		"bounces: key: it must have":      with(func(c *email.Config) { c.Bounces = email.Bounces{Address: "b@example.com", Key: secret.New("hunter2")} }),
		"bounces: address: \"bounces\"": with(func(c *email.Config) {
			c.Bounces = email.Bounces{Address: "bounces", Key: secret.New("0123456789abcdef")}
		}),
		"cannot carry a subaddress": with(func(c *email.Config) {
			c.Bounces = email.Bounces{Address: "ü@example.com", Key: secret.New("0123456789abcdef")}
		}),
		"which leaves 20": with(func(c *email.Config) {
			c.Bounces = email.Bounces{Address: strings.Repeat("b", 21) + "@example.com", Key: secret.New("0123456789abcdef")}
		}),
		"submission_timeout:": with(func(c *email.Config) { c.SubmissionTimeout = -1 }),
	} {
		_, err := email.New(decode(cfg), channels.Env{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %q", err, want)
		} else if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("the password shows in %q", err)
		}
	}
}

func TestConfigAllAtOnce(t *testing.T) {
	_, err := email.New(decode(email.Config{TLS: "x", Host: "h", Auth: "y", MaxSessions: -1}), channels.Env{})
	for _, want := range []string{"tls:", "auth:", "from:", "max_sessions:"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v says nothing of %s", err, want)
		}
	}
	broken := errors.New("line 7: no such key")
	if _, err := email.New(func(any) error { return broken }, channels.Env{}); !errors.Is(err, broken) {
		t.Errorf("the decoder's error is lost: %v", err)
	}
}

// TestHostForms: each form leads to the port and the encryption it stands for.
func TestHostForms(t *testing.T) {
	for host, want := range map[string]string{
		"smtp.example.invalid":         "smtp.example.invalid:587",
		"smtp.example.invalid:2525":    "smtp.example.invalid:2525",
		"smtp://smtp.example.invalid":  "smtp.example.invalid:587",
		"smtps://smtp.example.invalid": "smtp.example.invalid:465",
		"smtps://[::1]:1":              "[::1]:1",
		"bücher.invalid":               "xn--bcher-kva.invalid:587",
	} {
		c, err := email.New(decode(email.Config{Host: host, From: "a@example.com", ConnectTimeout: time.Nanosecond}), channels.Env{})
		if err != nil {
			t.Errorf("%s: %v", host, err)
			continue
		}
		if _, err = c.Send(t.Context(), envelope("k1")); err == nil || !strings.Contains(err.Error(), " "+want) {
			t.Errorf("%s leads to %v, want %s", host, err, want)
		}
	}
}

func TestSpec(t *testing.T) {
	c, err := email.Kind().New(decode(email.Config{Host: "h.example", From: "a@example.com", MaxSessions: 3}), channels.Env{})
	if err != nil {
		t.Fatal(err)
	}
	want := channels.Spec{
		Format: channels.FormatEmail, Limits: channels.Limits{HTMLBytes: 102_000}, Threads: true,
		Ambiguous: channels.ResendAmbiguous, Workers: 60, Timeout: 30*time.Second + 5*time.Minute + 5*time.Minute + 10*time.Minute,
	}
	if c.Spec() != want {
		t.Errorf("%+v, want %+v", c.Spec(), want)
	}
}

func TestHello(t *testing.T) {
	for hello, want := range map[string]string{"mail.example.com": "mail.example.com", "[192.0.2.1]": "[192.0.2.1]"} {
		r := (&relay{}).start(t)
		if err := send(t, open(t, r, email.Config{Hello: hello}), 1); err != nil {
			t.Fatal(err)
		}
		if got := r.said("EHLO")[0]; got != "EHLO "+want {
			t.Errorf("%q", got)
		}
	}
}

func TestCheckAddress(t *testing.T) {
	for _, good := range []string{
		"alice@abc.example", "a.b+c_d'e@abc.example", "alice@localhost", "alice@[192.0.2.1]", "alice@[IPv6:2001:db8::1]",
		`"alice b"@abc.example`, `"a\"b"@abc.example`, "björn@bücher.example", "用户@例子.测试", "ALICE@ABC.Example",
		"a@xn--bcher-kva.example", strings.Repeat("x", 64) + "@abc.example",
	} {
		if err := email.CheckAddress(good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for bad, says := range map[string]string{
		"": "empty", "alice": "not a mail address", "@abc.example": "not a mail address", "alice@": "not a mail address",
		"alice@abc": "has no dot", ".a@abc.example": "dot begins", "a..b@abc.example": "dot begins", "a.@abc.example": "dot ends",
		"a b@abc.example": "' '", "a@abc.example\r\nDATA": "not a domain", "a\r\n@abc.example": "'\\r'", "<a@abc.example>": "'<'",
		"Alice <a@abc.example>": "' '", "a@-abc.example": "not a domain", "a@abc..example": "not a domain", "a@abc.example.": "not a domain",
		"a@xn--.example": "not a domain", "a@[1.2.3]": "not a domain", "a@[IPv6:1.2.3.4]": "not a domain", `"a"b"@abc.example`: "quotes",
		`"a@abc.example`: "quotes", `"a\"@abc.example`: "quotes", "\"ä\"@abc.example": "plain ASCII", "a\u00a0b@abc.example": "cannot be",
		strings.Repeat("x", 65) + "@abc.example": "65 octets", strings.Repeat("x", 60) + "@" + strings.Repeat("abcdefgh.", 24) + "example": "octets",
		"a\xff@abc.example": "UTF-8", "a@ex_ample.com": "not a domain", "a,b@abc.example": "','", "a@b@abc.example": "'@'",
	} {
		if err := email.CheckAddress(bad); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v does not say %q", bad, err, says)
		}
	}
}
