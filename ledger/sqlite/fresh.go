package sqlite

import (
	"slices"
	"time"

	"sitrep/ledger"
)

// fresh is what this process wrote down a moment ago, by the deliveries' keys: it need
// not be read back when it is claimed. Whether a delivery may be claimed is asked of the
// file all the same, and nothing is kept here that can change: see found.plain.
//
// It is used only by whoever has the turn to write. When something is rolled back all is
// forgotten, for another process may accept the same deliveries; and where a delivery was
// pruned and accepted once more, they tell by its update, its rendering and the time: see row.is.
type fresh struct {
	rows  map[string]*row
	asked time.Time // when something was found last
}

// row is a delivery as it was written.
type row struct {
	upd       int64
	rendering int64
	seq       int
	accepted  int64
	*ledger.Planned
}

const (
	// A lane holds fewer, and chunks are a quarter of it.
	freshMost = 4096
	// What nobody has asked for is another process's by then.
	freshFor = 10 * time.Second
)

// remember keeps what was just written, as long as there is room.
func (in *intake) remember(all []ledger.Planned) {
	f := &in.w.fresh
	if len(f.rows)+len(all) > freshMost {
		if time.Since(f.asked) < freshFor {
			return
		}
		f.rows = nil
	}
	if f.rows == nil {
		f.rows, f.asked = make(map[string]*row, freshMost), time.Now()
	}
	rows, mine := make([]row, len(all)), slices.Clone(all)
	for i := range mine {
		rows[i] = row{upd: in.upd, rendering: in.renderings[mine[i].Rendering], seq: in.seq, accepted: in.at, Planned: &mine[i]}
		f.rows[mine[i].Key] = &rows[i]
	}
}

// forget forgets everything.
func (f *fresh) forget() { f.rows = nil }

// is reports that r is what was found, and not one of the same key that was there before.
func (r *row) is(f found) bool {
	return f.plain && r.upd == f.upd && r.rendering == f.rendering && r.accepted == f.accepted
}

// take returns a row, and forgets it: a delivery is claimed for its first attempt once.
func (f *fresh) take(key string) (*row, bool) {
	r, known := f.rows[key]
	if known {
		delete(f.rows, key)
		f.asked = time.Now()
	}
	return r, known
}

// claim is the claim of a delivery that was never tried.
func (r *row) claim() ledger.Claim {
	return ledger.Claim{
		Key: r.Key, To: r.To, Rendering: r.rendering, List: r.List, Audience: r.Audience, Seq: r.seq,
		Accepted: instant(r.accepted), Expire: instant(micros(r.Expire)),
	}
}
