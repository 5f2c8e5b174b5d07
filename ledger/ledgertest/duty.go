package ledgertest

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"sitrep/ledger"
)

func dutyTests() []test {
	return []test{
		{"OneHolder", oneHolder},
		{"Release", dutyIsReleased},
		{"Close", dutyEndsWithTheHandle},
		{"SeveralDuties", severalDuties},
		{"AtOnce", dutyAtOnce},
		{"ContextIsDone", dutyContext},
	}
}

// on returns an add-on of the ledger's, or fails.
func on[A any](t *testing.T, l ledger.Ledger) A {
	t.Helper()
	a, ok := l.(A)
	if !ok {
		t.Fatalf("%T lacks %T", l, new(A))
	}
	return a
}

func hold(t *testing.T, l ledger.Ledger, name string) (held bool, release func()) {
	t.Helper()
	held, release, err := on[ledger.Duty](t, l).Hold(context.Background(), name)
	if err != nil {
		t.Fatal(err)
	}
	if release == nil {
		t.Fatal("there is no release function")
	}
	return held, release
}

func oneHolder(t *testing.T, r *rig) {
	other := r.Again(t)
	for range 2 {
		if held, _ := hold(t, r.Ledger, "remind"); !held {
			t.Error("a duty that nobody has, or this handle has, was not given")
		}
		if held, release := hold(t, other, "remind"); held {
			t.Error("a duty was given to two")
		} else {
			release()
		}
	}
}

func dutyIsReleased(t *testing.T, r *rig) {
	other := r.Again(t)
	_, release := hold(t, r.Ledger, "remind")
	release()
	held, second := hold(t, other, "remind")
	same(t, "held after its release", held, true)
	release()
	again, _ := hold(t, r.Ledger, "remind")
	same(t, "taken from its holder by an old release", again, false)
	second()
	second()
	again, release = hold(t, r.Ledger, "remind")
	same(t, "back with the first", again, true)
	second()
	lost, _ := hold(t, other, "remind")
	same(t, "taken by a release called again", lost, false)
	release()
}

func dutyEndsWithTheHandle(t *testing.T, r *rig) {
	other := r.Again(t)
	hold(t, other, "remind")
	held, _ := hold(t, r.Ledger, "remind")
	same(t, "held while the other has it", held, false)
	r.check(other.Close())
	held, _ = hold(t, r.Ledger, "remind")
	same(t, "held after the other was closed", held, true)
	if held, _, err := on[ledger.Duty](t, other).Hold(context.Background(), "remind"); held || err == nil {
		t.Errorf("a closed ledger holds a duty: %v, %v", held, err)
	}
}

func severalDuties(t *testing.T, r *rig) {
	other := r.Again(t)
	for i, name := range []string{"remind", "Remind", "prune/weekly", "", "ünï 😀", "../x"} {
		l := []ledger.Ledger{r.Ledger, other}[i%2]
		held, _ := hold(t, l, name)
		same(t, "held "+name, held, true)
		taken, _ := hold(t, []ledger.Ledger{other, r.Ledger}[i%2], name)
		same(t, "also held "+name, taken, false)
	}
}

func dutyAtOnce(t *testing.T, r *rig) {
	other := r.Again(t)
	handles := []ledger.Ledger{r.Ledger, other, r.Again(t), r.Again(t)}
	var won atomic.Int32
	r.together(len(handles), func(i int, _ ledger.Ledger) {
		held, _, err := handles[i].(ledger.Duty).Hold(context.Background(), "remind")
		if err != nil {
			t.Error(err)
		}
		if held {
			won.Add(1)
		}
	})
	same(t, "holders", won.Load(), 1)
}

func dutyContext(t *testing.T, r *rig) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	held, release, err := on[ledger.Duty](t, r.Ledger).Hold(ctx, "remind")
	if held || !errors.Is(err, context.Canceled) {
		t.Errorf("with a cancelled context: %v, %v", held, err)
	}
	release()
	held, _ = hold(t, r.Again(t), "remind")
	same(t, "held by another afterwards", held, true)
}
