package email_test

import (
	"strings"
	"testing"
	"time"

	"sitrep/channels"
	"sitrep/channels/email"
)

// FuzzMessage: whatever is in the fields, what crosses the wire is one well-formed
// message with exactly our headers, and two readers find in it what was meant.
func FuzzMessage(f *testing.F) {
	f.Add("Subject", "Alice", "text", "<p>html</p>", "<a@b>")
	f.Add("a\r\nBcc: x@y", "E\"v\\e\n <z@z>", "\n.\r\n..\nFrom x\n", "", "\r\n<a@b>\r\n\r\nbody")
	f.Add("=?utf-8?q?=0D=0ABcc:?=", "=?us-ascii?b?QQ==?=", strings.Repeat("long ", 400), strings.Repeat("x", 2000), "<<a@b>>")
	f.Add(strings.Repeat("ü", 300), strings.Repeat("名", 100), "\xff\xfe\r\r", "\x00", strings.Repeat("<aaaaaaaa@bbbb> ", 600))
	f.Add("   ", ",;:<>@", "t", "--=_", "<a@b><c@d>")
	c := open(f, nil, email.Config{Host: "relay.test", ReplyTo: "x@example.com"})
	f.Fuzz(func(t *testing.T, subject, name, text, html, thread string) {
		e := channels.Envelope{
			Key: "k", Thread: channels.Thread(thread), Accepted: day, To: channels.Recipient{Address: "alice@abc.example", Name: name},
			Message: channels.Message{Format: channels.FormatEmail, Subject: subject, Text: text, HTML: html},
		}
		raw, err := email.Compose(c, e)
		if strings.TrimSpace(text) == "" {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		reads(t, raw, e)
	})
}

// FuzzAddress: what is accepted can be said in a command and a header, and is read as one
// address.
func FuzzAddress(f *testing.F) {
	for _, s := range []string{"a@b.example", `"a b"@b.example`, "björn@bücher.example", "a@[192.0.2.1]", "a@b.example>\r\nDATA", "a@xn--a.example"} {
		f.Add(s)
	}
	c := open(f, nil, email.Config{Host: "relay.test"})
	f.Fuzz(func(t *testing.T, address string) {
		if email.CheckAddress(address) != nil {
			return
		}
		if strings.ContainsAny(address, "\r\n<>\x00") && address[0] != '"' {
			t.Errorf("%q could leave its command", address)
		}
		e := envelope("k")
		e.To = channels.Recipient{Address: address}
		raw, err := email.Compose(c, e)
		if err != nil {
			t.Fatalf("%q: %v", address, err)
		}
		reads(t, raw, e)
	})
}

// FuzzReply: whatever a relay says, wherever, an attempt ends with a fault of the closed
// set, a bounded wait and an error fit to be shown.
func FuzzReply(f *testing.F) {
	for i, s := range []string{"550 5.1.1 no", "421-a\r\n421 b", "250", "4", "", "450 4.7.1 in 99999999999 hours", "354 \x1b[0m", "999 9.9.9 9", "250-never ending"} {
		f.Add(s, uint8(i))
	}
	c := open(f, nil, email.Config{Host: "relay.test"})
	f.Fuzz(func(t *testing.T, said string, where uint8) {
		err := email.Explain(c, int(where)%email.Stages, said)
		if err == nil {
			return
		}
		fault, wait := channels.FaultOf(err)
		if !fault.Valid() || wait < 0 || wait > time.Hour || len(err.Error()) > 1000 || strings.ContainsAny(err.Error(), "\r\n\x00\x1b") {
			t.Errorf("%q: %s %s %q", said, fault, wait, err)
		}
	})
}
