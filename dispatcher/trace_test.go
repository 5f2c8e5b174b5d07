package dispatcher_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sitrep/channels"
	"sitrep/dispatcher"
	"sitrep/ledger"
)

// traced gathers spans.
type traced struct {
	mu  sync.Mutex
	all []dispatcher.Span
}

func (x *traced) on(o *dispatcher.Options) { o.OnSpan = x.span }

func (x *traced) span(s dispatcher.Span) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.all = append(x.all, s)
}

// of are the spans of a name, in the order in which they ended.
func (x *traced) of(name dispatcher.SpanName) []dispatcher.Span {
	x.mu.Lock()
	defer x.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(x.all), func(s dispatcher.Span) bool { return s.Name != name })
}

func (x *traced) names() string {
	x.mu.Lock()
	defer x.mu.Unlock()
	n := map[dispatcher.SpanName]int{}
	for _, s := range x.all {
		n[s.Name]++
	}
	return fmt.Sprint(n)
}

func TestSpansOfAnUpdate(t *testing.T) {
	r, far := newIntake(t)
	var x traced
	r.open(x.on)
	far["mail"].answer = fails(channels.Rejected, 1)
	p := r.prepare(dispatcher.Submission{Source: []byte(text)})
	if len(x.all) != 0 {
		t.Fatalf("a preview left spans: %s", x.names())
	}
	got, err := r.d.Publish(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	if names := x.names(); names != "map[accept:1 plan:1 update:1]" {
		t.Fatalf("after acceptance: %s", names)
	}
	if u := x.of(dispatcher.SpanUpdate)[0]; u.Update != got.Update.Key || u.Customer != "abc" || u.Incident != got.Update.Incident || u.Count != 6 || u.Failed {
		t.Errorf("the root is %+v", u)
	}
	r.work()
	claimed := 0
	for _, c := range x.of(dispatcher.SpanClaim) {
		claimed += c.Count
		if c.Update != got.Update.Key || c.Channel == "" || len(c.Deliveries) != c.Count || c.Ended.Before(c.Began) {
			t.Errorf("a claim is %+v", c)
		}
	}
	if claimed != 6 {
		t.Errorf("the claims got %d deliveries, want 6", claimed)
	}
	attempts := x.of(dispatcher.SpanAttempt)
	if len(attempts) != 6 {
		t.Fatalf("%d attempts, want 6", len(attempts))
	}
	for _, a := range attempts {
		fault, outcome := channels.Fault(""), ledger.Delivered
		if a.Channel == "mail" {
			fault, outcome = channels.Rejected, ledger.Failed
		}
		if a.Fault != fault || a.Outcome != outcome || a.Attempt != 1 || a.Update != got.Update.Key || len(a.Deliveries) != 1 || a.Customer != "abc" {
			t.Errorf("an attempt is %+v", a)
		}
	}
}

// Who is told of an update that came before is traced, and it is one update still.
func TestSpansOfADuplicate(t *testing.T) {
	r, _ := newIntake(t)
	var x traced
	r.open(x.on)
	r.publish(dispatcher.Submission{Source: []byte(text), Only: []string{"internal"}})
	r.publish(dispatcher.Submission{Source: []byte(text)})
	if names := x.names(); names != "map[accept:2 plan:2 update:1]" {
		t.Errorf("spans: %s, want one root", names)
	}
}

type fullDisk struct{ ledger.Ledger }

func (fullDisk) Accept(context.Context, ledger.Acceptance) (ledger.Accepted, error) {
	return ledger.Accepted{}, errors.New("disk full")
}

func TestSpansOfAFailedAcceptance(t *testing.T) {
	r, _ := newIntake(t)
	var x traced
	r.open(func(o *dispatcher.Options) { x.on(o); o.Ledger = fullDisk{r.l} })
	if _, err := r.d.Publish(t.Context(), r.prepare(dispatcher.Submission{Source: []byte(text)})); err == nil {
		t.Fatal("accepted")
	}
	if a := x.of(dispatcher.SpanAccept); len(a) != 1 || !a[0].Failed || len(x.of(dispatcher.SpanUpdate)) != 0 {
		t.Errorf("spans: %s, %+v", x.names(), a)
	}
}

func TestSpansOfRetries(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, lane("chat", newRemote(func(_ context.Context, e channels.Envelope, n int) (channels.Receipt, error) {
			time.Sleep(time.Second)
			if n == 1 && e.To.Address == "bob" {
				return channels.Receipt{}, channels.Errorf(channels.Unavailable, "no")
			}
			return channels.Receipt{}, nil
		})))
		var x traced
		r.open(x.on)
		one, two := r.accept("INC-1", 1, time.Hour, "chat:alice", "chat:bob"), r.accept("INC-2", 1, time.Hour, "chat:carol")
		r.work()
		attempts := x.of(dispatcher.SpanAttempt)
		if len(attempts) != 4 {
			t.Fatalf("%d attempts, want 4", len(attempts))
		}
		for _, a := range attempts {
			if a.Ended.Sub(a.Began) != time.Second {
				t.Errorf("an attempt took %v, want 1s", a.Ended.Sub(a.Began))
			}
		}
		if a := attempts[3]; a.Attempt != 2 || a.Update != one || a.Outcome != ledger.Delivered {
			t.Errorf("the second attempt is %+v", a)
		}
		if !slices.ContainsFunc(attempts, func(a dispatcher.Span) bool { return a.Fault == channels.Unavailable && a.Outcome == ledger.Pending }) {
			t.Error("the failed attempt does not show")
		}
		// One question got deliveries of two updates: each has its span.
		claims := x.of(dispatcher.SpanClaim)
		if len(claims) != 3 || claims[0].Update != one || claims[0].Count != 2 || claims[1].Update != two || claims[1].Count != 1 || claims[2].Update != one {
			t.Errorf("claims: %+v", claims)
		}
	})
}

func TestSpanOfADoubt(t *testing.T) {
	bubble(t, func(t *testing.T) {
		far := &finding{remote: newRemote(fails(channels.Ambiguous, 1))}
		far.find = func(_ channels.Envelope, n int) (channels.Receipt, bool, error) {
			if n == 1 {
				return channels.Receipt{}, false, channels.Errorf(channels.Unavailable, "down")
			}
			return channels.Receipt{RemoteID: "x"}, true, nil
		}
		r := newRig(t, lane("chat", far))
		var x traced
		r.open(x.on)
		r.accept("INC-1", 1, time.Hour, "chat:alice")
		r.work()
		finds := x.of(dispatcher.SpanFind)
		if len(finds) != 2 || finds[0].Fault != channels.Unavailable || finds[0].Outcome != "" || finds[1].Outcome != ledger.Delivered || finds[1].Fault != "" {
			t.Errorf("finds: %+v", finds)
		}
		if n := len(x.of(dispatcher.SpanAttempt)); n != 1 {
			t.Errorf("%d attempts, want 1: asking is none", n)
		}
	})
}

func TestSpansOfAReminder(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWatch(t, nil)
		var x traced
		w.open(x.on)
		w.promise(1, time.Hour, "")
		stop := w.clock(dispatcher.Reminding{Rule: dispatcher.ReminderRule{At: []time.Duration{0}}})
		time.Sleep(70 * time.Minute)
		stop()
		roots := x.of(dispatcher.SpanUpdate)
		if len(roots) != 1 || !strings.HasPrefix(roots[0].Incident, "reminder:") || roots[0].Count == 0 {
			t.Errorf("roots: %+v (%s)", roots, x.names())
		}
	})
}

// A claim of many deliveries names the first.
func TestSpanOfABigClaim(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l := lane("chat", newRemote(nil))
		l.Workers = 100
		r := newRig(t, l)
		var x traced
		r.open(x.on)
		var to []string
		for i := range 100 {
			to = append(to, fmt.Sprintf("chat:a%d", i))
		}
		r.accept("INC-1", 1, time.Hour, to...)
		r.work()
		if c := x.of(dispatcher.SpanClaim); len(c) != 1 || c[0].Count != 100 || len(c[0].Deliveries) != 64 {
			t.Errorf("%d claims, %+v", len(c), c)
		}
	})
}
