package dispatcher

import (
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"sitrep/ledger"
)

// Results are recorded together: at once when there is nothing to wait for, after a
// moment when there is, and as many as fit one write.
func TestResultsAreGrouped(t *testing.T) {
	for _, tc := range []struct {
		name string
		open int64
		puts int
		want []int           // how many are written at a time
		took []time.Duration // and when
	}{
		{"the only one", 1, 1, []int{1}, []time.Duration{0}},
		{"all that are under way", 5, 5, []int{5}, []time.Duration{0}},
		{"others are under way", 9, 5, []int{5}, []time.Duration{linger}},
		{"as many as fit, and the rest", 1000, settleMost + 3, []int{settleMost, 3}, []time.Duration{0, linger}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var sizes []int
				var times []time.Duration
				began := time.Now()
				c := crewOn(t, &queue{settle: func(s []ledger.Settlement) error {
					sizes, times = append(sizes, len(s)), append(times, time.Since(began))
					return nil
				}})
				c.open.Store(tc.open)
				ended := make(chan error, 1)
				go func() { ended <- c.settler.run(t.Context()) }()
				for i := range tc.puts {
					row := ledger.Settlement{ID: int64(i), Outcome: ledger.Delivered}
					c.settler.put(c.lanes[0], &ledger.Claim{ID: int64(i)}, &row)
				}
				time.Sleep(time.Second)
				synctest.Wait()
				c.settler.close()
				if err := <-ended; err != nil {
					t.Error(err)
				}
				if !slices.Equal(sizes, tc.want) || !slices.Equal(times, tc.took) {
					t.Errorf("written %d after %s, want %d after %s", sizes, times, tc.want, tc.took)
				}
				if got := c.open.Load(); got != tc.open-int64(tc.puts) {
					t.Errorf("%d are left to be settled, want %d", got, tc.open-int64(tc.puts))
				}
			})
		})
	}
}

// While the ledger cannot be written, no more is taken than it is tried with and fits the
// inbox: whoever brings more waits. Then everything is written once, in order, and what
// a write that failed was given has not changed under its eyes.
func TestResultsWaitForTheLedger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 5 * settleMost
		var failed [][]ledger.Settlement
		var written []int64
		var broken atomic.Bool
		broken.Store(true)
		c := crewOn(t, &queue{settle: func(s []ledger.Settlement) error {
			if broken.Load() {
				failed = append(failed, s)
				return errors.New("disk full")
			}
			for _, x := range s {
				written = append(written, x.ID)
			}
			return nil
		}})
		c.open.Store(n)
		ended := make(chan error, 1)
		go func() { ended <- c.settler.run(t.Context()) }()
		var put int
		go func() {
			for i := range n {
				row := ledger.Settlement{ID: int64(i), Outcome: ledger.Delivered}
				c.settler.put(c.lanes[0], &ledger.Claim{}, &row)
				put++
			}
			c.settler.close()
		}()
		time.Sleep(time.Minute)
		synctest.Wait()
		if put != 2*settleMost {
			t.Errorf("%d results were taken while none could be written, want %d", put, 2*settleMost)
		}
		broken.Store(false)
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if len(written) != n || !slices.IsSorted(written) {
			t.Errorf("%d were written, want %d in order", len(written), n)
		}
		for _, rows := range failed {
			for i, x := range rows {
				if x.ID != int64(i) {
					t.Fatalf("row %d of a write that was given up is now %d", i, x.ID)
				}
			}
		}
	})
}
