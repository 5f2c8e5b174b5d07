package dispatcher_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sitrep/channels"
	"sitrep/dispatcher"
	"sitrep/incident"
	"sitrep/ledger"
)

// watched is a customer with lists of every sort. bob is on an internal list and on
// the customer's.
func watched() incident.Party {
	to := func(addresses ...string) []incident.Recipient {
		var all []incident.Recipient
		for _, a := range addresses {
			channel, address, _ := strings.Cut(a, ":")
			all = append(all, incident.Recipient{Channel: channel, Address: address})
		}
		return all
	}
	return incident.Party{ID: "abc", Name: "Enterprise ABC", Zone: time.UTC, Lists: []incident.List{
		{ID: "war-room", Audience: incident.Internal, To: to("chat:room", "chat:bob", "page:inside")},
		{ID: "contacts", Audience: incident.Customer, To: to("chat:alice", "chat:bob")},
		{ID: "bosses", Audience: incident.Internal, After: 900 * time.Hour, To: to("chat:boss", "chat:alice")},
	}}
}

func remindRule() dispatcher.ReminderRule {
	return dispatcher.ReminderRule{
		At:       []time.Duration{-10 * time.Minute, 0, 5 * time.Minute},
		Escalate: dispatcher.Escalation{After: 10 * time.Minute, List: "bosses"},
	}
}

// watch is a rig with a promise clock.
type watch struct {
	*rig
	t0     time.Time
	remote *remote
}

func newWatch(t *testing.T, answer func(context.Context, channels.Envelope, int) (channels.Receipt, error)) *watch {
	t.Helper()
	w := &watch{remote: newRemote(answer), t0: time.Now()}
	pages := newRemote(nil)
	pages.spec.Format = channels.FormatPage
	w.rig = newRig(t, lane("chat", w.remote), lane("page", pages))
	w.open(func(o *dispatcher.Options) { o.Parties = []incident.Party{watched()} })
	return w
}

// clock runs a promise clock beside the dispatcher until stop is called.
func (w *watch) clock(o dispatcher.Reminding) (stop func()) {
	w.t.Helper()
	r, err := dispatcher.NewReminder(w.d, o)
	if err != nil {
		w.t.Fatalf("NewReminder: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = w.d.Run(ctx) })
	running.Go(func() {
		if err := r.Run(ctx); err != nil {
			w.t.Errorf("Run: %v", err)
		}
	})
	return func() { cancel(); running.Wait() }
}

// promise accepts update seq of INC-1, which promises the next one in some time (0:
// none) and is itself sent to nobody.
func (w *watch) promise(seq int, in time.Duration, status incident.Status) {
	w.t.Helper()
	now := time.Now()
	u := incident.Update{
		Key: fmt.Sprintf("INC-1-update-%d", seq), Incident: "INC-1", Customer: "abc", CustomerName: "Enterprise ABC",
		Severity: 1, Seq: seq, At: now, Started: w.t0, Zone: time.UTC, Status: status, Summary: "It is down.",
	}
	if in != 0 {
		u.Next = now.Add(in)
	}
	content, err := json.Marshal(u)
	if err != nil {
		w.t.Fatal(err)
	}
	_, err = w.l.Accept(w.t.Context(), ledger.Acceptance{
		Incident: ledger.Incident{
			ID: u.Incident, Customer: u.Customer, Severity: "SEV1", Started: u.Started, Status: string(status), Seq: seq, Updated: now, Next: u.Next,
		},
		Update: ledger.Update{
			Key: u.Key, Incident: u.Incident, Customer: u.Customer, Seq: seq, Status: string(status), Title: "t", At: now, Accepted: now, Next: u.Next, Content: content,
		},
	})
	if err != nil {
		w.t.Fatalf("Accept: %v", err)
	}
}

// said is what arrived, as "minutes since the beginning, recipient: what".
func (w *watch) said() []string {
	var all []string
	for _, s := range w.remote.all() {
		if s.err != nil {
			continue
		}
		what := "due soon"
		for _, word := range []string{"That is in 10 minutes", "That is now", "That was 5 minutes ago", "That was 10 minutes ago", "That was 20 minutes ago"} {
			if strings.Contains(strings.Join(strings.Fields(s.text), " "), word) {
				what = word
			}
		}
		all = append(all, fmt.Sprintf("%.0f %s: %s", s.at.Sub(w.t0).Minutes(), s.to, what))
	}
	return all
}

func (w *watch) wantSaid(want ...string) {
	w.t.Helper()
	if got := w.said(); !slices.Equal(got, want) {
		w.t.Errorf("got\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

// outcomes counts the deliveries of all reminders by outcome.
func (w *watch) outcomes() map[ledger.Outcome]int {
	w.t.Helper()
	all := map[ledger.Outcome]int{}
	for d, err := range w.l.Deliveries(w.t.Context(), ledger.DeliveryQuery{}) {
		if err != nil {
			w.t.Fatal(err)
		}
		if of, is := dispatcher.ReminderOf(d.Incident); !is || of != "INC-1" || d.Customer != "abc" || d.Audience != "internal" || d.Severity != "SEV1" {
			w.t.Errorf("a reminder is recorded as %+v", d)
		}
		all[d.Outcome]++
	}
	return all
}

// The promise of 8 o'clock: who is reminded, when, and with what words. Nobody outside
// ever is, nor a page.
func TestReminders(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWatch(t, nil)
		w.promise(1, time.Hour, incident.Identified)
		stop := w.clock(dispatcher.Reminding{Rule: remindRule(), Poll: 45 * time.Minute}) // so that being on time is not the poll's doing
		time.Sleep(48 * time.Hour)
		stop()
		w.wantSaid("50 room: That is in 10 minutes", "60 room: That is now", "65 room: That was 5 minutes ago",
			"70 boss: That was 10 minutes ago")
		if got := w.outcomes(); got[ledger.Delivered] != 4 || len(got) != 1 {
			t.Errorf("the ledger accounts for %v", got)
		}
		if n := len(w.kinds(dispatcher.EventAccepted)); n != 4 {
			t.Errorf("%d acceptances were announced, want 4", n)
		}
		if log := w.log(); strings.Contains(log, "level=ERROR") || strings.Contains(log, "level=WARN") {
			t.Errorf("logged:\n%s", log)
		}
	})
}

// A newer update ends it, whether it promises again or resolves the incident.
func TestRemindersEndWithANewerUpdate(t *testing.T) {
	for name, next := range map[string]struct {
		in     time.Duration
		status incident.Status
		want   []string
	}{
		"resolved": {0, incident.Resolved, nil},
		"no time":  {0, incident.Identified, nil},
		"another":  {time.Hour, incident.Identified, []string{"105 room: That is in 10 minutes"}},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := newWatch(t, nil)
				w.promise(1, time.Hour, incident.Identified)
				stop := w.clock(dispatcher.Reminding{Rule: remindRule()})
				time.Sleep(55 * time.Minute)
				w.promise(2, next.in, next.status)
				time.Sleep(54 * time.Minute)
				stop()
				w.wantSaid(append([]string{"50 room: That is in 10 minutes"}, next.want...)...)
			})
		})
	}
}

// What did not get through is taken back once the update is out; a late "you owe an
// update" is worse than none.
func TestPendingRemindersAreCancelled(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWatch(t, fails(channels.Unavailable, 1000))
		w.promise(1, time.Hour, incident.Identified)
		stop := w.clock(dispatcher.Reminding{Rule: remindRule()})
		time.Sleep(52 * time.Minute)
		w.promise(2, 0, incident.Identified)
		time.Sleep(time.Minute)
		stop()
		if got := w.outcomes(); got[ledger.Cancelled] != 1 || len(got) != 1 {
			t.Errorf("the ledger accounts for %v, want one cancelled", got)
		}
		events := w.kinds(dispatcher.EventSettled)
		if len(events) != 1 || events[0].Outcome != ledger.Cancelled || events[0].Detail != "the update that it reminds of was sent" {
			t.Errorf("told: %+v", events)
		}
	})
}

// A reminder that does not get through ends when the next one takes its place.
func TestRemindersExpire(t *testing.T) {
	bubble(t, func(t *testing.T) {
		down := true
		w := newWatch(t, func(_ context.Context, e channels.Envelope, _ int) (channels.Receipt, error) {
			if down {
				return channels.Receipt{}, channels.Errorf(channels.Unavailable, "down")
			}
			return channels.Receipt{RemoteID: e.Key}, nil
		})
		w.promise(1, time.Hour, incident.Identified)
		stop := w.clock(dispatcher.Reminding{Rule: dispatcher.ReminderRule{At: []time.Duration{-10 * time.Minute, 0}}})
		time.Sleep(61 * time.Minute)
		if got := w.outcomes(); got[ledger.Expired] != 1 || got[ledger.Pending] != 1 {
			t.Errorf("the ledger accounts for %v, want the first expired and the second pending", got)
		}
		time.Sleep(20 * time.Minute)
		stop()
		if got := w.outcomes(); got[ledger.Expired] != 2 {
			t.Errorf("the ledger accounts for %v, want both expired", got)
		}
	})
}

// Another process, and one after a crash, sends nothing twice; after a break only the
// latest reminder is sent, with how late it really is.
func TestRemindersAfterABreak(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWatch(t, nil)
		w.promise(1, time.Hour, incident.Identified)
		stop := w.clock(dispatcher.Reminding{Rule: remindRule()})
		time.Sleep(51 * time.Minute)
		stop()
		w.open(func(*dispatcher.Options) {})
		stop = w.clock(dispatcher.Reminding{Rule: remindRule()}) // again: nothing is due
		time.Sleep(time.Minute)
		stop()
		time.Sleep(28 * time.Minute)
		w.open(func(*dispatcher.Options) {})
		stop = w.clock(dispatcher.Reminding{Rule: remindRule()})
		time.Sleep(time.Minute)
		stop()
		got := w.said()
		slices.Sort(got)
		if want := []string{"50 room: That is in 10 minutes", "80 boss: That was 20 minutes ago", "80 room: That was 20 minutes ago"}; !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

// Promises that nobody waits for any more are left alone.
func TestForgottenIncident(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWatch(t, nil)
		w.promise(1, time.Hour, incident.Identified)
		time.Sleep(26 * time.Hour)
		stop := w.clock(dispatcher.Reminding{Rule: remindRule()})
		time.Sleep(time.Hour)
		stop()
		w.wantSaid()
	})
}

// A promise made for sooner than the first reminder has no use for that one.
func TestPromiseForSoon(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWatch(t, nil)
		stop := w.clock(dispatcher.Reminding{Rule: remindRule()})
		time.Sleep(time.Minute)
		w.promise(1, 5*time.Minute, incident.Identified)
		time.Sleep(6 * time.Minute)
		stop()
		w.wantSaid("6 room: That is now")
	})
}

// Several processes look at the same moment: each reminder is there once.
func TestSeveralPromiseClocks(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWatch(t, nil)
		w.promise(1, time.Hour, incident.Identified)
		var stops []func()
		for range 4 {
			w.open(func(*dispatcher.Options) {})
			stops = append(stops, w.clock(dispatcher.Reminding{Rule: remindRule()}))
		}
		time.Sleep(3 * time.Hour)
		for _, stop := range stops {
			stop()
		}
		w.wantSaid("50 room: That is in 10 minutes", "60 room: That is now", "65 room: That was 5 minutes ago",
			"70 boss: That was 10 minutes ago")
	})
}

// post is a duty that one at a time can hold.
type post struct {
	mu     sync.Mutex
	by     string
	errs   int
	asked  int
	others bool // somebody else has it
}

func (p *post) Hold(_ context.Context, name string) (bool, func(), error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked++
	if p.errs > 0 {
		p.errs--
		return false, nil, errors.New("the server is away")
	}
	if p.others || p.by != "" {
		return false, nil, nil
	}
	p.by = name
	return true, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.by = ""
	}, nil
}

func (p *post) leave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.others = false
}

func TestReminderDuty(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWatch(t, nil)
		w.promise(1, time.Hour, incident.Identified)
		duty := &post{errs: 2, others: true}
		stop := w.clock(dispatcher.Reminding{Rule: remindRule(), Duty: duty})
		time.Sleep(50*time.Minute + 45*time.Second)
		w.wantSaid() // the other one has died with it
		duty.leave()
		time.Sleep(15 * time.Minute)
		stop()
		w.wantSaid("51 room: due soon", "60 room: That is now", "65 room: That was 5 minutes ago")
		if duty.by != "" || len(w.kinds(dispatcher.EventTrouble)) != 2 {
			t.Errorf("the duty is held by %q, and trouble was told %d times", duty.by, len(w.kinds(dispatcher.EventTrouble)))
		}
	})
}

// No busy polling: an idle hour is a look every half minute.
func TestReminderSleeps(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWatch(t, nil)
		w.promise(1, 3*time.Hour, incident.Identified)
		duty := &post{}
		stop := w.clock(dispatcher.Reminding{Rule: remindRule(), Duty: duty})
		time.Sleep(time.Hour)
		stop()
		if duty.asked > 125 {
			t.Errorf("%d looks in an idle hour", duty.asked)
		}
	})
}

// A ledger that does not answer is trouble and not the end.
func TestReminderWithoutLedger(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWatch(t, nil)
		r, err := dispatcher.NewReminder(w.d, dispatcher.Reminding{Rule: remindRule()})
		if err != nil {
			t.Fatal(err)
		}
		_ = w.l.Close()
		ctx, cancel := context.WithTimeout(t.Context(), 70*time.Second)
		defer cancel()
		if err := r.Run(ctx); err != nil {
			t.Errorf("Run: %v", err)
		}
		if n := len(w.kinds(dispatcher.EventTrouble)); n != 3 {
			t.Errorf("trouble was told %d times in 70 seconds, want 3", n)
		}
	})
}

// A reminder changes nothing for the incident: its sequence goes on, it is the only
// one that is open, and the next update of its text is prepared as if nothing was.
func TestRemindersLeaveTheIncidentAlone(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWatch(t, nil)
		w.promise(1, time.Hour, incident.Identified)
		stop := w.clock(dispatcher.Reminding{Rule: remindRule()})
		time.Sleep(62 * time.Minute)
		stop()
		open, err := w.l.Incidents(t.Context(), ledger.IncidentQuery{Open: true})
		if err != nil || len(open) != 1 || open[0].ID != "INC-1" || open[0].Seq != 1 {
			t.Errorf("open: %+v, %v", open, err)
		}
		source := "### Enterprise ABC SEV1 outage\n\n#### Status: Monitoring\n\nIt is back.\n\n#### Customer Impact\n\nNone.\n"
		p, err := w.d.Prepare(t.Context(), dispatcher.Submission{Source: []byte(source)})
		if err != nil || p.Update.Incident != "INC-1" || p.Update.Seq != 2 {
			t.Errorf("the next update is number %d of %s: %v", p.Update.Seq, p.Update.Incident, err)
		}
		row, err := w.l.Updates(t.Context(), ledger.UpdateQuery{Incident: "reminder:INC-1:1:-10m0s"})
		if err != nil || len(row) != 1 || row[0].Title != "Enterprise ABC SEV1: Identified, reminder of the next update" {
			t.Fatalf("the reminder's row: %+v, %v", row, err)
		}
		if u, err := dispatcher.Content(row[0]); err != nil || u.Validate() == nil {
			t.Errorf("the reminder's content: %+v, %v; an author could write such an id", u, err)
		}
	})
}

// Customers may have a rule of their own, or none.
func TestReminderRules(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWatch(t, nil)
		w.promise(1, time.Hour, incident.Identified)
		stop := w.clock(dispatcher.Reminding{
			Rule:      remindRule(),
			Customers: map[string]dispatcher.ReminderRule{"abc": {At: []time.Duration{0, 0}}},
		})
		time.Sleep(3 * time.Hour)
		stop()
		w.wantSaid("60 room: That is now")
	})
}

// An address that is not written to is not reminded either, and that is accounted for.
func TestReminderToSuppressed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWatch(t, nil)
		if err := w.l.Suppress(t.Context(), ledger.Suppression{Channel: "chat", Address: "room", Reason: "gone", At: time.Now()}); err != nil {
			t.Fatal(err)
		}
		w.promise(1, time.Hour, incident.Identified)
		stop := w.clock(dispatcher.Reminding{Rule: dispatcher.ReminderRule{At: []time.Duration{0}}})
		time.Sleep(2 * time.Hour)
		stop()
		w.wantSaid()
		if got := w.outcomes(); got[ledger.Suppressed] != 1 || len(w.kinds(dispatcher.EventSettled)) != 1 {
			t.Errorf("the ledger accounts for %v", got)
		}
	})
}

func TestNobodyToRemind(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWatch(t, nil)
		w.open(func(o *dispatcher.Options) {
			p := watched()
			p.Lists = p.Lists[1:2]
			o.Parties = []incident.Party{p}
		})
		w.promise(1, time.Hour, incident.Identified)
		stop := w.clock(dispatcher.Reminding{Rule: dispatcher.ReminderRule{At: []time.Duration{0}}})
		time.Sleep(2 * time.Hour)
		w.promise(2, 0, incident.Identified)
		time.Sleep(time.Hour)
		stop()
		w.wantSaid()
		if n := strings.Count(w.log(), "nobody is reminded"); n != 1 {
			t.Errorf("said %d times that nobody is reminded, want once", n)
		}
	})
}

func TestReminderMistakes(t *testing.T) {
	w := newWatch(t, nil)
	_, err := dispatcher.NewReminder(w.d, dispatcher.Reminding{
		Rule: dispatcher.ReminderRule{
			At: []time.Duration{-25 * time.Hour}, Escalate: dispatcher.Escalation{After: -time.Minute, List: "nowhere"},
		},
		Customers: map[string]dispatcher.ReminderRule{
			"abc": {Escalate: dispatcher.Escalation{List: "contacts"}},
			"xyz": {At: []time.Duration{48 * time.Hour}},
		},
	})
	if err == nil {
		t.Fatal("no mistake was found")
	}
	for _, want := range []string{
		"remind: -25h0m0s is more than a day away", "remind: escalate after -1m0s", `no customer has a list "nowhere"`,
		`the list "contacts" of customer "abc" is for the audience customer: name an internal one`,
		`there is no customer "xyz"`, `remind, customer "xyz": 48h0m0s is more`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in:\n%v", want, err)
		}
	}
	_, err = dispatcher.NewReminder(w.d, dispatcher.Reminding{
		Customers: map[string]dispatcher.ReminderRule{"abc": {Escalate: dispatcher.Escalation{List: "nowhere"}}},
	})
	if err == nil || !strings.Contains(err.Error(), `the customer "abc" has no list "nowhere"`) {
		t.Errorf("a list that is not there: %v", err)
	}
}

func TestReminderOf(t *testing.T) {
	for id, want := range map[string]string{
		"reminder:INC-1:3:-10m0s": "INC-1", "reminder:INC-1:12:escalate+10m0s": "INC-1", "INC-1": "", "": "", "reminder:": "",
	} {
		got, is := dispatcher.ReminderOf(id)
		if got != want || is != strings.HasPrefix(id, "reminder:") {
			t.Errorf("%q: %q %v, want %q", id, got, is, want)
		}
	}
}
