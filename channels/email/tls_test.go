package email_test

import (
	"crypto/tls"
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sitrep/channels"
	"sitrep/channels/email"
	"sitrep/internal/secret"
)

func TestEncryption(t *testing.T) {
	cfg, ca := authority(t)
	_, otherCA := authority(t)
	old := cfg.Clone()
	old.MinVersion, old.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, []byte("nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, row := range map[string]struct {
		relay *relay
		cfg   email.Config
		want  channels.Fault // empty: delivered
		says  string
	}{
		"starttls":            {relay: &relay{tls: cfg}, cfg: email.Config{TLS: "starttls", CAFile: ca}},
		"starttls bytewise":   {relay: &relay{tls: cfg, bytewise: true}, cfg: email.Config{TLS: "starttls", CAFile: ca}},
		"implicit":            {relay: &relay{tls: cfg, implicit: true}, cfg: email.Config{TLS: "implicit", CAFile: ca}},
		"by its name":         {relay: &relay{tls: cfg}, cfg: email.Config{TLS: "starttls", CAFile: ca, ServerName: "relay.test"}},
		"lower case":          {relay: &relay{ext: []string{"starttls", "size"}, answer: upgrade(cfg), tls: cfg}, cfg: email.Config{TLS: "starttls", CAFile: ca}},
		"not offered":         {relay: &relay{}, cfg: email.Config{TLS: "starttls"}, want: channels.Unauthorized, says: "tls: none"},
		"refused for now":     {relay: &relay{tls: cfg, answer: script("STARTTLS", "454 4.7.0 TLS not available")}, cfg: email.Config{TLS: "starttls", CAFile: ca}, want: channels.Unavailable},
		"refused":             {relay: &relay{tls: cfg, answer: script("STARTTLS", "502 5.5.1 no")}, cfg: email.Config{TLS: "starttls", CAFile: ca}, want: channels.Unauthorized},
		"blocked before":      {relay: &relay{tls: cfg, answer: script("GREETING", "554 5.7.1 blocked")}, cfg: email.Config{TLS: "starttls", CAFile: ca}, want: channels.Unauthorized},
		"unknown authority":   {relay: &relay{tls: cfg}, cfg: email.Config{TLS: "starttls", CAFile: otherCA}, want: channels.Unauthorized, says: "ca_file"},
		"system authorities":  {relay: &relay{tls: cfg, implicit: true}, cfg: email.Config{TLS: "implicit"}, want: channels.Unauthorized, says: "ca_file"},
		"wrong name":          {relay: &relay{tls: cfg}, cfg: email.Config{TLS: "starttls", CAFile: ca, ServerName: "mail.test"}, want: channels.Unauthorized, says: "server_name"},
		"old version":         {relay: &relay{tls: old}, cfg: email.Config{TLS: "starttls", CAFile: ca}, want: channels.Unauthorized, says: "TLS 1.2"},
		"plain where TLS":     {relay: &relay{}, cfg: email.Config{TLS: "implicit"}, want: channels.Unauthorized, says: "starttls"},
		"said in clear after": {relay: &relay{tls: cfg, answer: script("STARTTLS", "220 go\r\n250 injected")}, cfg: email.Config{TLS: "starttls", CAFile: ca}, want: channels.Unavailable, says: "tampered"},
		"hung up":             {relay: &relay{tls: cfg, answer: script("STARTTLS", hangUp)}, cfg: email.Config{TLS: "starttls", CAFile: ca}, want: channels.Unavailable},
		"no CA file":          {relay: &relay{tls: cfg}, cfg: email.Config{TLS: "starttls", CAFile: "/nowhere/ca.pem"}, want: channels.Unauthorized, says: "ca_file cannot be read"},
		"empty CA file":       {relay: &relay{tls: cfg}, cfg: email.Config{TLS: "starttls", CAFile: empty}, want: channels.Unauthorized, says: "BEGIN CERTIFICATE"},
	} {
		t.Run(name, func(t *testing.T) {
			r := row.relay.start(t)
			_, err := open(t, r, row.cfg).Send(t.Context(), envelope("k1"))
			if f, _ := channels.FaultOf(err); f != row.want {
				t.Fatalf("%q, want %q: %v", f, row.want, err)
			}
			if err != nil && !strings.Contains(err.Error(), row.says) {
				t.Errorf("%q does not say %q", err, row.says)
			}
			if row.want != "" && r.seen("MAIL")+r.seen("AUTH") > 0 {
				t.Error("mail or credentials went out all the same")
			}
			for _, line := range r.said("EHLO") {
				if line == "EHLO localhost" {
					t.Error("it introduced itself as localhost")
				}
			}
		})
	}
}

// upgrade announces nothing the default would add, so that only "starttls" is there.
func upgrade(*tls.Config) func(call) string {
	return func(c call) string {
		if c.verb == "EHLO" {
			return "250-relay.test\r\n250-starttls\r\n250 SIZE"
		}
		return ""
	}
}

func TestAuth(t *testing.T) {
	cfg, ca := authority(t)
	b64 := base64.StdEncoding.EncodeToString
	plain := "AUTH PLAIN " + b64([]byte("\x00sitrep\x00"+password))
	for name, row := range map[string]struct {
		ext    string
		auth   string
		answer func(call) string
		want   []string // lines of AUTH and after
		fault  channels.Fault
		says   string
	}{
		"plain":          {ext: "AUTH PLAIN LOGIN", want: []string{plain}},
		"login if only":  {ext: "AUTH LOGIN", want: []string{"AUTH LOGIN " + b64([]byte("sitrep")), b64([]byte(password))}},
		"login asked":    {ext: "AUTH LOGIN PLAIN", auth: "LOGIN", want: []string{"AUTH LOGIN " + b64([]byte("sitrep")), b64([]byte(password))}},
		"not offered":    {ext: "AUTH GSSAPI", fault: channels.Unauthorized, says: "no login by plain or login or scram-sha-256, only GSSAPI"},
		"none offered":   {ext: "SIZE", fault: channels.Unauthorized, says: "no way to log in"},
		"plain only":     {ext: "AUTH LOGIN", auth: "plain", fault: channels.Unauthorized, says: "only LOGIN"},
		"refused":        {ext: "AUTH PLAIN", answer: script("AUTH", "535 5.7.8 no"), want: []string{plain}, fault: channels.Unauthorized, says: "check username"},
		"other refusal":  {ext: "AUTH PLAIN", answer: script("AUTH", "504 5.5.4 no"), want: []string{plain}, fault: channels.Unauthorized},
		"not now":        {ext: "AUTH PLAIN", answer: script("AUTH", "454 4.7.0 Temporary authentication failure"), want: []string{plain}, fault: channels.Unavailable},
		"too often":      {ext: "AUTH PLAIN", answer: script("AUTH", "454 4.7.0 Too many login attempts, please try again later"), want: []string{plain}, fault: channels.RateLimited},
		"login, chatty":  {ext: "AUTH LOGIN", answer: chatty, want: []string{"AUTH LOGIN " + b64([]byte("sitrep")), b64([]byte("sitrep")), b64([]byte(password))}},
		"login, endless": {ext: "AUTH LOGIN", answer: script("AUTH+", "334 UGFzc3dvcmQ6"), want: []string{"AUTH LOGIN " + b64([]byte("sitrep")), b64([]byte(password)), "*"}, fault: channels.Unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			r := (&relay{tls: cfg, ext: []string{row.ext}, answer: row.answer}).start(t)
			c := open(t, r, email.Config{TLS: "starttls", CAFile: ca, Username: "sitrep", Password: secret.New(password), Auth: row.auth})
			_, err := c.Send(t.Context(), envelope("k1"))
			if f, _ := channels.FaultOf(err); f != row.fault || err != nil && !strings.Contains(err.Error(), row.says) {
				t.Errorf("%q, want %q saying %q: %v", f, row.fault, row.says, err)
			}
			if got := append(r.said("AUTH"), r.said("AUTH+")...); strings.Join(got, "|") != strings.Join(row.want, "|") {
				t.Errorf("said %q, want %q", got, row.want)
			}
			if r.heardInClear("AUTH") {
				t.Error("credentials went out in clear")
			}
		})
	}
}

// chatty asks for the user name although it was given, in words of its own.
func chatty(c call) string {
	switch {
	case c.verb == "AUTH":
		return "334 " + base64.StdEncoding.EncodeToString([]byte("User Name\x00"))
	case c.verb == "AUTH+" && c.nth == 1:
		return "334 " + base64.StdEncoding.EncodeToString([]byte("pass word please"))
	}
	return ""
}

func TestXOAuth2(t *testing.T) {
	cfg, ca := authority(t)
	conf := email.Config{TLS: "starttls", CAFile: ca, Username: "status@example.com", Token: secret.New("ya29.token")}
	want := "AUTH XOAUTH2 " + base64.StdEncoding.EncodeToString([]byte("user=status@example.com\x01auth=Bearer ya29.token\x01\x01"))
	r := (&relay{tls: cfg}).start(t)
	if _, err := open(t, r, conf).Send(t.Context(), envelope("k1")); err != nil {
		t.Error(err)
	}
	if got := r.said("AUTH"); len(got) != 1 || got[0] != want {
		t.Errorf("said %q, want %q", got, want)
	}

	// A failure comes as a challenge that has to be answered before the refusal comes.
	r = (&relay{tls: cfg, answer: func(c call) string {
		switch c.verb {
		case "AUTH":
			return "334 " + base64.StdEncoding.EncodeToString([]byte(`{"status":"401","schemes":"bearer"}`))
		case "AUTH+":
			return "535 5.7.8 Username and Password not accepted"
		}
		return ""
	}}).start(t)
	_, err := open(t, r, conf).Send(t.Context(), envelope("k1"))
	if f, _ := channels.FaultOf(err); f != channels.Unauthorized || !strings.Contains(err.Error(), "535 5.7.8") {
		t.Errorf("%s: %v", f, err)
	}
	if got := r.said("AUTH+"); len(got) != 1 || got[0] != "" {
		t.Errorf("answered the challenge with %q, want one empty line", got)
	}
	if errors.Is(err, nil) || strings.Contains(err.Error(), "ya29") {
		t.Errorf("the token shows: %v", err)
	}
}
