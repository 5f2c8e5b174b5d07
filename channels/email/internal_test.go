package email

import (
	"bytes"
	"errors"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"sitrep/channels"
)

// lastGasp is a connection that answers what it was told to and breaks when the final
// dot is written.
type lastGasp struct {
	net.Conn
	answers *strings.Reader
}

func (c lastGasp) Read(p []byte) (int, error) { return c.answers.Read(p) }

func (c lastGasp) Write(p []byte) (int, error) {
	if bytes.HasSuffix(p, []byte("\r\n.\r\n")) {
		return len(p) / 2, errors.New("broken pipe")
	}
	return len(p), nil
}
func (c lastGasp) Close() error                { return nil }
func (c lastGasp) SetDeadline(time.Time) error { return nil }

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
