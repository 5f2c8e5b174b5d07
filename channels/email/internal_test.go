package email

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"net"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"sitrep/channels"
	"sitrep/internal/secret"
)

// lastGasp is a connection that answers what it was told to and breaks when the final
// dot is written, or a command that begins with before.
type lastGasp struct {
	net.Conn
	answers *strings.Reader
	before  string
}

func (c lastGasp) Read(p []byte) (int, error) { return c.answers.Read(p) }

func (c lastGasp) Write(p []byte) (int, error) {
	if bytes.HasSuffix(p, []byte("\r\n.\r\n")) || c.before != "" && bytes.HasPrefix(p, []byte(c.before)) {
		return len(p) / 2, errors.New("broken pipe")
	}
	return len(p), nil
}
func (c lastGasp) Close() error                { return nil }
func (c lastGasp) SetDeadline(time.Time) error { return nil }

func (c lastGasp) SetReadDeadline(time.Time) error  { return nil }
func (c lastGasp) SetWriteDeadline(time.Time) error { return nil }

// TestDotNotSent: if the packet with the final dot did not get out whole, the relay
// cannot have taken the message, so trying again makes no second copy.
func TestDotNotSent(t *testing.T) {
	w := &wire{Conn: lastGasp{answers: strings.NewReader("220 x\r\n250 x\r\n250 ok\r\n250 ok\r\n354 go\r\n")}}
	s := &session{wire: w, client: smtp.NewClient(w), relay: &relay{endpoint: &endpoint{}}}
	j := newJob(letter{from: "a@example.com", to: "b@example.com", tail: &body{plain: []byte("\r\nshort\r\n")}})
	_, err := s.sendSingly(j)
	if e, ok := errors.AsType[*stageError](err); !ok || e.at != sending {
		t.Errorf("%v, want an error of sending", err)
	}
	if s.note(err, 1); !s.broken {
		t.Error("the session is not given up")
	}
}

// TestDotNotSentPlainly: the same, and without the library. What the relay said before it
// hung up is the reason.
func TestDotNotSentPlainly(t *testing.T) {
	const opened = "250 ok\r\n250 ok\r\n354 go\r\n"
	for _, row := range []struct {
		answers, before string
		at              stage
		code            int
	}{
		{opened, "", sending, 0},
		{opened + "421 4.3.0 out of space\r\n", "", sending, 421},
		{"421 4.3.2 shutting down\r\n", "MAIL", sender, 421},
		{"250 ok\r\n250 ok\r\n421 4.3.2 shutting down\r\n", "DATA", sending, 421},
	} {
		w := &wire{Conn: lastGasp{answers: strings.NewReader(row.answers), before: row.before}, uncounted: true}
		r := &relay{endpoint: &endpoint{credentials: &credentials{}}}
		s := &session{wire: w, conn: w, relay: r, mode: plain, replies: newReplies(w), load: 1}
		body := &body{plain: []byte("\r\nshort\r\n"), stuffed: []byte("\r\nshort\r\n")}
		j := newJob(letter{from: "a@example.com", to: "b@example.com", key: "k", tail: body})
		j.on, j.fresh = s, true
		s.sendPlainly(&pool{relays: []*relay{r}, window: 1}, j)
		err := (<-j.done).err
		if said, _ := replyOf(err); stageOf(err) != row.at || said.code != row.code || !s.broken {
			t.Errorf("%v at %d, want one at %d with code %d", err, stageOf(err), row.at, row.code)
		}
	}
}

// TestKeptRenderings: what is built once is kept, but not for ever.
func TestKeptRenderings(t *testing.T) {
	var b builder
	first := b.tail(channels.Message{Text: "0"}, "")
	if again := b.tail(channels.Message{Text: "0"}, ""); again != first {
		t.Error("the same rendering was built twice")
	}
	for n := range 10 * keptRenderings {
		b.tail(channels.Message{Text: strconv.Itoa(n)}, "")
		if len(b.built) > keptRenderings {
			t.Fatalf("%d renderings are kept", len(b.built))
		}
	}
}

// TestRenderingsAreToldApart: whichever was asked for last, and however alike they are.
func TestRenderingsAreToldApart(t *testing.T) {
	var b builder
	all := []content{
		{"a", "text 1", "html", ""},
		{"b", "text 1", "html", ""},
		{"a", "text 2", "html", ""},
		{"a", "text 1", "HTML", ""},
		{"a", "text 1", "html", "one"},
		{"a", "text 1", "html", "two"},
	}
	tail := func(c content) *body {
		return b.tail(channels.Message{Subject: c.subject, Text: c.text, HTML: c.html}, c.list)
	}
	for _, last := range all {
		for _, c := range all {
			tail(last)
			got := tail(c)
			if want := b.build(channels.Message{Subject: c.subject, Text: c.text, HTML: c.html}, c.list); got.of != c || !bytes.Equal(got.plain, want) {
				t.Errorf("after %q, %q is another's:\n%s", last, c, got.plain)
			}
			elsewhere := content{strings.Clone(c.subject), strings.Clone(c.text), strings.Clone(c.html), strings.Clone(c.list)}
			if tail(elsewhere) != got {
				t.Errorf("%q was built twice", c)
			}
		}
	}
	if len(b.built) != len(all) {
		t.Errorf("%d were built, want %d", len(b.built), len(all))
	}
}

// TestDates: what is kept of the last one does for no other second.
func TestDates(t *testing.T) {
	var b builder
	night := time.Date(2026, 11, 22, 23, 59, 59, 999_999_999, time.FixedZone("", 3600))
	for range 2 {
		for _, row := range []struct {
			later time.Duration
			want  string
		}{
			{0, "Sun, 22 Nov 2026 22:59:59 +0000"},
			{-999_999_999, "Sun, 22 Nov 2026 22:59:59 +0000"},
			{-time.Second, "Sun, 22 Nov 2026 22:59:58 +0000"},
			{1, "Sun, 22 Nov 2026 23:00:00 +0000"},
			{24 * time.Hour, "Mon, 23 Nov 2026 22:59:59 +0000"},
		} {
			if got := b.date(night.Add(row.later)); got != row.want {
				t.Errorf("%s, want %s", got, row.want)
			}
		}
	}
}

// TestStamp: what it makes is the HMAC of RFC 2104, the first time and every other, for
// many at a time.
func TestStamp(t *testing.T) {
	key := secret.New("a key as long as it has to be")
	s := &stamp{key: key, purpose: "test 1"}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for n := range 200 {
				text := strings.Repeat("x", n)
				mac := hmac.New(sha256.New, []byte(key.Reveal()))
				mac.Write([]byte("test 1\x00" + text + "\x00" + "end"))
				if got := s.of(text, "\x00", "end"); !hmac.Equal(mac.Sum(nil), got[:]) {
					t.Errorf("of %d octets: %x", n, got)
				}
			}
		})
	}
	wg.Wait()
	other := &stamp{key: key, purpose: "test 2"}
	if s.of("x") == other.of("x") {
		t.Error("it proves something for another purpose")
	}
}

// FuzzQueuedAs: what a relay has queued a message as is what this pattern says.
func FuzzQueuedAs(f *testing.F) {
	form := regexp.MustCompile(`(?i)queued as ([\w.+-]+)`)
	for _, s := range []string{
		"2.0.0 Ok: queued as 4XyZ12", "QUEUED AS a_b.c+d-e;", "queued as", "queued as ", "queued as  x", "queued as : queued as 7",
		"queuequeued as 7", "Qqueued As 7 queued as 8", "queued as \u00e9", "", "q",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if !isASCII(s) { // the pattern takes a long s for an s
			s = strings.Map(func(r rune) rune { return min(r, 'Q') }, s)
		}
		m := form.FindStringSubmatch(s)
		if id, ok := queuedAs(s); ok != (m != nil) || ok && id != m[1] {
			t.Errorf("%q: %q %t, want %q", s, id, ok, m)
		}
	})
}

// TestWindowAdapts: a refusal halves it, down to one; successes widen it again.
func TestWindowAdapts(t *testing.T) {
	s := &session{mode: chunked, window: 20}
	refused := at(recipient, reply{code: 451})
	for _, want := range []int{10, 5, 2, 1, 1} {
		if s.note(refused, 20); s.window != want || !s.dirty {
			t.Errorf("after a refusal: %d, want %d", s.window, want)
		}
	}
	for range 30 {
		s.note(nil, 20)
	}
	if s.window != 20 || s.dirty {
		t.Errorf("after successes: %d, want 20", s.window)
	}
}

// FuzzCutEnhanced: an enhanced status code is what this pattern says.
func FuzzCutEnhanced(f *testing.F) {
	form := regexp.MustCompile(`^([245])\.(\d{1,3})\.(\d{1,3})(?:\s|$)`)
	for _, s := range []string{
		"2.0.0 Ok: queued as 1", "5.1.1", "4.2.2\ttab", "4.2.2\nnext line", "3.1.1 no class", "25.1.1 no", "5.1", "5.1.", "5..1 x",
		"5.1.1.1 x", "5.1.1000 x", "5.+1.1 x", "5.1.1x", "", " 5.1.1", "5.0_1.1", "05.1.1", "5.001.01  two spaces ", "5.1.1\fx", "5.1.1\vx", "5.1.1\u00a0x",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		code, rest := cutEnhanced(s)
		want, left := [3]int{}, s
		if m := form.FindStringSubmatch(s); m != nil {
			for i := range want {
				want[i], _ = strconv.Atoi(m[i+1])
			}
			left = strings.TrimSpace(s[len(m[0]):])
		}
		if code != want || rest != left {
			t.Errorf("%q: %v and %q, want %v and %q", s, code, rest, want, left)
		}
	})
}
