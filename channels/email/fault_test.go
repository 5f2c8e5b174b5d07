package email_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"sitrep/channels"
	"sitrep/channels/email"
	"sitrep/internal/secret"
)

// TestFaults has every row of the table of replies said on a real connection.
func TestFaults(t *testing.T) {
	const (
		unavailable, limited, unauthorized = channels.Unavailable, channels.RateLimited, channels.Unauthorized
		noRecipient, rejected, ambiguous   = channels.NoRecipient, channels.Rejected, channels.Ambiguous
	)
	for _, row := range []struct {
		verb, reply string
		want        channels.Fault
		wait        time.Duration
		says        string // must be in the error
	}{
		{"GREETING", "421 4.7.0 relay.test Error: too many connections from 127.0.0.1", limited, 0, "send less"},
		{"GREETING", "421 relay.test Service not available", unavailable, 0, "put off the session"},
		{"GREETING", "554 5.7.1 your address is on a block list", unauthorized, 0, "ask its operator"},
		{"GREETING", "I am not SMTP", unavailable, 0, "opening a session"},
		{"GREETING", hangUp, unavailable, 0, "opening a session"},
		{"EHLO", "550 5.7.1 you are not mail.example.com", unauthorized, 0, "ask its operator"},
		{"EHLO", "432 4.3.2 Concurrent connections limit exceeded", limited, 0, ""},

		{"MAIL", "421 4.7.0 Try again later", limited, 0, ""},
		{"MAIL", "421 4.3.2 System shutting down", unavailable, 0, "put off a message from <status@example.com>"},
		{"MAIL", "450 4.7.1 Error: too much mail from 127.0.0.1", limited, 0, ""},
		{"MAIL", "454 Throttling failure: Maximum sending rate exceeded.", limited, 0, ""},
		{"MAIL", "451 4.7.500 Server busy. Please retry after 30 seconds", unavailable, 30 * time.Second, ""},
		{"MAIL", "452 4.3.1 Insufficient system storage", unavailable, 0, ""},
		{"MAIL", "530 5.7.0 Must issue a STARTTLS command first", unauthorized, 0, "login or encryption"},
		{"MAIL", "530 5.7.1 Authentication required", unauthorized, 0, "check username and tls"},
		{"MAIL", "550 5.7.60 Client does not have permissions to send as this sender", unauthorized, 0, "check from"},
		{"MAIL", "553 5.7.1 <status@example.com>: Sender address rejected: not owned by user", unauthorized, 0, "check from"},
		{"MAIL", "550 5.1.8 Bad sender's system address", unauthorized, 0, "refused our own address <status@example.com>"},
		{"MAIL", "553 sender not known", unauthorized, 0, ""},
		{"MAIL", "550 5.4.5 Daily user sending limit exceeded", limited, 0, ""},
		{"MAIL", "552 5.3.4 Message size exceeds fixed limit", rejected, 0, ""},
		{"MAIL", "555 5.5.4 Unsupported option: FOO", rejected, 0, ""},

		{"RCPT", "550 5.1.1 <ghost@rig.test>: Recipient address rejected: User unknown in virtual mailbox table", noRecipient, 0, "refused the recipient <alice@abc.example>"},
		{"RCPT", "550 5.1.2 no such domain", noRecipient, 0, ""},
		{"RCPT", "501 5.1.3 Bad recipient address syntax", noRecipient, 0, ""},
		{"RCPT", "550 5.1.6 mailbox has moved", noRecipient, 0, ""},
		{"RCPT", "550 5.1.10 RESOLVER.ADR.RecipientNotFound", noRecipient, 0, ""},
		{"RCPT", "550 No such user here", noRecipient, 0, ""},
		{"RCPT", "551 not local", noRecipient, 0, ""},
		{"RCPT", "553 mailbox name not allowed", noRecipient, 0, ""},
		{"RCPT", "550 5.0.0 unspecific", noRecipient, 0, ""},
		{"RCPT", "550 5.1.1", noRecipient, 0, ""},
		{"RCPT", "550-5.1.1 The account does not exist.\r\n550 5.1.1 Please look for typos.", noRecipient, 0, "Please look"},
		{"RCPT", "550 5.2.1 The account is receiving mail at a rate that prevents delivery", rejected, 0, ""},
		{"RCPT", "552 5.2.2 Mailbox full", rejected, 0, ""},
		{"RCPT", "554 5.7.1 <x@y>: Relay access denied", rejected, 0, "check username and password, or host"},
		{"RCPT", "550 5.7.1 blocked by policy", rejected, 0, ""},
		{"RCPT", "554 no", rejected, 0, ""},
		{"RCPT", "504 5.5.2 <alice>: need fully-qualified address", rejected, 0, ""},
		{"RCPT", "450 4.2.0 <a@b>: Recipient address rejected: Greylisted", unavailable, 5 * time.Minute, "put off the recipient"},
		{"RCPT", "451 4.7.1 Greylisting in action, please come back in 00:07:30", unavailable, 7*time.Minute + 30*time.Second, ""},
		{"RCPT", "450 4.7.1 Greylisted, try again in 60 seconds", unavailable, time.Minute, ""},
		{"RCPT", "451 4.7.1 try later", unavailable, 5 * time.Minute, ""},
		{"RCPT", "450 4.2.1 The user is receiving mail too quickly, too many messages", unavailable, 0, ""},
		{"RCPT", "452 4.2.2 Mailbox full", unavailable, 0, ""},
		{"RCPT", "452 4.5.3 Too many recipients", unavailable, 0, ""},
		{"RCPT", "450 4.7.1 Error: too many recipients from 127.0.0.1", limited, 0, ""},
		{"RCPT", "421 4.7.0 Error: too many errors", unavailable, 0, ""},
		{"RCPT", "451 4.3.0 wait 999999 hours", unavailable, time.Hour, ""},
		{"RCPT", "550 4.3.0 the enhanced code decides", unavailable, 0, ""},
		{"RCPT", "450 5.1.1 the enhanced code decides", noRecipient, 0, ""},
		{"RCPT", "550 2.1.5 nonsense before the words", noRecipient, 0, ""},
		{"RCPT", "354 what", unavailable, 0, ""},
		{"RCPT", hangUp, unavailable, 0, "asking"},

		{"DATA", "554 5.5.1 Error: no valid recipients", rejected, 0, ""},
		{"DATA", "451 4.3.0 queue trouble", unavailable, 0, "put off the message for <alice@abc.example>"},
		{"DATA", hangUp, unavailable, 0, "sending the message"},

		{".", "451 4.7.1 Service unavailable - try again later", unavailable, 5 * time.Minute, ""},
		{".", "421 4.3.2 shutting down", unavailable, 0, ""},
		{".", "452 4.3.1 Insufficient storage", unavailable, 0, ""},
		{".", "552 5.3.4 Message too big", rejected, 0, "refused the message for <alice@abc.example>"},
		{".", "550 5.7.1 spam", rejected, 0, ""},
		{".", "554 5.7.26 DMARC", rejected, 0, ""},
		{".", "550 5.1.1 User unknown", noRecipient, 0, ""},
		{".", "550 no", rejected, 0, ""},
		{".", "354 go on and on", ambiguous, 0, "neither yes nor no"},
		{".", "hello?", ambiguous, 0, "may have arrived"},
		{".", hangUp, ambiguous, 0, "may have arrived"},
	} {
		for mode, ext := range modes {
			want, says := row.want, row.says
			switch {
			case mode != "chunking":
			case row.verb == "DATA":
				continue // there is none
			case row.verb == "RCPT" && row.reply == hangUp:
				want = ambiguous // the message was there too
				says = "may have arrived"
			}
			t.Run(mode+"/"+row.verb+"/"+row.reply, func(t *testing.T) {
				r := (&relay{ext: ext, answer: script(row.verb, row.reply)}).start(t)
				_, err := open(t, r, email.Config{Window: windowIn(mode)}).Send(t.Context(), envelope("k1"))
				fault, wait := channels.FaultOf(err)
				if fault != want || wait != row.wait {
					t.Errorf("%s %s, want %s %s: %v", fault, wait, want, row.wait, err)
				}
				if err == nil || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), r.addr()) {
					t.Errorf("error %q should say %q and name the relay", err, says)
				}
				if r.seen("MAIL") > 1 {
					t.Errorf("%d attempts", r.seen("MAIL"))
				}
				if mode == "one by one" && row.verb == "MAIL" && r.seen("RCPT") > 0 {
					t.Error("it went on after a refusal")
				}
			})
		}
	}
}

// TestTakenInOtherWords: 2xx is a yes, whatever the second digit.
func TestTakenInOtherWords(t *testing.T) {
	r := (&relay{answer: script(".", "252 2.0.0 will do my best")}).start(t)
	if _, err := open(t, r, email.Config{}).Send(t.Context(), envelope("k1")); err != nil {
		t.Error(err)
	}
}

// script answers one verb, every time.
func script(verb, reply string) func(call) string {
	return func(c call) string {
		if c.verb == verb {
			return reply
		}
		return ""
	}
}

// TestTime: the context ends every stage, with the fault that the stage deserves.
func TestTime(t *testing.T) {
	for verb, want := range map[string]channels.Fault{
		"GREETING": channels.Unavailable, "EHLO": channels.Unavailable, "MAIL": channels.Unavailable,
		"RCPT": channels.Unavailable, "DATA": channels.Unavailable, ".": channels.Ambiguous,
	} {
		t.Run(verb, func(t *testing.T) {
			r := (&relay{answer: script(verb, silence)}).start(t)
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			defer cancel()
			start := time.Now()
			_, err := open(t, r, email.Config{}).Send(ctx, envelope("k1"))
			if took := time.Since(start); took > time.Second {
				t.Errorf("took %s", took)
			}
			if f, _ := channels.FaultOf(err); f != want {
				t.Errorf("%s, want %s: %v", f, want, err)
			}
			if ctx.Err() == nil || err == nil || !strings.Contains(err.Error(), "context deadline exceeded") {
				t.Errorf("the error does not say that the time was over: %v", err)
			}
		})
	}
}

// TestTimeouts: without an end of the context, the channel's own timeouts end a stage.
func TestTimeouts(t *testing.T) {
	short := 100 * time.Millisecond
	for _, row := range []struct {
		verb string
		cfg  email.Config
		want channels.Fault
		says string
	}{
		{"GREETING", email.Config{ConnectTimeout: short}, channels.Unavailable, "connect_timeout"},
		{"EHLO", email.Config{ConnectTimeout: short}, channels.Unavailable, "connect_timeout"},
		{"MAIL", email.Config{CommandTimeout: short}, channels.Unavailable, "did not answer in time"},
		{"RCPT", email.Config{CommandTimeout: short}, channels.Unavailable, "did not answer in time"},
		{".", email.Config{SubmissionTimeout: short}, channels.Ambiguous, "may have arrived"},
	} {
		r := (&relay{answer: script(row.verb, silence)}).start(t)
		_, err := open(t, r, row.cfg).Send(t.Context(), envelope("k1"))
		if f, _ := channels.FaultOf(err); f != row.want || !strings.Contains(err.Error(), row.says) {
			t.Errorf("%s: %s, want %s saying %q: %v", row.verb, f, row.want, row.says, err)
		}
	}
}

// TestCutInTheMiddle: a connection that breaks while a large message is on its way has
// not delivered it, because the final dot never left.
func TestCutInTheMiddle(t *testing.T) {
	r := (&relay{answer: func(c call) string {
		if c.verb == "DATA" {
			return "354 go on\r\n421 4.3.2 no, stop"
		}
		return ""
	}}).start(t)
	e := envelope("k1")
	e.Message.Text = strings.Repeat("A line of text that fills the buffers of the way there.\n", 400_000)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	cut := (&relay{answer: script("DATA", "354 go on")}).start(t)
	ch := open(t, cut, email.Config{})
	go func() { // takes the connection away while the message is on its way
		for cut.seen("DATA") == 0 && ctx.Err() == nil {
			time.Sleep(time.Millisecond)
		}
		cancel()
	}()
	_, err := ch.Send(ctx, e)
	if f, _ := channels.FaultOf(err); f != channels.Unavailable {
		t.Errorf("%s, want unavailable: %v", f, err)
	}
	// An answer that comes too early is the answer all the same.
	_, err = open(t, r, email.Config{}).Send(t.Context(), envelope("k2"))
	if f, _ := channels.FaultOf(err); f != channels.Unavailable {
		t.Errorf("%s, want unavailable: %v", f, err)
	}
}

// TestEndlessAnswer: a relay cannot fill the memory.
func TestEndlessAnswer(t *testing.T) {
	long := strings.Repeat("250-blah blah blah blah blah blah blah blah blah blah blah blah\r\n", 20_000) + "250 Ok"
	r := (&relay{answer: script("EHLO", long)}).start(t)
	_, err := open(t, r, email.Config{}).Send(t.Context(), envelope("k1"))
	if f, _ := channels.FaultOf(err); f != channels.Unavailable || !strings.Contains(err.Error(), "longer than 256 KiB") {
		t.Errorf("%s: %v", f, err)
	}
}

// TestRelayWords: what a relay says is shown on one line, not in full if it is long, and
// never with a credential in it.
func TestRelayWords(t *testing.T) {
	cfg, ca := authority(t)
	for _, auth := range []string{"plain", "login", "xoauth2"} {
		for verb, reply := range map[string]string{
			"AUTH":  "535 5.7.8 \x1b[31mno\x07 good: %s",
			"AUTH+": "500 5.5.1 unknown command %s " + strings.Repeat("é", 4000),
			"MAIL":  "551 5.5.1 you said %s before",
			"RCPT":  "%s is what you said", // not even a reply
		} {
			r := &relay{tls: cfg}
			r.answer = func(c call) string {
				if c.verb == verb {
					said := append(r.said("AUTH"), r.said("AUTH+")...)
					return strings.Replace(reply, "%s", strings.Join(said, " ")+" "+password, 1)
				}
				if c.verb == "AUTH" && verb == "AUTH+" {
					return "334 UGFzc3dvcmQ6"
				}
				return ""
			}
			conf := email.Config{TLS: "starttls", CAFile: ca, Username: "sitrep", Auth: auth, Password: secret.New(password)}
			if auth == "xoauth2" {
				conf.Password, conf.Token = secret.String{}, secret.New(password)
			}
			_, err := open(t, r.start(t), conf).Send(t.Context(), envelope("k1"))
			if err == nil {
				t.Fatalf("%s %s: no error", auth, verb)
			}
			noCredential(t, err)
			if s := err.Error(); len(s) > 700 || strings.ContainsAny(s, "\x1b\x07\r\n") {
				t.Errorf("%s %s: not fit to be shown: %q", auth, verb, s)
			}
		}
	}
}
