package sqlite

import (
	"hash/maphash"

	"sitrep/ledger"
)

// told is who has a delivery of an update, where this handle has written all of them, and
// nobody else has written anything to the file meanwhile.
// Two recipients may be taken for one, so that nothing is packed; one is never taken for
// two.
type told struct {
	seed maphash.Seed
	who  map[uint64]struct{} // recipients and keys
	n    int

	// No delivery of another update has a key from low to high. Both are empty while
	// nobody has looked.
	low, high string
}

const (
	// What comes after so many deliveries of an update is not packed.
	toldMost = 1 << 18
	// So many updates may be on their way at a time.
	toldUpdates = 16
)

// heed forgets whom updates have told if somebody else has written to the file since: they
// may have told more. (PRAGMA data_version is another number then.)
func (in *intake) heed() error {
	var version int64
	_, err := in.row(`PRAGMA data_version`, nil, []any{&version})
	if version != in.w.packs.seen {
		clear(in.w.packs.told)
	}
	in.w.packs.seen = version
	return err
}

// account begins to keep account of a new update.
func (in *intake) account() {
	all := in.w.packs.told
	if len(all) >= toldUpdates {
		clear(all)
	}
	size := len(in.a.Deliveries)
	if in.a.Rest != nil {
		size += in.a.Rest.Count
	}
	all[in.upd] = &told{seed: maphash.MakeSeed(), who: make(map[uint64]struct{}, 2*min(size, toldMost))}
	upd := in.upd
	in.onUndo(func() { delete(all, upd) })
}

// forget ends the account of an update, of which no more packs are made.
func (p *packs) forget(upd int64) { delete(p.told, upd) }

// add notes deliveries and reports whether each is certainly another one than all the
// others.
func (w *told) add(all []ledger.Planned) bool {
	if w.n += len(all); w.n > toldMost {
		return false
	}
	before := len(w.who)
	var h maphash.Hash
	h.SetSeed(w.seed)
	for i := range all {
		p := &all[i]
		h.Reset()
		_, _ = h.WriteString(p.Channel) // a hash takes everything
		_ = h.WriteByte(0)
		_, _ = h.WriteString(p.To.Address)
		w.who[h.Sum64()] = struct{}{}
		w.who[maphash.String(w.seed, p.Key)] = struct{}{}
	}
	return len(w.who) == before+2*len(all)
}

// keyRange is the first and the last of the keys; of none both are empty.
func keyRange(all []ledger.Planned) (low, high string) {
	for i := range all {
		k := all[i].Key
		if i == 0 || k < low {
			low = k
		}
		high = max(high, k)
	}
	return low, high
}

// evade unpacks the packs of other updates among which one of these keys may be, and no
// more packs of these updates are made.
func (in *intake) evade(low, high string) error {
	for upd, w := range in.w.packs.told {
		if upd != in.upd && low <= w.high && high >= w.low {
			in.w.packs.forget(upd)
		}
	}
	return in.unpackWhere(`upd <> ? AND low <= ? AND high >= ?`, in.upd, high, low)
}

// reserve makes sure that no delivery of another update has a key from low to high.
func (in *intake) reserve(w *told, low, high string) (bool, error) {
	spans := [][2]string{{low, high}}
	if w.high != "" {
		spans = [][2]string{{low, w.low}, {w.high, high}} // the rest is known
	}
	for _, s := range spans {
		if s[0] > s[1] {
			continue
		}
		taken, err := in.row(`SELECT 1 FROM deliveries WHERE key >= ? AND key <= ? AND upd <> ? LIMIT 1`,
			[]any{s[0], s[1], in.upd}, []any{new(int)})
		if taken || err != nil {
			return false, err
		}
	}
	if w.high == "" {
		w.low, w.high = low, high
	}
	w.low, w.high = min(w.low, low), max(w.high, high)
	return true, nil
}
