package email_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"flag"
	"fmt"
	"io"
	"mime"
	"net/mail"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	gomail "github.com/emersion/go-message/mail"

	_ "github.com/emersion/go-message/charset" // so that go-message reads all we could write

	"sitrep/channels"
	"sitrep/channels/email"
)

var update = flag.Bool("update", false, "write the golden files anew")

// deliver sends e and returns what crossed the wire.
func deliver(t testing.TB, cfg email.Config, e channels.Envelope) (string, channels.Receipt) {
	t.Helper()
	r := (&relay{}).start(t)
	receipt, err := open(t, r, cfg).Send(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	return r.messages()[0], receipt
}

// TestMessage compares whole messages with files that are read by people.
func TestMessage(t *testing.T) {
	plain := envelope("01hzx4c6m5q2w8e9r7t0y3u1ia")
	intl := plain
	intl.To = channels.Recipient{Address: "björn@bücher.example", Name: "Björn \"der Bär\" Müller"}
	intl.Message.Subject = "Störung bei Bücher & Söhne – Zahlungen sind derzeit nicht möglich, wir arbeiten daran"
	intl.Message.Text = "Zahlungen sind derzeit nicht möglich, \nwir arbeiten daran.\n"
	intl.Thread = "<first@example.com> <second@example.com>"
	japan := plain
	japan.To = channels.Recipient{Address: "ops@例え.テスト", Name: "運用チーム"}
	japan.Message.Subject = "サービス障害のお知らせ：決済機能が利用できない状態が続いています"
	hostile := plain
	hostile.To.Name = "Eve\r\nBcc: all@example.com"
	hostile.Message.Subject = "=?utf-8?q?a=0D=0ABcc:_x?= \r\nBcc: y@example.com\x00"
	hostile.Thread = "<a@b>\r\nBcc:<z@z> <no> <x@y\x00>"
	hostile.Message.Text = "From here on\nFrom there on\n.\r\n.QUIT\r\rlone\n"
	textOnly := plain
	textOnly.Message.HTML = ""
	for name, row := range map[string]struct {
		cfg email.Config
		e   channels.Envelope
	}{
		"plain":         {email.Config{ReplyTo: `"Support, first line" <support@example.com>`}, plain},
		"international": {email.Config{From: "Störungsdienst <status@bücher.example>"}, intl},
		"japanese":      {email.Config{MessageIDDomain: "id.example.net"}, japan},
		"hostile":       {email.Config{}, hostile},
		"text-only":     {email.Config{}, textOnly},
	} {
		t.Run(name, func(t *testing.T) {
			got, _ := deliver(t, row.cfg, row.e)
			file := filepath.Join("testdata", name+".eml")
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil || !bytes.Equal([]byte(got), want) {
				t.Errorf("%s differs (%v); got:\n%s", file, err, got)
			}
			reads(t, got, row.e)
		})
	}
}

// reads parses a message with two independent readers and compares it with what was
// meant.
func reads(t testing.TB, raw string, e channels.Envelope) {
	t.Helper()
	for line := range strings.SplitSeq(strings.TrimSuffix(raw, "\r\n"), "\r\n") {
		if len(line) > 998 || strings.ContainsAny(line, "\r\n\x00") {
			t.Errorf("line %q is no line of a mail", line)
		}
	}
	std, err := mail.ReadMessage(strings.NewReader(raw))
	if err != nil {
		t.Fatalf("net/mail: %v\n%s", err, raw)
	}
	want := []string{
		"Date", "Message-Id", "To", "In-Reply-To", "References", "From", "Reply-To", "Subject", "Auto-Submitted",
		"Thread-Topic", "Thread-Index",
		"X-Auto-Response-Suppress", "Mime-Version", "Content-Type", "Content-Transfer-Encoding",
		"List-Id", "List-Unsubscribe", "List-Unsubscribe-Post", "Dkim-Signature",
	}
	for name, values := range std.Header {
		if !strings.Contains(strings.Join(want, " ")+" ", name+" ") || len(values) != 1 {
			t.Errorf("header %s: %q", name, values)
		}
	}
	subject, err := new(mime.WordDecoder).DecodeHeader(std.Header.Get("Subject"))
	if err != nil || squeeze(subject) != squeeze(oneLine(e.Message.Subject)) {
		t.Errorf("subject %q (%v), want %q", subject, err, oneLine(e.Message.Subject))
	}
	topic, err := new(mime.WordDecoder).DecodeHeader(std.Header.Get("Thread-Topic"))
	if err != nil || !strings.HasSuffix(squeeze(subject), squeeze(topic)) || (topic == "") != (subject == "") {
		t.Errorf("the topic %q (%v) is not the end of the subject %q", topic, err, subject)
	}
	if block, err := base64.StdEncoding.DecodeString(std.Header.Get("Thread-Index")); err != nil || len(block) != 22 || block[0] != 1 {
		t.Errorf("Thread-Index %q (%v)", std.Header.Get("Thread-Index"), err)
	}
	to, err := std.Header.AddressList("To")
	if err != nil || len(to) != 1 || squeeze(to[0].Name) != squeeze(oneLine(e.To.Name)) {
		t.Errorf("To %v (%v), want one called %q", to, err, oneLine(e.To.Name))
	}
	readParts(t, raw, e.Message)
}

func readParts(t testing.TB, raw string, m channels.Message) {
	t.Helper()
	r, err := gomail.CreateReader(strings.NewReader(raw))
	if err != nil {
		t.Fatalf("go-message: %v", err)
	}
	want := []string{m.Text, m.HTML}
	if m.HTML == "" {
		want = want[:1]
	}
	for i := 0; ; i++ {
		p, err := r.NextPart()
		if errors.Is(err, io.EOF) && i == len(want) {
			return
		}
		if err != nil || i >= len(want) {
			t.Fatalf("part %d: %v, want %d parts", i, err, len(want))
		}
		body, err := io.ReadAll(p.Body)
		if err != nil || lines(string(body)) != lines(want[i]) {
			t.Errorf("part %d (%v):\n%q, want\n%q", i, err, lines(string(body)), lines(want[i]))
		}
	}
}

// lines is a text with its line ends made equal.
func lines(s string) string {
	s = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(strings.ToValidUTF8(s, "\uFFFD"))
	return strings.TrimRight(s, "\n")
}

// oneLine is what a header can hold of s.
func oneLine(s string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD")))
}

// squeeze makes runs of spaces equal, which readers treat in different ways.
func squeeze(s string) string { return strings.Join(strings.Fields(s), " ") }

// TestSameBytes: every attempt is byte for byte the same, in this process and the next.
func TestSameBytes(t *testing.T) {
	e := envelope("k1")
	e.Thread = "<first@example.com>"
	first, _ := deliver(t, email.Config{}, e)
	again, _ := deliver(t, email.Config{}, e)
	if first != again {
		t.Errorf("two attempts differ:\n%s\n%s", first, again)
	}
	if !strings.Contains(first, "Date: Sun, 22 Nov 2026 19:20:00 +0000\r\nMessage-ID: <k1@example.com>\r\n") {
		t.Errorf("no stable date and id:\n%s", first)
	}
	e.Accepted = time.Time{}
	now, _ := deliver(t, email.Config{}, e)
	if first != now { // the channel's clock says the same day
		t.Errorf("without a time of acceptance the date is not now:\n%s", now)
	}
}

// TestRecipientsDiffer in what concerns them, and share the rest, whichever way
// renderings alternate.
func TestRecipientsDiffer(t *testing.T) {
	r := (&relay{}).start(t)
	c := open(t, r, email.Config{})
	for n := range 100 {
		e := envelope(fmt.Sprintf("k%d", n))
		e.To = channels.Recipient{Address: fmt.Sprintf("user%d@abc.example", n)}
		e.Message.Text = fmt.Sprintf("rendering %d\n", n%40)
		if _, err := c.Send(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	for n, raw := range r.messages() {
		for _, want := range []string{
			fmt.Sprintf("To: user%d@abc.example\r\n", n), fmt.Sprintf("<k%d@example.com>", n), fmt.Sprintf("\r\nrendering %d\r\n", n%40),
		} {
			if !strings.Contains(raw, want) {
				t.Errorf("message %d has no %q:\n%s", n, want, raw)
			}
		}
	}
	if got := r.said("RCPT")[7]; got != "RCPT TO:<user7@abc.example>" {
		t.Errorf("envelope: %q", got)
	}
}

// TestThread follows an incident through thirty updates.
func TestThread(t *testing.T) {
	var thread channels.Thread
	var index string
	for n := range 30 {
		e := envelope(fmt.Sprintf("u%d", n))
		e.Thread, e.Accepted = thread, day.Add(time.Duration(n)*time.Hour)
		raw, receipt := deliver(t, email.Config{}, e)
		m, err := mail.ReadMessage(strings.NewReader(raw))
		if err != nil {
			t.Fatal(err)
		}
		refs := strings.Fields(m.Header.Get("References"))
		if n == 0 {
			index = m.Header.Get("Thread-Index")
		}
		switch {
		case m.Header.Get("Thread-Index") != index:
			t.Errorf("update %d is of another conversation: %s, want %s", n, m.Header.Get("Thread-Index"), index)
		case n == 0 && (len(refs) != 0 || m.Header.Get("In-Reply-To") != ""):
			t.Errorf("the first update refers to %q", refs)
		case n > 0 && (refs[0] != "<u0@example.com>" || refs[len(refs)-1] != fmt.Sprintf("<u%d@example.com>", n-1)):
			t.Errorf("update %d refers to %q", n, refs)
		case n > 0 && m.Header.Get("In-Reply-To") != refs[len(refs)-1]:
			t.Errorf("update %d is in reply to %q", n, m.Header.Get("In-Reply-To"))
		case len(refs) > 11:
			t.Errorf("update %d has %d references", n, len(refs))
		}
		thread = receipt.Thread
		// A second copy after an ambiguous attempt does not answer itself.
		e.Thread = thread
		if again, receipt := deliver(t, email.Config{}, e); n == 0 && strings.Contains(again, "References") || receipt.Thread != thread && n < 10 {
			t.Errorf("update %d again: thread %q, was %q", n, receipt.Thread, thread)
		}
	}
}

// TestRefusedBeforeSending: what cannot be a mail reaches no relay.
func TestRefusedBeforeSending(t *testing.T) {
	r := (&relay{ext: []string{"8BITMIME"}}).start(t)
	c := open(t, r, email.Config{})
	for name, row := range map[string]struct {
		change func(*channels.Envelope)
		want   channels.Fault
		says   string
	}{
		"format":    {func(e *channels.Envelope) { e.Message.Format = channels.FormatChat }, channels.Rejected, "not for mail"},
		"no text":   {func(e *channels.Envelope) { e.Message.Text = " \n" }, channels.Rejected, "no text part"},
		"key":       {func(e *channels.Envelope) { e.Key = "a b>" }, channels.Rejected, "Message-ID"},
		"no key":    {func(e *channels.Envelope) { e.Key = "" }, channels.Rejected, "Message-ID"},
		"address":   {func(e *channels.Envelope) { e.To.Address = "a@b.example>\r\nDATA" }, channels.NoRecipient, "not a mail address"},
		"SMTPUTF8":  {func(e *channels.Envelope) { e.To.Address = "björn@abc.example" }, channels.Rejected, "SMTPUTF8"},
		"with name": {func(e *channels.Envelope) { e.To.Address = "A <a@b.example>" }, channels.NoRecipient, "not a mail address"},
	} {
		e := envelope("k1")
		row.change(&e)
		_, err := c.Send(t.Context(), e)
		if f, _ := channels.FaultOf(err); f != row.want || !strings.Contains(err.Error(), row.says) {
			t.Errorf("%s: %s, want %s saying %q: %v", name, f, row.want, row.says, err)
		}
	}
	if r.seen("MAIL") != 0 {
		t.Error("something was asked of the relay")
	}
}

// TestEnvelopeCommands: SIZE and SMTPUTF8 are announced, domains are punycode.
func TestEnvelopeCommands(t *testing.T) {
	r := (&relay{}).start(t)
	e := envelope("k1")
	e.To.Address = "björn@Bücher.example"
	if _, err := open(t, r, email.Config{}).Send(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("MAIL FROM:<status@example.com> BODY=8BITMIME SIZE=%d SMTPUTF8", len(r.messages()[0]))
	if got := r.said("MAIL")[0]; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got := r.said("RCPT")[0]; got != "RCPT TO:<björn@xn--bcher-kva.example>" {
		t.Errorf("%q", got)
	}
}

// TestQueueID knows the words of the usual relays.
func TestQueueID(t *testing.T) {
	for said, want := range map[string]string{
		"250 2.0.0 Ok: queued as 4XyZ12":                                  "4XyZ12",
		"250 2.0.0 OK: queued":                                            "OK: queued",
		"250 OK id=1rX2Yz-000abc-1T":                                      "1rX2Yz-000abc-1T",
		"250 2.0.0 5AMJK3xk012345 Message accepted for delivery":          "5AMJK3xk012345",
		"250 2.6.0 <k1@x> [InternalId=1234567, Hostname=mx.local] Queued": "1234567",
		"250 Ok 0100018bcafe-0f3a-4c2e-000000":                            "0100018bcafe-0f3a-4c2e-000000",
		"250 2.0.0 OK  1700000000 d9443c01a7336-1cc5cf4 - gsmtp":          "d9443c01a7336-1cc5cf4",
		"250-2.0.0 two lines\r\n250 2.0.0 queued as \x1b[31mX1":           "two lines 2.0.0 queued as  [31mX1",
		"250 " + strings.Repeat("y", 1000):                                strings.Repeat("y", 400) + "…",
	} {
		r := (&relay{answer: script(".", said)}).start(t)
		receipt, err := open(t, r, email.Config{}).Send(t.Context(), envelope("k1"))
		if err != nil || receipt.RemoteID != want {
			t.Errorf("%q gives %q (%v), want %q", said, receipt.RemoteID, err, want)
		}
	}
}
