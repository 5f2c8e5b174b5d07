package bounces_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http/httptest"
	"net/netip"
	"net/textproto"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"sitrep/bounces"
	"sitrep/ledger"
)

// serve starts a listener on loopback and returns its address.
func serve(t *testing.T, o bounces.ListenOptions) (*bounces.Listener, string) {
	t.Helper()
	on, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return serveOn(t, o, on), on.Addr().String()
}

func serveOn(t *testing.T, o bounces.ListenOptions, on net.Listener) *bounces.Listener {
	t.Helper()
	l := bounces.NewListener(o)
	served := make(chan error, 1)
	go func() { served <- l.Serve(on) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
		defer cancel()
		if err := l.Shutdown(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, smtp.ErrServerClosed) {
			t.Error(err)
		}
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return l
}

// talk is a client that says what it likes.
type talk struct {
	t    testing.TB
	conn net.Conn
	r    *bufio.Reader
}

func dial(t testing.TB, network, address string) *talk {
	t.Helper()
	c, err := (&net.Dialer{Timeout: 5 * time.Second}).DialContext(t.Context(), network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return &talk{t: t, conn: c, r: bufio.NewReader(c)}
}

// say sends lines and expects the codes of as many answers.
func (k *talk) say(lines string, codes ...int) string {
	k.t.Helper()
	if _, err := k.conn.Write([]byte(strings.ReplaceAll(lines, "\n", "\r\n"))); err != nil {
		k.t.Fatal(err)
	}
	last := ""
	for _, code := range codes {
		got, text, err := textproto.NewReader(k.r).ReadResponse(code)
		if err != nil {
			k.t.Fatalf("after %q: %d %s (%v), want %d", lines, got, text, err, code)
		}
		last = text
	}
	return last
}

// ended fails unless the server closes the connection now.
func (k *talk) ended() {
	k.t.Helper()
	if rest, err := k.r.ReadString('\n'); err == nil {
		k.t.Errorf("the connection goes on: %q", rest)
	} else if ne := net.Error(nil); errors.As(err, &ne) && ne.Timeout() {
		k.t.Error("the connection is not closed")
	}
}

func hello(t testing.TB, address string) *talk {
	t.Helper()
	k := dial(t, "tcp", address)
	k.say("", 220)
	k.say("EHLO mail.example.com\n", 250)
	return k
}

func TestListener(t *testing.T) {
	r := newRig(t, withMAC)
	_, address := serve(t, bounces.ListenOptions{Receiver: r.Receiver, Name: "bounces.example.com"})
	c, err := smtp.Dial(address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SendMail("", []string{verp(deliveryKey)}, strings.NewReader(dsn{final: alice}.String())); err != nil {
		t.Fatal(err)
	}
	if d := r.delivery(t, deliveryKey); d.Outcome != ledger.Bounced {
		t.Errorf("the delivery is %s though the answer was 250", d.Outcome)
	}
	if err := c.Quit(); err != nil {
		t.Error(err)
	}
}

// Nothing is passed on, and nobody can try for long.
func TestNoRelaying(t *testing.T) {
	r := newRig(t, withMAC)
	_, address := serve(t, bounces.ListenOptions{Receiver: r.Receiver})
	k := hello(t, address)
	k.say("MAIL FROM:<anybody@example.net>\n", 250)
	for _, to := range []string{
		alice, "postmaster@status.example.com", "bounces@example.net", "bounces+x@status.example.com",
		strings.Replace(verp(deliveryKey), "-", "-2", 1), "@status.example.com:" + alice, "bounces%example.net@status.example.com",
	} {
		k.say("RCPT TO:<"+to+">\n", 550)
	}
	k.say("RCPT TO:<"+verp(deliveryKey)+">\nRCPT TO:<"+strings.ToUpper(bounceAddress)+">\nRSET\nMAIL FROM:<>\n", 250, 250, 250, 250)
	k.say("DATA\n", 502)
	for range 13 {
		k.say("RCPT TO:<"+alice+">\n", 550)
	}
	k.say("RCPT TO:<"+alice+">\n", 421)
	k.ended()
	r.untouched(t)
	if h, n := r.last(); n != 2 || h.Verdict != bounces.Forged {
		t.Errorf("heard %d, %+v, want the two forged ones", n, h)
	}
}

// Commands may come in one packet, and a body with them.
func TestPipelined(t *testing.T) {
	r := newRig(t, withMAC)
	_, address := serve(t, bounces.ListenOptions{Receiver: r.Receiver})
	k := hello(t, address)
	body := dsn{final: alice}.String()
	k.say("MAIL FROM:<>\nRCPT TO:<"+verp(deliveryKey)+">\nRCPT TO:<"+alice+">\nDATA\n", 250, 250, 550, 354)
	k.say(strings.ReplaceAll(body, "\r\n", "\n")+".\nMAIL FROM:<>\nQUIT\n", 250, 250, 221)
	if d := r.delivery(t, deliveryKey); d.Outcome != ledger.Bounced {
		t.Errorf("the delivery is %s", d.Outcome)
	}
	k = hello(t, address)
	body = dsn{final: "bob@customer.example"}.String()
	k.say(fmt.Sprintf("MAIL FROM:<>\nRCPT TO:<%s>\nBDAT %d LAST\n%s", verp(secondKey), len(body), strings.ReplaceAll(body, "\r\n", "\n")), 250, 250, 250)
	if d := r.delivery(t, secondKey); d.Outcome != ledger.Bounced {
		t.Errorf("by BDAT the delivery is %s", d.Outcome)
	}
}

// What broke off was not received.
func TestBrokenOff(t *testing.T) {
	r := newRig(t, withMAC)
	l, address := serve(t, bounces.ListenOptions{Receiver: r.Receiver})
	body := dsn{final: alice}.String()
	k := hello(t, address)
	k.say("MAIL FROM:<>\nRCPT TO:<"+verp(deliveryKey)+">\nDATA\n", 250, 250, 354)
	k.say(strings.ReplaceAll(body, "\r\n", "\n") + "and then")
	k.conn.Close()
	k = hello(t, address)
	k.say(fmt.Sprintf("MAIL FROM:<>\nRCPT TO:<%s>\nBDAT %d\n%s", verp(deliveryKey), len(body), strings.ReplaceAll(body, "\r\n", "\n")), 250, 250, 250)
	k.conn.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := l.Shutdown(ctx); err != nil { // both sessions have ended
		t.Fatal(err)
	}
	r.untouched(t)
}

// 4xx while it cannot be recorded, so that it comes again.
func TestComeAgain(t *testing.T) {
	away := newRig(t, withMAC, func(o *bounces.Options) { o.Ledger = broken{o.Ledger} })
	_, address := serve(t, bounces.ListenOptions{Receiver: away.Receiver})
	k := hello(t, address)
	body := strings.ReplaceAll(dsn{final: alice}.String(), "\r\n", "\n") + ".\n"
	k.say("MAIL FROM:<>\nRCPT TO:<"+verp(deliveryKey)+">\nDATA\n", 250, 250, 354)
	if text := k.say(body, 451); strings.Contains(text, errBroken.Error()) {
		t.Errorf("the answer tells of our inside: %q", text)
	}
	r := newRig(t, withMAC)
	_, address = serve(t, bounces.ListenOptions{Receiver: r.Receiver})
	k = hello(t, address)
	k.say("MAIL FROM:<>\nRCPT TO:<"+verp(pendingKey)+">\nDATA\n", 250, 250, 354)
	k.say(body, 451)
}

func TestTooLarge(t *testing.T) {
	r := newRig(t, withMAC)
	_, address := serve(t, bounces.ListenOptions{Receiver: r.Receiver})
	k := hello(t, address)
	k.say("MAIL FROM:<> SIZE=99000000\n", 552)
	k.say("MAIL FROM:<>\nRCPT TO:<"+verp(deliveryKey)+">\nDATA\n", 250, 250, 354)
	k.say(strings.ReplaceAll(dsn{final: alice}.String(), "\r\n", "\n"))
	line := strings.Repeat("x", 76) + "\n"
	chunk := strings.Repeat(line, 1<<20/len(line))
	for range 3 { // more than is looked at
		k.say(chunk)
	}
	k.say(".\n", 250)
	if d := r.delivery(t, deliveryKey); d.Outcome != ledger.Bounced {
		t.Errorf("the delivery is %s", d.Outcome)
	}
	k.say(fmt.Sprintf("MAIL FROM:<>\nRCPT TO:<%s>\nBDAT %d LAST\n", verp(secondKey), 2<<20), 250, 250)
	for range 2 {
		k.say(strings.Repeat(strings.Repeat("x", 63)+"\r", 1<<14))
	}
	k.say("", 250)
	k.say("NOOP "+strings.Repeat("x", 3000)+"\n", 500)
	k.ended()
}

func TestTooManyConnections(t *testing.T) {
	r := newRig(t, withMAC)
	_, address := serve(t, bounces.ListenOptions{Receiver: r.Receiver})
	var all []*talk
	for range 20 {
		all = append(all, hello(t, address))
	}
	k := dial(t, "tcp", address)
	k.say("", 421)
	k.ended()
	all[0].say("QUIT\n", 221)
	all[0].ended()
	for deadline := time.Now().Add(5 * time.Second); ; { // its place is free soon
		k := dial(t, "tcp", address)
		if code, _, err := textproto.NewReader(k.r).ReadResponse(220); err == nil {
			break
		} else if time.Now().After(deadline) {
			t.Fatalf("still full: %d, %v", code, err)
		}
		k.conn.Close()
	}
}

func TestSilence(t *testing.T) {
	r := newRig(t, withMAC)
	_, address := serve(t, bounces.ListenOptions{Receiver: r.Receiver, Silence: 50 * time.Millisecond})
	k := hello(t, address)
	k.say("", 421)
	k.ended()
}

// Only who is in trust is believed, where there is no MAC.
func TestTrustedNetwork(t *testing.T) {
	for trust, want := range map[string]ledger.Outcome{"127.0.0.0/8": ledger.Bounced, "192.0.2.0/24": ledger.Delivered} {
		r := newRig(t)
		_, address := serve(t, bounces.ListenOptions{Receiver: r.Receiver, Trust: []netip.Prefix{netip.MustParsePrefix(trust)}})
		k := hello(t, address)
		k.say("MAIL FROM:<>\nRCPT TO:<"+bounceAddress+">\nDATA\n", 250, 250, 354)
		k.say(strings.ReplaceAll(dsn{final: alice, envid: deliveryKey}.String(), "\r\n", "\n")+".\n", 250)
		if d := r.delivery(t, deliveryKey); d.Outcome != want {
			t.Errorf("trust %s: the delivery is %s, want %s", trust, d.Outcome, want)
		}
	}
}

// LMTP on a socket answers for each recipient.
func TestLMTP(t *testing.T) {
	r := newRig(t, withMAC)
	path := filepath.Join(t.TempDir(), "lmtp")
	on, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", path)
	if err != nil {
		t.Fatal(err)
	}
	serveOn(t, bounces.ListenOptions{Receiver: r.Receiver, LMTP: true}, on)
	k := dial(t, "unix", path)
	k.say("", 220)
	k.say("LHLO mail.example.com\n", 250)
	k.say("MAIL FROM:<>\nRCPT TO:<"+verp(deliveryKey)+">\nRCPT TO:<"+verp(pendingKey)+">\nRCPT TO:<"+alice+">\nDATA\n", 250, 250, 250, 550, 354)
	k.say(strings.ReplaceAll(dsn{}.String(), "\r\n", "\n")+".\nQUIT\n", 250, 451, 221)
	if d := r.delivery(t, deliveryKey); d.Outcome != ledger.Bounced {
		t.Errorf("the delivery is %s", d.Outcome)
	}
}

func TestSTARTTLS(t *testing.T) {
	r := newRig(t, withMAC)
	web := httptest.NewTLSServer(nil) // for its certificate
	defer web.Close()
	_, address := serve(t, bounces.ListenOptions{Receiver: r.Receiver, TLS: &tls.Config{MinVersion: tls.VersionTLS12, Certificates: web.TLS.Certificates}})
	k := hello(t, address)
	k.say("STARTTLS\n", 220)
	secure := tls.Client(k.conn, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // which certificate it is does not matter here
	if err := secure.HandshakeContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	k.conn, k.r = secure, bufio.NewReader(secure)
	k.say("EHLO mail.example.com\nMAIL FROM:<>\nRCPT TO:<"+verp(deliveryKey)+">\nDATA\n", 250, 250, 250, 354)
	k.say(strings.ReplaceAll(dsn{final: alice}.String(), "\r\n", "\n")+".\n", 250)
	if d := r.delivery(t, deliveryKey); d.Outcome != ledger.Bounced {
		t.Errorf("the delivery is %s", d.Outcome)
	}
}

// A stop closes who is idle at once and lets a message under way end.
func TestShutdown(t *testing.T) {
	r := newRig(t, withMAC)
	l, address := serve(t, bounces.ListenOptions{Receiver: r.Receiver})
	idle, sending := hello(t, address), hello(t, address)
	sending.say("MAIL FROM:<>\nRCPT TO:<"+verp(deliveryKey)+">\nDATA\n", 250, 250, 354)
	down := make(chan error, 1)
	go func() { down <- l.Shutdown(t.Context()) }()
	idle.ended()
	if _, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address); err == nil {
		select { // the kernel may take one more that nobody serves
		case err := <-down:
			t.Fatalf("Shutdown has not waited: %v", err)
		default:
		}
	}
	sending.say(strings.ReplaceAll(dsn{final: alice}.String(), "\r\n", "\n")+".\n", 250)
	sending.ended()
	if err := <-down; err != nil {
		t.Error(err)
	}
	if d := r.delivery(t, deliveryKey); d.Outcome != ledger.Bounced {
		t.Errorf("the delivery is %s", d.Outcome)
	}
}

// Who does not come to an end is cut off.
func TestShutdownIsBounded(t *testing.T) {
	r := newRig(t, withMAC)
	l, address := serve(t, bounces.ListenOptions{Receiver: r.Receiver})
	k := hello(t, address)
	k.say("MAIL FROM:<>\nRCPT TO:<"+verp(deliveryKey)+">\nDATA\n", 250, 250, 354)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := l.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	k.ended()
	r.untouched(t)
}

func TestSocketIsLoopback(t *testing.T) {
	r := newRig(t)
	path := filepath.Join(t.TempDir(), "s")
	on, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", path)
	if err != nil {
		t.Fatal(err)
	}
	serveOn(t, bounces.ListenOptions{Receiver: r.Receiver, Trust: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}}, on)
	k := dial(t, "unix", path)
	k.say("", 220)
	k.say("EHLO mail.example.com\nMAIL FROM:<>\nRCPT TO:<"+bounceAddress+">\nDATA\n", 250, 250, 250, 354)
	k.say(strings.ReplaceAll(dsn{final: alice, envid: deliveryKey}.String(), "\r\n", "\n")+".\n", 250)
	if d := r.delivery(t, deliveryKey); d.Outcome != ledger.Bounced {
		t.Errorf("the delivery is %s", d.Outcome)
	}
}
