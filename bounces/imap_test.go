package bounces_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"

	"sitrep/bounces"
	"sitrep/internal/secret"
	"sitrep/ledger"
)

// What is unseen is received and then seen; the rest is left alone.
func TestFetch(t *testing.T) {
	for name, caps := range map[string]imap.CapSet{"able": able(), "plain": plain()} {
		t.Run(name, func(t *testing.T) {
			p, r := newPost(t, caps, true), newRig(t, withMAC)
			p.put(returned(deliveryKey, alice))
			p.put("Subject: Hello\r\n\r\nNot a report.\r\n")
			p.put(returned(pendingKey, "dave@customer.example"))
			once(t, p.options(r), 2)
			if d := r.delivery(t, deliveryKey); d.Outcome != ledger.Bounced {
				t.Errorf("the delivery is %s", d.Outcome)
			}
			if all, unseen := p.count("INBOX"); all != 3 || unseen != 1 {
				t.Errorf("%d messages, %d unseen; want the one that is under way", all, unseen)
			}
			once(t, p.options(r), 0)
			if _, n := r.last(); n != 2 {
				t.Errorf("%d heard, want each once", n)
			}
		})
	}
}

func TestPutAway(t *testing.T) {
	for _, c := range []struct {
		name         string
		caps         imap.CapSet
		done         string
		delete       bool
		left, unseen uint32
		moved        uint32
	}{
		{"moved", able(), "Done", false, 0, 0, 1},
		{"copied", plain(), "Done", false, 1, 0, 1}, // it is marked as deleted, and others' are not expunged
		{"deleted", able(), "", true, 0, 0, 0},
		{"marked", plain(), "", true, 1, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, r := newPost(t, c.caps, true), newRig(t, withMAC)
			p.put(returned(deliveryKey, alice))
			o := p.options(r)
			o.Done, o.Delete = c.done, c.delete
			once(t, o, 1)
			once(t, o, 0)
			if all, unseen := p.count("INBOX"); all != c.left || unseen != c.unseen {
				t.Errorf("INBOX has %d, %d unseen; want %d, %d", all, unseen, c.left, c.unseen)
			}
			if all, _ := p.count("Done"); all != c.moved {
				t.Errorf("Done has %d, want %d", all, c.moved)
			}
		})
	}
}

// A mailbox that is not there loses no message.
func TestDoneIsMissing(t *testing.T) {
	for name, caps := range map[string]imap.CapSet{"able": able(), "plain": plain()} {
		t.Run(name, func(t *testing.T) {
			p, r := newPost(t, caps, true), newRig(t, withMAC)
			p.put(returned(deliveryKey, alice))
			o := p.options(r)
			o.Done = "Nowhere"
			if _, err := bounces.NewFetcher(o).Once(t.Context()); err == nil || !strings.Contains(err.Error(), `"Nowhere"; does it exist?`) {
				t.Errorf("got %v", err)
			}
			if all, _ := p.count("INBOX"); all != 1 {
				t.Errorf("INBOX has %d", all)
			}
		})
	}
}

// The ledger being away, everything stays unseen.
func TestFetchComesAgain(t *testing.T) {
	p, r := newPost(t, able(), true), newRig(t, withMAC, func(o *bounces.Options) { o.Ledger = broken{o.Ledger} })
	p.put(returned(deliveryKey, alice))
	once(t, p.options(r), 0)
	if _, unseen := p.count("INBOX"); unseen != 1 {
		t.Errorf("%d unseen", unseen)
	}
	if !strings.Contains(r.log.String(), "stays unseen") {
		t.Errorf("nobody was told:\n%s", r.log.String())
	}
}

// Of a large message the beginning is fetched, which is enough.
func TestFetchLarge(t *testing.T) {
	p, r := newPost(t, able(), true), newRig(t, withMAC)
	p.put(returned(deliveryKey, alice) + strings.Repeat("a picture\r\n", 300_000))
	once(t, p.options(r), 1)
	if d := r.delivery(t, deliveryKey); d.Outcome != ledger.Bounced {
		t.Errorf("the delivery is %s", d.Outcome)
	}
}

// Without a MAC, only a mailbox that is trusted is.
func TestFetchTrusted(t *testing.T) {
	for trusted, want := range map[bool]ledger.Outcome{true: ledger.Bounced, false: ledger.Delivered} {
		p, r := newPost(t, able(), true), newRig(t)
		p.put(dsn{to: bounceAddress, final: alice, envid: deliveryKey}.String())
		o := p.options(r)
		o.Trusted = trusted
		once(t, o, 1)
		if d := r.delivery(t, deliveryKey); d.Outcome != want {
			t.Errorf("trusted %v: the delivery is %s", trusted, d.Outcome)
		}
	}
}

func TestFetchSecurity(t *testing.T) {
	r := newRig(t, withMAC)
	t.Run("starttls", func(t *testing.T) {
		p := newPost(t, able(), false)
		p.put(returned(deliveryKey, alice))
		o := p.options(r)
		o.Security = bounces.StartTLS
		once(t, o, 1)
	})
	t.Run("no TLS there", func(t *testing.T) {
		p := newPost(t, able(), false)
		if _, err := bounces.NewFetcher(p.options(r)).Once(t.Context()); err == nil || !strings.Contains(err.Error(), "TLS") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("unknown authority", func(t *testing.T) {
		p := newPost(t, able(), true)
		o := p.options(r)
		o.TLS = nil
		_, err := bounces.NewFetcher(o).Once(t.Context())
		if _, ok := errors.AsType[*tls.CertificateVerificationError](err); !ok {
			t.Errorf("got %v", err)
		}
	})
	t.Run("wrong password", func(t *testing.T) {
		p := newPost(t, able(), true)
		o := p.options(r)
		o.Password = secret.New("not the password")
		if _, err := bounces.NewFetcher(o).Once(t.Context()); err == nil || !strings.Contains(err.Error(), "check user and password") || strings.Contains(err.Error(), "not the password") {
			t.Errorf("got %v", err)
		}
	})
}

// A server that repeats what it was told gives nothing away.
func TestPasswordIsHidden(t *testing.T) {
	on, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer on.Close()
	go func() {
		c, err := on.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		r := bufio.NewReader(c)
		_, err = io.WriteString(c, "* OK [CAPABILITY IMAP4rev1] ready\r\n")
		for err == nil {
			var line string
			line, err = r.ReadString('\n')
			tag, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
			_, _ = io.WriteString(c, tag+" NO what do you mean by "+rest+"\r\n")
		}
	}()
	_, err = bounces.NewFetcher(bounces.FetchOptions{
		Address: on.Addr().String(), Security: bounces.Plain, User: "u", Password: secret.New("Zanzibar"),
	}).Once(t.Context())
	if err == nil || !strings.Contains(err.Error(), "what do you mean") || strings.Contains(err.Error(), "Zanzibar") {
		t.Errorf("got %v", err)
	}
}

// run starts the fetcher and stops it at the end of the test.
func run(t *testing.T, o bounces.FetchOptions) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		bounces.NewFetcher(o).Run(ctx)
	}()
	stop = func() {
		cancel()
		select {
		case <-ended:
		case <-time.After(5 * time.Second):
			t.Error("Run does not end")
		}
	}
	t.Cleanup(stop)
	return stop
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within ten seconds: %s", what)
		}
	}
}

func (r *rig) bounced(t *testing.T, key string) func() bool {
	return func() bool { return r.delivery(t, key).Outcome == ledger.Bounced }
}

// The server says when there is mail, or it is looked for; a broken connection is made
// again.
func TestRun(t *testing.T) {
	for name, c := range map[string]struct {
		caps imap.CapSet
		poll time.Duration
	}{"idle": {able(), time.Hour}, "poll": {plain(), 20 * time.Millisecond}} {
		t.Run(name, func(t *testing.T) {
			p, r := newPost(t, c.caps, true), newRig(t, withMAC)
			o := p.options(r)
			o.Poll = c.poll
			stop := run(t, o)
			p.put(returned(deliveryKey, alice))
			eventually(t, "the first is recorded", r.bounced(t, deliveryKey))
			before := p.cut()
			p.put(returned(secondKey, "bob@customer.example"))
			eventually(t, "the second is recorded", r.bounced(t, secondKey))
			if now := p.cut(); now <= before {
				t.Errorf("%d connections, as before", now)
			}
			stop()
		})
	}
}

// duty is held by another process until it is free.
type duty struct {
	mu          sync.Mutex
	free        bool
	asked, held int
}

func (d *duty) Hold(context.Context, string) (bool, func(), error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked++
	if !d.free {
		return false, func() {}, nil
	}
	d.held++
	return true, func() {}, nil
}

func TestOneReads(t *testing.T) {
	p, r, other := newPost(t, able(), true), newRig(t, withMAC), &duty{}
	o := p.options(r)
	o.Duty, o.Poll = other, 10*time.Millisecond
	p.put(returned(deliveryKey, alice))
	run(t, o)
	eventually(t, "the duty was asked for five times", func() bool {
		other.mu.Lock()
		defer other.mu.Unlock()
		return other.asked >= 5
	})
	if p.cut() != 0 {
		t.Error("it has connected, though another process has the duty")
	}
	other.mu.Lock()
	other.free = true
	other.mu.Unlock()
	eventually(t, "it is recorded", r.bounced(t, deliveryKey))
	eventually(t, "the duty is asked for again", func() bool {
		other.mu.Lock()
		defer other.mu.Unlock()
		return other.held > 2
	})
}

// A server that says nothing is left alone when the context is done.
func TestSilentServer(t *testing.T) {
	on, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer on.Close()
	for _, s := range []bounces.Security{bounces.Implicit, bounces.StartTLS, bounces.Plain} {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		began := time.Now()
		_, err := bounces.NewFetcher(bounces.FetchOptions{Address: on.Addr().String(), Security: s}).Once(ctx)
		cancel()
		if err == nil || time.Since(began) > 5*time.Second {
			t.Errorf("%s: %v after %v", s, err, time.Since(began))
		}
	}
}
