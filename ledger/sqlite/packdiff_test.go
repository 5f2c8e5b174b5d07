package sqlite_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"sitrep/ledger/sqlite"
)

// TestPacksDiffer does the same at random to two ledgers, of which one never packs and the
// other packs whatever it may. Everything they return is the same, and what is in their
// files in the end.
//
// SITREP_PACK_SEED is the first seed, SITREP_PACK_SEEDS how many there are, and the files
// are compared after every SITREP_PACK_EVERY steps.
func TestPacksDiffer(t *testing.T) {
	from, seeds, every := number("SITREP_PACK_SEED", 1), number("SITREP_PACK_SEEDS", 6), number("SITREP_PACK_EVERY", 40)
	for seed := from; seed < from+seeds; seed++ {
		if !t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) { differ(t, uint64(seed), 350, every) }) {
			return
		}
	}
}

// number is one that whoever looks for a mistake may choose.
func number(name string, usual int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil {
		return n
	}
	return usual
}

// twins are the two ledgers, each with two handles, and what was done to them.
type twins struct {
	*testing.T
	sides [2]*twin
	log   []string
	full  int // how often there was no room
	packs int // how many packs there were, at every step
}

type twin struct {
	path    string
	least   int
	handles [2]*sqlite.Ledger
	gone    []*sqlite.Ledger // forgotten, but not closed
}

func differ(t *testing.T, seed uint64, steps, every int) {
	dirs := [2]string{t.TempDir(), t.TempDir()}
	synctest.Test(t, func(t *testing.T) {
		b := &twins{T: t}
		for i, least := range []int{math.MaxInt, 2} {
			b.sides[i] = &twin{path: filepath.Join(dirs[i], "ledger.db"), least: least}
			for h := range b.sides[i].handles {
				b.sides[i].open(t, h)
			}
		}
		defer b.end()
		w := newWorld(rand.New(rand.NewPCG(seed, 1)))
		for _, o := range w.rosters() {
			b.one(0, o)
		}
		for n := 0; n < steps && !b.Failed(); n++ {
			w.step(b)
			b.packs += b.sides[1].handles[0].Packs()
			if n%every == every-1 || n == steps-1 {
				b.compareFiles(filepath.Join(dirs[0], fmt.Sprint("copy", n)), filepath.Join(dirs[1], fmt.Sprint("copy", n)))
			}
		}
		b.Logf("%.1f packs on the average, no room %d times", float64(b.packs)/float64(steps), b.full)
		if b.Failed() {
			b.Logf("seed %d, the last of %d steps:\n%s", seed, len(b.log), strings.Join(b.log[max(0, len(b.log)-25):], "\n"))
		}
	})
}

func (s *twin) open(t *testing.T, h int) {
	t.Helper()
	l, err := sqlite.Open(context.Background(), s.path)
	if err != nil {
		t.Fatal(err)
	}
	l.PackFrom(s.least)
	s.handles[h] = l
}

// end closes all handles.
func (b *twins) end() {
	for _, s := range b.sides {
		for _, l := range slices.Concat(s.handles[:], s.gone) {
			if err := l.Close(); err != nil {
				b.Error(err)
			}
		}
	}
}

// operation is something that is done to both.
type operation struct {
	name  string
	do    func(ctx context.Context, l *sqlite.Ledger) (any, error)
	after func(result any) // if it succeeded, with what it returned
	late  bool             // it fails when its work is done
	read  bool             // it does not wait for a turn of its own
}

// late is a context that ends when the work is done, but for the commit.
type late struct{ context.Context }

func (late) Err() error {
	at := make([]uintptr, 1)
	runtime.Callers(2, at)
	frame, _ := runtime.CallersFrames(at).Next()
	if strings.HasSuffix(frame.Function, "(*job).run") {
		return context.Canceled
	}
	return nil
}

func (o *operation) run(l *sqlite.Ledger) answer {
	ctx := context.Background()
	if o.late {
		ctx = late{ctx}
	}
	got, err := o.do(ctx, l)
	return answer{got, err}
}

type answer struct {
	got any
	err error
}

// one does one operation to both.
func (b *twins) one(handle int, o operation) {
	b.Helper()
	var got [2]answer
	for i, s := range b.sides {
		got[i] = o.run(s.handles[handle])
	}
	b.same(handle, &o, got)
}

// together does several to both, that are written in one transaction if they may be; if
// fails, the commit of it fails.
func (b *twins) together(handle int, all []operation, fails bool) {
	b.Helper()
	if fails {
		all = append(all, operation{name: "fail the commit", do: func(ctx context.Context, l *sqlite.Ledger) (any, error) {
			return nil, l.Work(ctx, failCommit)
		}})
	}
	rows, packs := b.lineUp(b.sides[0].handles[handle], all), b.lineUp(b.sides[1].handles[handle], all)
	for n := range all {
		all[n].name = "together: " + all[n].name
		b.same(handle, &all[n], [2]answer{rows[n], packs[n]})
	}
}

// lineUp has all done together.
func (b *twins) lineUp(l *sqlite.Ledger, all []operation) []answer {
	b.Helper()
	got := make([]answer, len(all))
	release := l.Occupy()
	var wg sync.WaitGroup
	for n := range all {
		wg.Go(func() { got[n] = all[n].run(l) })
		synctest.Wait()
		if l.Waiting() != n+1 {
			b.Errorf("%s: %d wait, want %d", all[n].name, l.Waiting(), n+1)
		}
	}
	release()
	wg.Wait()
	return got
}

// cramped does several to the one that packs, together and with a full disk. What there
// was room for is done to the other one, too; what there was not is as if never done.
func (b *twins) cramped(handle int, all []operation) {
	b.Helper()
	l := b.sides[1].handles[handle]
	if err := l.Full(context.Background()); err != nil {
		b.Fatal(err)
	}
	got := b.lineUp(l, all)
	if err := l.Roomy(context.Background()); err != nil {
		b.Fatal(err)
	}
	full := slices.ContainsFunc(got, func(a answer) bool { return a.err != nil && strings.Contains(a.err.Error(), "disk is full") })
	for n := range all {
		all[n].name = "cramped: " + all[n].name
		if full && got[n].err != nil { // or it has seen what was taken back then
			b.full++
			b.same(handle, &operation{name: all[n].name}, [2]answer{})
			continue
		}
		b.same(handle, &all[n], [2]answer{all[n].run(b.sides[0].handles[handle]), got[n]})
	}
}

// same compares what two returned, and goes on with it.
func (b *twins) same(handle int, o *operation, got [2]answer) {
	b.Helper()
	said := [2]string{}
	for i, a := range got {
		if a.err != nil {
			said[i] = strings.ReplaceAll(a.err.Error(), b.sides[i].path, "FILE")
		}
	}
	name := o.name
	if o.late {
		name += " (taken back)"
	}
	b.log = append(b.log, fmt.Sprintf("%4d handle %d: %s -> %.300s %s", len(b.log), handle, name, fmt.Sprintf("%+v", got[0].got), said[0]))
	if said[0] != said[1] || !reflect.DeepEqual(got[0].got, got[1].got) {
		b.Errorf("%s differ:\nin rows  %+v %s\nin packs %+v %s", name, got[0].got, said[0], got[1].got, said[1])
	}
	if o.late && !errors.Is(got[0].err, context.Canceled) && said[0] == "" {
		b.Errorf("%s was not taken back", name)
	}
	for _, l := range b.sides[1].handles {
		if err := l.RemembersPacks(context.Background()); err != nil {
			b.Errorf("after %s: %v", name, err)
		}
	}
	if got[0].err == nil && o.after != nil {
		o.after(got[0].got)
	}
}
