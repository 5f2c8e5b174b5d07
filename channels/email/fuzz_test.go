package email_test

import (
	"bufio"
	"net/textproto"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-msgauth/dkim"

	"sitrep/channels"
	"sitrep/channels/email"
	"sitrep/internal/secret"
)

// FuzzMessage: whatever is in the fields, what crosses the wire is one well-formed
// message with exactly our headers, and two readers find in it what was meant.
func FuzzMessage(f *testing.F) {
	f.Add("Subject", "Alice", "text", "<p>html</p>", "<a@b>", "contacts")
	f.Add("a\r\nBcc: x@y", "E\"v\\e\n <z@z>", "\n.\r\n..\nFrom x\n", "", "\r\n<a@b>\r\n\r\nbody", "x>\r\nBcc: <y")
	f.Add("=?utf-8?q?=0D=0ABcc:?=", "=?us-ascii?b?QQ==?=", strings.Repeat("long ", 400), strings.Repeat("x", 2000), "<<a@b>>", "ünï.cödé")
	f.Add(strings.Repeat("ü", 300), strings.Repeat("名", 100), "\xff\xfe\r\r", "\x00", strings.Repeat("<aaaaaaaa@bbbb> ", 600), strings.Repeat("l", 300))
	f.Add("   ", ",;:<>@", "t", "--=_", "<a@b><c@d>", " ")
	signatures, dns := keys(f)
	c := open(f, nil, email.Config{
		Host: "relay.test", ReplyTo: "x@example.com", DKIM: signatures[1:],
		Unsubscribe: email.Unsubscribe{URL: "https://status.example.com/u/", Key: secret.New("0123456789abcdef")},
	})
	f.Fuzz(func(t *testing.T, subject, name, text, html, thread, list string) {
		e := channels.Envelope{
			Key: "k", Thread: channels.Thread(thread), Accepted: day, To: channels.Recipient{Address: "alice@abc.example", Name: name},
			Message: channels.Message{Format: channels.FormatEmail, Subject: subject, Text: text, HTML: html}, List: list, Audience: "customer",
		}
		raw, err := email.Compose(c, e)
		if strings.TrimSpace(text) == "" {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		reads(t, raw, e)
		found, err := dkim.VerifyWithOptions(strings.NewReader(raw), &dkim.VerifyOptions{
			LookupTXT: func(name string) ([]string, error) { return []string{dns[name]}, nil },
		})
		if err != nil || len(found) != 1 || found[0].Err != nil {
			t.Errorf("the signature does not hold: %v, %+v\n%q", err, found, raw)
		}
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

var bareCode = regexp.MustCompile(`(?m)^[0-9]{3}\r?$`)

// FuzzReplies: our own reader of answers says what the standard library's does, but for
// spaces, of all that the latter takes, and never more than is there.
func FuzzReplies(f *testing.F) {
	for _, s := range []string{"250 ok\r\n250-a\r\n250 b\r\n", "354\r\n", "250-a\r\n251 b\r\n", "25", "999 \n", "250-\r\n250 \r\n", "-12 x\r\n", "250\tx\r\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		codes, texts := email.ReadReplies(s)
		r := textproto.NewReader(bufio.NewReader(strings.NewReader(s)))
		for i, code := range codes {
			want, text, err := r.ReadResponse(0)
			if err != nil {
				return // it is stricter about a code without words
			}
			if bareCode.MatchString(s) {
				return // it takes one in the middle for words (RFC 5321 section 4.2 has it end the answer)
			}
			if code != want || squeeze(texts[i]) != squeeze(text) {
				t.Fatalf("%q: answer %d is %d %q, want %d %q", s, i, code, texts[i], want, text)
			}
		}
	})
}
