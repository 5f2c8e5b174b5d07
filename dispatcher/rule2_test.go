package dispatcher_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"sitrep/channels"
	"sitrep/dispatcher"
	"sitrep/ledger"
)

// Rule 2: keys are deterministic and the same on every attempt.
func TestRule2Keys(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newRemote(fails(channels.Unavailable, 3))
		r := newRig(t, lane("mail", c))
		u := r.accept("INC-1", 1, time.Hour, "mail:a")
		r.work()
		for _, s := range c.all() {
			if want := dispatcher.DeliveryKey(u, "mail", "A "); s.key != want {
				t.Errorf("attempt %d had the key %s, want %s", s.of, s.key, want)
			}
		}
		if k := dispatcher.DeliveryKey(u, "mail", "a"); len(k) != 26 || k == dispatcher.DeliveryKey(u, "chat", "a") ||
			k == dispatcher.DeliveryKey(u+"m", "ail", "a") {
			t.Errorf("key %q", k)
		}
	})
}

// Rule 2: after an ambiguous attempt, ask where the channel can; else its policy.
func TestRule2Ambiguous(t *testing.T) {
	receipt := channels.Receipt{RemoteID: "found"}
	ambiguousOnce := fails(channels.Ambiguous, 1)
	tests := []struct {
		name   string
		policy channels.AmbiguousPolicy
		send   func(context.Context, channels.Envelope, int) (channels.Receipt, error)
		find   func(channels.Envelope, int) (channels.Receipt, bool, error)
		want   ledger.Outcome
		sends  int
		remote string
	}{
		{name: "resend", policy: channels.ResendAmbiguous, send: ambiguousOnce, want: ledger.Delivered, sends: 2},
		{name: "unknown", policy: channels.KeepUnknown, send: ambiguousOnce, want: ledger.Unknown, sends: 1},
		{
			name: "found", policy: channels.KeepUnknown, send: ambiguousOnce, want: ledger.Delivered, sends: 1, remote: "found",
			find: func(channels.Envelope, int) (channels.Receipt, bool, error) { return receipt, true, nil },
		},
		{
			name: "not found", policy: channels.KeepUnknown, send: ambiguousOnce, want: ledger.Delivered, sends: 2,
			find: func(channels.Envelope, int) (channels.Receipt, bool, error) { return channels.Receipt{}, false, nil },
		},
		{
			name: "found at the third question", policy: channels.KeepUnknown, send: ambiguousOnce, want: ledger.Delivered, sends: 1, remote: "found",
			find: func(_ channels.Envelope, n int) (channels.Receipt, bool, error) {
				if n < 3 {
					return channels.Receipt{}, false, errors.New("cannot say")
				}
				return receipt, true, nil
			},
		},
		{
			name: "nobody can say", policy: channels.ResendAmbiguous, send: ambiguousOnce, want: ledger.Unknown, sends: 1,
			find: func(channels.Envelope, int) (channels.Receipt, bool, error) {
				return channels.Receipt{}, false, errors.New("cannot say")
			},
		},
		{name: "too late to resend", policy: channels.ResendAmbiguous, send: fails(channels.Ambiguous, 1000), want: ledger.Unknown, sends: -1},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				c := newRemote(tc.send)
				var ch channels.Channel = c
				if tc.find != nil {
					ch = &finding{remote: c, find: tc.find}
				}
				l := lane("chat", ch)
				l.Ambiguous = tc.policy
				r := newRig(t, l)
				u := r.accept("INC-1", 1, time.Hour, "chat:a")
				r.work()
				row := r.outcome(u, "chat:a", tc.want)
				if n := len(c.all()); n != tc.sends && tc.sends >= 0 {
					t.Errorf("sent %d times, want %d", n, tc.sends)
				}
				if tc.remote != "" && row.Receipt.RemoteID != tc.remote {
					t.Errorf("receipt %+v", row.Receipt)
				}
				if tc.want == ledger.Unknown && (row.Fault != channels.Ambiguous || row.Detail == "") {
					t.Errorf("unknown without saying so: fault %q, detail %q", row.Fault, row.Detail)
				}
			})
		})
	}
}

// Rule 2: an attempt whose process died is as ambiguous as one without an answer.
func TestRule2Interrupted(t *testing.T) {
	tests := []struct {
		name   string
		policy channels.AmbiguousPolicy
		find   func(channels.Envelope, int) (channels.Receipt, bool, error)
		want   ledger.Outcome
		sends  int
	}{
		{"resend", channels.ResendAmbiguous, nil, ledger.Delivered, 1},
		{"unknown", channels.KeepUnknown, nil, ledger.Unknown, 0},
		{"found", channels.KeepUnknown, func(channels.Envelope, int) (channels.Receipt, bool, error) {
			return channels.Receipt{}, true, nil
		}, ledger.Delivered, 0},
		{"not found", channels.KeepUnknown, func(channels.Envelope, int) (channels.Receipt, bool, error) {
			return channels.Receipt{}, false, nil
		}, ledger.Delivered, 1},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				c := newRemote(nil)
				var ch channels.Channel = c
				if tc.find != nil {
					ch = &finding{remote: c, find: tc.find}
				}
				l := lane("chat", ch)
				l.Ambiguous = tc.policy
				r := newRig(t, l)
				u := r.accept("INC-1", 1, time.Hour, "chat:a")
				if _, err := r.l.Claim(t.Context(), ledger.ClaimRequest{
					Channel: "chat", Owner: "dead", Now: time.Now(), Until: time.Now().Add(time.Second), Limit: 1,
				}); err != nil {
					t.Fatal(err)
				}
				r.work()
				r.outcome(u, "chat:a", tc.want)
				if n := len(c.all()); n != tc.sends {
					t.Errorf("sent %d times, want %d", n, tc.sends)
				}
			})
		})
	}
}

// Rule 2: a channel that may not send twice holds no more claims than it works on,
// so that a crash puts nothing else in doubt.
func TestRule2ClaimsNoMoreThanItWorksOn(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := lane("sms", newRemote(hangs))
		l.Ambiguous, l.Workers = channels.KeepUnknown, 3
		r := newRig(t, l)
		var to []string
		for i := range 20 {
			to = append(to, fmt.Sprintf("sms:%d", i))
		}
		u := r.accept("INC-1", 1, time.Hour, to...)
		stop := r.start()
		defer func() { _ = stop() }()
		time.Sleep(time.Second)
		synctest.Wait()
		leased := 0
		for _, x := range to {
			if r.delivery(u, x).Leased {
				leased++
			}
		}
		if leased != 3 {
			t.Errorf("%d deliveries claimed, want 3", leased)
		}
	})
}

// Rule 2: a person who asks for an unknown delivery again gets it sent.
func TestRule2RetryOfUnknown(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := newRemote(fails(channels.Ambiguous, 1))
		l := lane("sms", c)
		l.Ambiguous = channels.KeepUnknown
		r := newRig(t, l)
		u := r.accept("INC-1", 1, time.Hour, "sms:a")
		r.work()
		r.outcome(u, "sms:a", ledger.Unknown)
		if n, err := r.d.Retry(t.Context(), u); n != 1 || err != nil {
			t.Fatalf("Retry: %d, %v", n, err)
		}
		r.work()
		r.outcome(u, "sms:a", ledger.Delivered)
	})
}
