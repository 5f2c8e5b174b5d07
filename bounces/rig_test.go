package bounces_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"sitrep/bounces"
	"sitrep/channels"
	"sitrep/channels/email"
	"sitrep/internal/secret"
	"sitrep/ledger"
	"sitrep/ledger/sqlite"
)

const (
	bounceAddress = "bounces@status.example.com"
	returnKey     = "0123456789abcdef-of-the-test"
	deliveryKey   = "abcd2345efgh6789jkmn2345pq" // as in testdata
	secondKey     = "abcd2345efgh6789jkmn2345pz"
	pendingKey    = "abcd2345efgh6789jkmn2345p7"
	otherChannel  = "abcd2345efgh6789jkmn2345p6"
	alice         = "alice@customer.example"
)

var (
	sent  = time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)
	heard = sent.Add(5 * time.Minute)
)

// verp is the return path of a delivery.
func verp(key string) string { return email.ReturnPath(secret.New(returnKey), bounceAddress, key) }

// rig is a receiver on a real ledger, in which alice's delivery was made, as was bob's,
// dave's is pending and carol's is another channel's.
type rig struct {
	*bounces.Receiver
	ledger *sqlite.Ledger
	log    *lockedBuffer

	mu    sync.Mutex
	heard []bounces.Heard
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// withMAC is how return paths are read where the channel has a key.
func withMAC(o *bounces.Options) {
	o.ReadReturnPath = func(address string) (string, bool) { return email.ReadReturnPath(secret.New(returnKey), address) }
}

func newRig(t testing.TB, change ...func(*bounces.Options)) *rig {
	t.Helper()
	l, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "sitrep.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	r := &rig{ledger: l, log: &lockedBuffer{}}
	r.fill(t)
	o := bounces.Options{
		Ledger: l, Channel: "mail", Address: bounceAddress, Now: func() time.Time { return heard },
		ReadMessageID: func(id string) (string, bool) { return email.ReadMessageID("status.example.com", id) },
		Log:           slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		OnBounce: func(h bounces.Heard) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.heard = append(r.heard, h)
		},
	}
	for _, c := range change {
		c(&o)
	}
	if r.Receiver, err = bounces.New(o); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *rig) fill(t testing.TB) {
	t.Helper()
	planned := func(key, channel, address string) ledger.Planned {
		return ledger.Planned{Key: key, Channel: channel, To: channels.Recipient{Address: address}, List: "ops", Audience: "customer", Expire: sent.Add(time.Hour)}
	}
	_, err := r.ledger.Accept(t.Context(), ledger.Acceptance{
		Incident:   ledger.Incident{ID: "INC-1", Customer: "abc", Started: sent, Status: "investigating", Seq: 1, Updated: sent},
		Update:     ledger.Update{Key: "update", Incident: "INC-1", Customer: "abc", Seq: 1, Status: "investigating", At: sent, Accepted: sent},
		Renderings: []channels.Message{{Format: "text", Text: "It is down."}},
		Deliveries: []ledger.Planned{
			planned(deliveryKey, "mail", alice), planned(secondKey, "mail", "bob@customer.example"),
			planned(otherChannel, "chat", "carol@customer.example"), planned(pendingKey, "mail", "dave@customer.example"),
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, channel := range []string{"mail", "chat"} {
		got, err := r.ledger.Claim(t.Context(), ledger.ClaimRequest{Channel: channel, Owner: "me", Now: sent, Until: sent.Add(time.Minute), Limit: 10})
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range got.Claims {
			s := ledger.Settlement{ID: c.ID, Owner: c.Owner, Attempt: c.Attempt, Outcome: ledger.Delivered, Started: sent, Ended: sent}
			if c.Key == pendingKey {
				s.Outcome, s.Due, s.Fault = ledger.Pending, sent.Add(time.Minute), channels.Unavailable
			}
			if v, err := r.ledger.Settle(t.Context(), []ledger.Settlement{s}); err != nil || !v[0].Applied {
				t.Fatal(v, err)
			}
		}
	}
}

func (r *rig) delivery(t testing.TB, key string) ledger.Delivery {
	t.Helper()
	d, err := r.ledger.Delivery(context.Background(), key)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func (r *rig) suppressed(t testing.TB) []string {
	t.Helper()
	all, err := r.ledger.Suppressions(context.Background(), "")
	if err != nil {
		t.Fatal(err)
	}
	addresses := []string{}
	for _, s := range all {
		addresses = append(addresses, s.Address)
	}
	return addresses
}

// last is what was heard last, and how often anything was.
func (r *rig) last() (bounces.Heard, int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.heard) == 0 {
		return bounces.Heard{}, 0
	}
	return r.heard[len(r.heard)-1], len(r.heard)
}

// untouched fails if any delivery has changed, or any address is suppressed.
func (r *rig) untouched(t testing.TB) {
	t.Helper()
	for _, key := range []string{deliveryKey, secondKey, otherChannel} {
		if d := r.delivery(t, key); d.Outcome != ledger.Delivered || d.Detail != "" || d.Fault != "" {
			t.Errorf("%s is %s now (%s, %q)", d.To.Address, d.Outcome, d.Fault, d.Detail)
		}
	}
	if s := r.suppressed(t); len(s) != 0 {
		t.Errorf("suppressed: %v", s)
	}
}

// dsn is a report as of Postfix. Empty fields are left out.
type dsn struct {
	to, envid, messageID, final, original, action, status, words string
}

func (d dsn) String() string {
	if d.action == "" {
		d.action = "failed"
	}
	if d.status == "" {
		d.status = "5.1.1"
	}
	if d.words == "" {
		d.words = "550 " + d.status + " No such user"
	}
	var b strings.Builder
	field := func(name, value string) {
		if strings.TrimSpace(strings.TrimPrefix(value, "rfc822;")) != "" {
			b.WriteString(name + ": " + value + "\r\n")
		}
	}
	b.WriteString("From: MAILER-DAEMON@mail.example.com\r\nSubject: Undelivered Mail Returned to Sender\r\n")
	field("To", d.to)
	b.WriteString("Content-Type: multipart/report; report-type=delivery-status; boundary=bb\r\n\r\n--bb\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mail.example.com\r\n")
	field("Original-Envelope-Id", d.envid)
	b.WriteString("\r\n")
	field("Final-Recipient", "rfc822;"+d.final)
	field("Original-Recipient", "rfc822;"+d.original)
	field("Action", d.action)
	field("Status", d.status)
	field("Diagnostic-Code", "smtp; "+d.words)
	b.WriteString("\r\n--bb\r\nContent-Type: text/rfc822-headers\r\n\r\n")
	field("Message-ID", d.messageID)
	b.WriteString("Subject: It is down\r\n\r\n--bb--\r\n")
	return b.String()
}

func (r *rig) receive(t testing.TB, trusted bool, d dsn) error {
	t.Helper()
	return r.Receive(t.Context(), bounces.Mail{To: []string{d.to}, Trusted: trusted, Content: strings.NewReader(d.String())})
}

func (r *rig) mustReceive(t testing.TB, trusted bool, d dsn) {
	t.Helper()
	if err := r.receive(t, trusted, d); err != nil {
		t.Fatal(err)
	}
}

// broken is a ledger that is away.
type broken struct{ ledger.Bouncer }

var errBroken = errors.New("the disk is full")

func (broken) Bounce(context.Context, ledger.Bounce) (ledger.Delivery, bool, error) {
	return ledger.Delivery{}, false, errBroken
}
