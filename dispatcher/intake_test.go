package dispatcher_test

import (
	"context"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sitrep/channels"
	"sitrep/dispatcher"
	"sitrep/incident"
	"sitrep/ledger"
)

var updateGolden = flag.Bool("update", false, "rewrite the golden files")

const text = `### ABC Corp SEV1 outage - 7:20pm UTC update

#### Status: Identified

#### Incident Time: 2 hours

The login is slow. Next update at 9pm UTC.

#### Customer Impact

People cannot log in.

#### Technical Notes

canary-9f3a in the database, ask @bob.
`

// newIntake is a rig whose customer has lists of every audience.
func newIntake(t *testing.T) (*rig, map[string]*remote) {
	t.Helper()
	all := map[string]*remote{}
	var lanes []dispatcher.Lane
	for _, id := range []string{"chat", "mail", "page"} {
		all[id] = newRemote(nil)
		lanes = append(lanes, lane(id, all[id]))
	}
	r := newRig(t, lanes...)
	r.open(func(o *dispatcher.Options) {
		o.Parties = []incident.Party{abc(), {ID: "xyz", Name: "Xylophone", Zone: time.UTC, Lists: abc().Lists}}
		o.Guard.Words, o.Guard.Parties = []string{"zebra"}, o.Parties
		o.Now = func() time.Time { return time.Date(2026, 11, 22, 19, 25, 0, 0, time.UTC) }
	})
	return r, all
}

func (r *rig) prepare(s dispatcher.Submission) dispatcher.Prepared {
	r.t.Helper()
	p, err := r.d.Prepare(r.t.Context(), s)
	if err != nil {
		r.t.Fatalf("Prepare: %v", err)
	}
	return p
}

func (r *rig) publish(s dispatcher.Submission) ledger.Accepted {
	r.t.Helper()
	got, err := r.d.Publish(r.t.Context(), r.prepare(s))
	if err != nil {
		r.t.Fatalf("Publish: %v", err)
	}
	return got
}

func TestPublish(t *testing.T) {
	r, far := newIntake(t)
	p := r.prepare(dispatcher.Submission{Source: []byte(text)})
	if n, err := r.l.Updates(t.Context(), ledger.UpdateQuery{}); len(n) != 0 || err != nil {
		t.Fatalf("Prepare recorded %d updates (%v)", len(n), err)
	}
	got, err := r.d.Publish(t.Context(), p)
	if err != nil || got.Added != 6 || got.Duplicate {
		t.Fatalf("Publish: %+v, %v; want 6 deliveries", got, err)
	}
	r.work()
	if n := len(far["chat"].all()) + len(far["mail"].all()) + len(far["page"].all()); n != 6 {
		t.Errorf("%d sent, want 6", n)
	}
	u, err := dispatcher.Content(got.Update)
	if err != nil || u.Summary != p.Update.Summary || !u.At.Equal(p.Update.At) || u.Zone.String() != "UTC" ||
		u.Lines[incident.SectionSummary] != p.Update.Lines[incident.SectionSummary] {
		t.Errorf("the ledger's content reads %+v (%v), want %+v", u, err, p.Update)
	}
	if got.Update.Source != text {
		t.Errorf("source %q", got.Update.Source)
	}
}

func TestBadInput(t *testing.T) {
	r, _ := newIntake(t)
	tests := map[string]dispatcher.Submission{
		"empty":          {},
		"a key":          {Source: []byte(text), Key: "two words\x00"},
		"a long key":     {Source: []byte(text), Key: strings.Repeat("k", 200)},
		"only":           {Source: []byte(text), Only: []string{"nobody"}},
		"status":         {Source: []byte(strings.Replace(text, "Identified", "Broken", 1))},
		"customer":       {Source: []byte(strings.Replace(text, "ABC Corp", "QED Ltd", 1))},
		"reaches no one": {Source: []byte(strings.Replace(text, "SEV1", "SEV3", 1)), Only: []string{"executives"}},
	}
	for name, s := range tests {
		t.Run(name, func(t *testing.T) {
			p, err := r.d.Prepare(t.Context(), s)
			problems, ok := errors.AsType[incident.Problems](err)
			if !ok || len(problems) == 0 {
				t.Fatalf("Prepare: %v, want problems", err)
			}
			for _, x := range problems {
				if x.Remedy == "" {
					t.Errorf("%q has no remedy", x.What)
				}
			}
			if _, err := r.d.Publish(t.Context(), p); err == nil {
				t.Error("it was published all the same")
			}
		})
	}
}

func TestSuppressed(t *testing.T) {
	r, far := newIntake(t)
	if err := r.l.Suppress(t.Context(), ledger.Suppression{
		Channel: "mail", Address: "Alice@ABC.example", Reason: "550 no such user", At: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC),
	}); err != nil {
		t.Fatal(err)
	}
	got := r.publish(dispatcher.Submission{Source: []byte(text)})
	r.work()
	if n := len(far["mail"].texts("alice@abc.example")); n != 0 {
		t.Error("a suppressed address was written to")
	}
	row := r.outcome(got.Update.Key, "mail:alice@abc.example", ledger.Suppressed)
	if row.Detail != "not written to since 2026-11-01: 550 no such user" {
		t.Errorf("detail %q", row.Detail)
	}
}

// One rendering serves all who read it word for word, and only them.
func TestRenderingsAreShared(t *testing.T) {
	r, _ := newIntake(t)
	var many []incident.Recipient
	for i := range 50 {
		x := incident.Recipient{Channel: "mail", Address: strings.Repeat("x", i+1) + "@abc.example"}
		if i%2 == 1 {
			x.Locale = "de-DE"
		}
		many = append(many, x)
	}
	r.open(func(o *dispatcher.Options) {
		o.Parties = []incident.Party{{ID: "abc", Name: "ABC Corp", Zone: time.UTC, Lists: []incident.List{
			{ID: "contacts", Audience: incident.Customer, To: many},
		}}}
	})
	p := r.prepare(dispatcher.Submission{Source: []byte(text)})
	if p.Plan.Count() != 50 || len(p.Plan.Renderings) != 2 {
		t.Errorf("%d deliveries of %d renderings, want 50 of 2", p.Plan.Count(), len(p.Plan.Renderings))
	}
}

// Updates in a zone that has only an offset come back from the ledger.
func TestContentOfOddZones(t *testing.T) {
	for _, clock := range []string{"2026-11-22T19:20:00+05:45", "7:20pm ET", "19:20 UTC"} {
		r, _ := newIntake(t)
		src := strings.Replace(text, "7:20pm UTC", clock, 1)
		p, err := r.d.Prepare(t.Context(), dispatcher.Submission{Source: []byte(src)})
		if err != nil {
			t.Errorf("%s: %v", clock, err)
			continue
		}
		got, err := r.d.Publish(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		u, err := dispatcher.Content(got.Update)
		if err != nil || u.At.In(u.Zone).Format(time.Kitchen) != p.Update.At.In(p.Update.Zone).Format(time.Kitchen) {
			t.Errorf("%s: %v, %v", clock, u.At, err)
		}
	}
}

func TestNewReportsEveryMistake(t *testing.T) {
	_, err := dispatcher.New(dispatcher.Options{
		Lanes: []dispatcher.Lane{
			{ID: "a", Channel: newRemote(nil)},
			{ID: "a", Channel: newRemote(nil)},
			{Kind: "email"},
			{ID: "b", Channel: newRemote(nil), Ambiguous: "perhaps"},
		},
		Parties: []incident.Party{{ID: "abc", Lists: []incident.List{
			{ID: "x", Audience: "everybody", To: recipients("fax", "1", "2")},
		}}},
	})
	golden(t, "new.txt", err.Error())
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	got += "\n"
	if *updateGolden {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil || string(want) != got {
		t.Errorf("%s differs (%v); got:\n%s", path, err, got)
	}
}

var _ channels.Channel = (*remote)(nil)

// Old news is not tried again once the incident has moved on.
func TestRetryOfAnOvertakenUpdate(t *testing.T) {
	bubble(t, func(t *testing.T) {
		refuse := newRemote(func(context.Context, channels.Envelope, int) (channels.Receipt, error) {
			return channels.Receipt{}, channels.Errorf(channels.Rejected, "no")
		})
		r := newRig(t, lane("mail", refuse))
		first := r.accept("INC-1", 1, time.Hour, "mail:a")
		r.work()
		second := r.accept("INC-1", 2, time.Hour, "mail:b")
		n, err := r.d.Retry(t.Context(), first)
		if problems, ok := errors.AsType[incident.Problems](err); !ok || n != 0 || !strings.Contains(problems.Error(), second) {
			t.Errorf("Retry: %d, %v; want a refusal that names %s", n, err, second)
		}
		r.outcome(first, "mail:a", ledger.Failed)
	})
}
