package email_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"sitrep/channels"
	"sitrep/channels/email"
)

// withDSN is what a relay of the mode offers, and DSN.
func withDSN(mode string) []string { return append([]string{"DSN"}, modes[mode]...) }

// TestDSN: reports are asked for where they are offered, in every way in which messages
// can follow each other, and for the recipient as we know it.
func TestDSN(t *testing.T) {
	long := `"` + strings.Repeat(`==`, 31) + `"@` + strings.Repeat("x.", 60) + "example"
	for address, orcpt := range map[string]string{
		"alice@abc.example":                "ORCPT=rfc822;alice@abc.example",
		"a+b=c@abc.example":                "ORCPT=rfc822;a+2Bb+3Dc@abc.example",
		`"a \"b"@abc.example`:              `ORCPT=rfc822;"a+20\"b"@abc.example`,
		"ops@例え.テスト":                       "ORCPT=rfc822;ops@xn--r8jz45g.xn--zckzah",
		"bj+örn@bücher.example":            `ORCPT=utf-8;bj\x{2B}örn@xn--bcher-kva.example`,
		long:                               "ORCPT=rfc822;" + strings.ReplaceAll(long, "=", "+3D"),
		strings.ReplaceAll(long, "=", "+"): "ORCPT=rfc822;" + strings.ReplaceAll(long, "=", "+2B"),
		"ö" + strings.Repeat("+", 62) + "@" + strings.Repeat("x.", 90) + "example": "", // more than 500 octets
	} {
		for mode := range modes {
			r := (&relay{ext: withDSN(mode)}).start(t)
			e := envelope("01hzx4c6m5q2w8e9r7t0y3u1ia")
			e.To.Address = address
			c := open(t, r, email.Config{Window: windowIn(mode)})
			for range 2 { // what went well is no reason to do otherwise
				if _, err := c.Send(t.Context(), e); err != nil {
					t.Fatalf("%s: %v", mode, err)
				}
			}
			mail, rcpt := r.said("MAIL")[1], r.said("RCPT")[1]
			rcpt = strings.NewReplacer("RFC822;", "rfc822;", "UTF-8;", "utf-8;").Replace(rcpt) // either will do
			if !strings.HasSuffix(mail, " RET=HDRS ENVID=01hzx4c6m5q2w8e9r7t0y3u1ia") || !strings.HasSuffix(rcpt, strings.TrimSpace("> NOTIFY=FAILURE,DELAY "+orcpt)) {
				t.Errorf("%s: %q, %q, want %s", mode, mail, rcpt, orcpt)
			}
		}
	}
}

// TestNoDSN: nothing of it where it is not offered, or not wanted.
func TestNoDSN(t *testing.T) {
	for mode, ext := range modes {
		for _, r := range []*relay{{ext: ext}, {ext: withDSN(mode)}} {
			dsn := ""
			if r.start(t); slices.Contains(r.ext, "DSN") {
				dsn = "never"
			}
			if err := send(t, open(t, r, email.Config{DSN: dsn, Window: windowIn(mode)}), 1); err != nil {
				t.Error(err)
			}
			if said := r.said("MAIL")[0] + r.said("RCPT")[0]; strings.Contains(said, "ENVID") || strings.Contains(said, "NOTIFY") {
				t.Errorf("%s: %q", mode, said)
			}
		}
	}
}

// TestRelayThatLiesAboutDSN: it offers reports and chokes on being asked for them. All is
// sent without, in the same attempts and once each; the relay is not asked again, and
// the operator is told.
func TestRelayThatLiesAboutDSN(t *testing.T) {
	for mode := range modes {
		for _, said := range []struct{ verb, with, reply string }{
			{"MAIL", "RET=", "555 5.5.4 Unsupported option: RET=HDRS"},
			{"MAIL", "ENVID=", "501 Syntax error in parameters or arguments"},
			{"RCPT", "NOTIFY=", "504 5.5.4 parameter not implemented"},
			{"RCPT", "ORCPT=", "500 what"},
		} {
			t.Run(mode+"/"+said.with, func(t *testing.T) {
				r, c, release := held(t, mode, func(c call) string {
					if c.verb == said.verb && strings.Contains(c.line, said.with) {
						return said.reply
					}
					return ""
				})
				r.ext = withDSN(mode)
				ends := queue(t, t.Context(), c, 12)
				release()
				for i, end := range ends {
					if err := <-end; err != nil {
						t.Errorf("message %d: %v", i, err)
					}
				}
				asked := len(slices.DeleteFunc(r.said(said.verb), func(s string) bool { return !strings.Contains(s, said.with) }))
				if err := send(t, c, 99); err != nil {
					t.Error(err)
				}
				if again := strings.Count(strings.Join(r.said(said.verb), "\n"), said.with); again != asked || asked > 12 {
					t.Errorf("asked %d times for 12 messages, and then %d times", asked, again-asked)
				}
				if n := len(r.messages()); n != 13 {
					t.Errorf("%d messages, want 13", n)
				}
			})
		}
	}
}

// TestDSNWarning: the operator is told once.
func TestDSNWarning(t *testing.T) {
	r := (&relay{ext: withDSN("pipelining"), answer: func(c call) string {
		if strings.Contains(c.line, "RET=") {
			return "555 5.5.4 Unsupported option"
		}
		return ""
	}}).start(t)
	var log bytes.Buffer
	ch, err := email.New(decode(email.Config{Host: r.addr(), TLS: "none", From: "status@example.com"}),
		channels.Env{Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	for n := range 3 {
		if _, err := ch.Send(t.Context(), envelope(fmt.Sprintf("key%d", n))); err != nil {
			t.Error(err)
		}
	}
	if err := ch.(channels.Closer).Close(); err != nil {
		t.Error(err)
	}
	if strings.Count(log.String(), "dsn: never") != 1 || r.seen("MAIL") != 4 {
		t.Errorf("%d MAIL, log:\n%s", r.seen("MAIL"), log.String())
	}
}

// TestRefusalThatIsNotAboutDSN: what is wrong with the address or the message is said
// again without the parameters, or at once, and the relay keeps its good name.
func TestRefusalThatIsNotAboutDSN(t *testing.T) {
	for mode := range modes {
		for reply, tries := range map[string]int{
			"501 5.1.3 Bad recipient address syntax":               1,
			"550 5.1.1 no such user":                               1,
			"504 5.5.2 <ghost>: need fully-qualified address":      2,
			"451 4.3.0 not now":                                    1,
			"554 5.7.1 <ghost@b.example>: Relay access denied":     1,
			"555 5.5.4 Unsupported option, whatever you leave out": 2,
		} {
			r := (&relay{ext: withDSN(mode), answer: func(c call) string {
				if c.verb == "RCPT" && strings.Contains(c.line, "ghost") {
					return reply
				}
				return ""
			}}).start(t)
			c := open(t, r, email.Config{MaxSessions: 1, Window: windowIn(mode)})
			ghost := envelope("ghost")
			ghost.To.Address = "ghost@b.example"
			_, err := c.Send(t.Context(), ghost)
			if err == nil || !strings.Contains(err.Error(), reply[4:]) || r.seen("RCPT") != tries {
				t.Errorf("%s: %s: %d tries, want %d: %v", mode, reply, r.seen("RCPT"), tries, err)
			}
			if err := send(t, c, 1); err != nil || !strings.Contains(r.said("RCPT")[tries], "NOTIFY=") {
				t.Errorf("%s: %s: then %v, %q", mode, reply, err, r.said("RCPT"))
			}
		}
	}
}
