package dispatcher_test

import (
	"testing"
	"time"

	"sitrep/dispatcher"
	"sitrep/incident"
	"sitrep/ledger"
)

// mute is a ledger that cannot tell of changes.
type mute struct{ ledger.Ledger }

// A promise that another process has accepted is known soon enough to be reminded of in
// time, and so is that it was kept; without a feed of changes, at the next look.
func TestPromiseOfAnotherProcess(t *testing.T) {
	tests := map[string]struct {
		deaf     bool
		from, to time.Duration // when the reminder comes
	}{
		"followed": {false, 10 * time.Second, 11 * time.Second},
		"polled":   {true, 30 * time.Second, 31 * time.Second},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := newWatch(t, nil)
				other := &watch{rig: &rig{t: t, path: w.path, o: w.o}, t0: w.t0}
				other.open(func(*dispatcher.Options) {})
				if tc.deaf {
					w.open(func(o *dispatcher.Options) { o.Ledger = mute{o.Ledger} })
				}
				rule := dispatcher.ReminderRule{At: []time.Duration{-10 * time.Minute, -9 * time.Minute}}
				stop := w.clock(dispatcher.Reminding{Rule: rule})
				time.Sleep(7 * time.Second)
				other.promise(1, 10*time.Minute+3*time.Second, incident.Identified)
				time.Sleep(58 * time.Second) // five seconds before the next reminder
				other.promise(2, 5*time.Hour, incident.Identified)
				time.Sleep(time.Hour)
				stop()
				sent := w.remote.all()
				if len(sent) != 1 {
					t.Fatalf("%d reminders, want the first alone: %v", len(sent), w.said())
				}
				if late := sent[0].at.Sub(w.t0); late < tc.from || late > tc.to {
					t.Errorf("reminded after %s, want %s", late, tc.from)
				}
			})
		})
	}
}
