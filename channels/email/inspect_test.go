package email_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"sitrep/channels"
	"sitrep/channels/channeltest"
	"sitrep/channels/email"
	"sitrep/internal/secret"
)

// TestInspect: what was proven, step by step, and the step that failed, with a reason
// and a fault. Nobody is written to.
func TestInspect(t *testing.T) {
	cfg, ca := authority(t)
	_, otherCA := authority(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = ln.Close()
	login := email.Config{TLS: "starttls", CAFile: ca, Username: "sitrep", Password: secret.New(password)}
	change := func(f func(*email.Config)) email.Config { c := login; f(&c); return c }
	for name, row := range map[string]struct {
		relay *relay
		cfg   email.Config
		steps string // that went well
		fault channels.Fault
		says  string // the last step
	}{
		"all well":             {&relay{tls: cfg}, login, "connection encryption greeting login sender", "", "<status@example.com> is accepted"},
		"implicit, one by one": {&relay{tls: cfg, implicit: true, ext: []string{"SIZE", "AUTH LOGIN"}}, change(func(c *email.Config) { c.TLS = "implicit" }), "connection encryption greeting login sender", "", "accepted"},
		"no encryption":        {&relay{}, email.Config{}, "connection encryption greeting login sender", "", "accepted"},
		"nobody there":         {nil, email.Config{Host: ln.Addr().String(), TLS: "none"}, "", channels.Unavailable, "refused"},
		"bad certificate":      {&relay{tls: cfg}, change(func(c *email.Config) { c.CAFile = otherCA }), "connection", channels.Unauthorized, "ca_file"},
		"another name":         {&relay{tls: cfg}, change(func(c *email.Config) { c.ServerName = "mail.test" }), "connection", channels.Unauthorized, "server_name"},
		"no STARTTLS":          {&relay{}, login, "connection", channels.Unauthorized, "STARTTLS"},
		"EHLO refused":         {&relay{answer: script("EHLO", "550 5.7.1 go away")}, email.Config{}, "connection encryption", channels.Unauthorized, "go away"},
		"no REQUIRETLS":        {&relay{tls: cfg}, change(func(c *email.Config) { c.RequireTLS = true }), "connection encryption", channels.Unauthorized, "require_tls"},
		"bad AUTH":             {&relay{tls: cfg, answer: script("AUTH", "535 5.7.8 no: "+password)}, login, "connection encryption greeting", channels.Unauthorized, "check username"},
		"AUTH not offered":     {&relay{tls: cfg, ext: []string{"SIZE"}}, login, "connection encryption greeting", channels.Unauthorized, "no way to log in"},
		"refused sender":       {&relay{tls: cfg, answer: script("MAIL", "553 5.7.1 <status@example.com>: Sender address rejected: not owned by user sitrep")}, login, "connection encryption greeting login", channels.Unauthorized, "check from"},
		"cut at the sender":    {&relay{answer: script("MAIL", hangUp)}, email.Config{}, "connection encryption greeting login", channels.Unavailable, "asking"},
		"lies about DSN":       {&relay{ext: []string{"DSN"}, answer: refuseReturn}, email.Config{}, "connection encryption greeting login sender", "", "dsn: never"},
	} {
		t.Run(name, func(t *testing.T) {
			if row.relay != nil {
				row.relay.start(t)
			}
			found, err := open(t, row.relay, row.cfg).Inspect(t.Context())
			var well []string
			for _, f := range found {
				if f.Remote == "" || (f.Err == nil) != (f.Detail != "") {
					t.Errorf("%+v", f)
				}
				if f.Err == nil {
					well = append(well, f.Step)
				}
			}
			last := found[len(found)-1]
			fault, _ := channels.FaultOf(last.Err)
			if got := strings.Join(well, " "); got != row.steps || fault != row.fault || (err == nil) != (last.Err == nil) || err != nil && !errors.Is(err, last.Err) {
				t.Errorf("proven: %s, want %s; %q, want %q: %v", got, row.steps, fault, row.fault, err)
			}
			if text := last.Detail; !strings.Contains(text+sayError(last.Err), row.says) {
				t.Errorf("%q and %v do not say %q", text, last.Err, row.says)
			}
			channeltest.NoLeak(t, err, password)
			if r := row.relay; r != nil && r.seen("RCPT")+r.seen("DATA")+r.seen("BDAT") > 0 {
				t.Error("it was asked about more than the sender")
			}
			if r := row.relay; r != nil && err == nil {
				eventually(t, "a polite end", func() bool { return r.seen("RSET") == 1 && r.seen("QUIT") == 1 })
			}
		})
	}
}

func sayError(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func refuseReturn(c call) string {
	if strings.Contains(c.line, "RET=") {
		return "555 5.5.4 Unsupported option: RET=HDRS"
	}
	return ""
}

// TestInspectDetails: what an operator wants to know of each step.
func TestInspectDetails(t *testing.T) {
	cfg, ca := authority(t)
	r := (&relay{tls: cfg, ext: []string{"PIPELINING", "CHUNKING", "DSN", "AUTH LOGIN"}}).start(t)
	c := open(t, r, email.Config{
		TLS: "starttls", CAFile: ca, Username: "sitrep", Password: secret.New(password),
		Bounces: email.Bounces{Address: "bounces@example.com", Key: returnKey},
	})
	found, err := c.Inspect(t.Context())
	if err != nil || len(found) != 5 {
		t.Fatal(found, err)
	}
	for i, want := range []string{
		r.addr(), "TLS 1.3, certificate of relay.test from CN=test CA, valid until ", "by CHUNKING; delivery reports (DSN) asked for", "by login", "<bounces+probe-",
	} {
		if !strings.Contains(found[i].Detail, want) || found[i].Remote != r.addr() {
			t.Errorf("%+v does not say %q", found[i], want)
		}
	}
	if left := time.Until(found[1].Until); left < 30*time.Minute || left > time.Hour {
		t.Errorf("the certificate is good for %s", left)
	}
}

// TestInspectEveryRelay: each is inspected, whatever the others are like.
func TestInspectEveryRelay(t *testing.T) {
	bad, good := (&relay{answer: script("GREETING", "554 5.7.1 blocked")}).start(t), (&relay{}).start(t)
	c := open(t, nil, email.Config{TLS: "none", Relays: []email.Relay{{Host: good.addr(), Priority: 9}, {Host: bad.addr()}}})
	found, err := c.Inspect(t.Context())
	if len(found) != 8 || found[2].Err == nil || found[7].Step != "sender" || found[7].Err != nil || !errors.Is(err, found[2].Err) {
		t.Errorf("%+v, %v", found, err)
	}
}

// TestInspectEnds with its context.
func TestInspectEnds(t *testing.T) {
	for _, verb := range []string{"GREETING", "MAIL"} {
		r := (&relay{answer: script(verb, silence)}).start(t)
		c := open(t, r, email.Config{})
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		_, err := c.Inspect(ctx)
		cancel()
		if f, _ := channels.FaultOf(err); f != channels.Unavailable || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %s: %v", verb, f, err)
		}
	}
}

// TestProbeFaults: a probe ends as a message would.
func TestProbeFaults(t *testing.T) {
	cfg, ca := authority(t)
	_, otherCA := authority(t)
	for name, row := range map[string]struct {
		verb, reply string
		ca          string
		want        channels.Fault
	}{
		"well":              {"", "", ca, ""},
		"bad certificate":   {"", "", otherCA, channels.Unauthorized},
		"bad AUTH":          {"AUTH", "535 5.7.8 no", ca, channels.Unauthorized},
		"refused sender":    {"MAIL", "550 5.7.1 not yours", ca, channels.Unauthorized},
		"refused recipient": {"RCPT", "550 5.1.1 no such user", ca, channels.NoRecipient},
		"greylisted":        {"RCPT", "451 4.7.1 greylisted", ca, channels.Unavailable},
		"policy":            {"RCPT", "550 5.7.1 no", ca, channels.Rejected},
	} {
		for mode, ext := range modes {
			r := (&relay{tls: cfg, ext: append([]string{"AUTH PLAIN"}, ext...), answer: script(row.verb, row.reply)}).start(t)
			c := open(t, r, email.Config{TLS: "starttls", CAFile: row.ca, Username: "sitrep", Password: secret.New(password), Window: windowIn(mode), MaxSessions: 1})
			err := c.Probe(t.Context(), channels.Recipient{Address: "alice@abc.example"})
			if f, _ := channels.FaultOf(err); f != row.want || r.seen("DATA")+len(r.messages()) > 0 {
				t.Errorf("%s, %s: %q, want %q: %v", name, mode, f, row.want, err)
			}
			if row.verb != "" || row.ca != ca {
				continue
			}
			for range 3 { // in the same session, between messages
				if err := errors.Join(send(t, c, 1), c.Probe(t.Context(), channels.Recipient{Address: "alice@abc.example"})); err != nil {
					t.Errorf("%s: %v", mode, err)
				}
			}
			if made, _, _ := r.connections(); made != 1 || len(r.messages()) != 3 {
				t.Errorf("%s: %d connections, %d messages", mode, made, len(r.messages()))
			}
		}
	}
}
