package sqlite

import (
	"time"

	"sitrep/ledger"
)

// packing finds out whether deliveries of this intake may be packed. If not, no pack is
// left that they may have anything to do with, and of this update none is made any more.
func (in *intake) packing() (bool, error) {
	low, high := keyRange(in.a.Deliveries)
	if err := in.evade(low, high); err != nil {
		return false, err
	}
	may, err := in.mayPack(low, high)
	if err != nil || may {
		return may, err
	}
	in.w.packs.forget(in.upd)
	return false, in.unpackWhere(`incident = ?`, in.incident)
}

// mayPack reports whether nothing stands in the way of a pack: all deliveries of the
// update are known here, and everybody in this intake is new; the update is its incident's
// latest, and no older one is unfinished; and no delivery of another update has one of the
// keys.
func (in *intake) mayPack(low, high string) (bool, error) {
	w := in.w.packs.told[in.upd]
	if w == nil || in.got.Duplicate || in.late || in.cancelled {
		return false, nil
	}
	upd := in.upd
	in.onUndo(func() { in.w.packs.forget(upd) })
	if len(in.a.Deliveries) == 0 {
		return true, nil
	}
	if !w.add(in.a.Deliveries) {
		return false, nil
	}
	alone, err := in.row(`SELECT 1 FROM incidents i WHERE i.n = ? AND i.seq = ? AND NOT EXISTS (
		SELECT 1 FROM updates b INDEXED BY updates_unfinished WHERE b.incident = i.n AND b.seq < i.seq AND b.pending > 0)`,
		[]any{in.incident, in.seq}, []any{new(int)})
	if !alone || err != nil {
		return false, err
	}
	return in.reserve(w, low, high)
}

// pack makes a pack of the first of all, if enough of them are alike, and returns how many
// it took.
func (in *intake) pack(all []ledger.Planned) (int, error) {
	n := 0
	for n < min(len(all), packMost) && all[n].Suppressed == "" && all[n].Channel == all[0].Channel {
		n++
	}
	if n < max(in.w.packs.least, 2) || in.packsFull() {
		return 0, nil
	}
	for i := range all[:n] {
		if _, err := in.rendering(all[i].Rendering); err != nil {
			return 0, err
		}
	}
	var first int64
	if _, err := in.row(`SELECT coalesce(max(id), 0) + 1 FROM deliveries`, nil, []any{&first}); err != nil {
		return 0, err
	}
	if err := in.writePack(first, all[:n-1]); err != nil {
		return 0, err
	}
	if err := in.anchor(first+int64(n)-1, &all[n-1]); err != nil {
		return 0, err
	}
	in.got.Added += n
	in.pending += n
	in.last = first + int64(n) - 1
	if in.first == 0 {
		in.first = first
	}
	return n, nil
}

// packsFull reports that enough of them wait to be unpacked.
func (in *intake) packsFull() bool { return len(in.w.packs.all) >= packsMost }

func (in *intake) writePack(first int64, all []ledger.Planned) error {
	low, high := keyRange(all)
	_, err := in.exec(`INSERT INTO packs (first, count, made, upd, incident, seq, channel, accepted, low, high) VALUES (?,?,?,?,?,?,?,?,?,?)`,
		first, len(all), in.w.packs.made, in.upd, in.incident, in.seq, all[0].Channel, in.at, low, high)
	if err != nil {
		return err
	}
	_, err = in.exec(`INSERT INTO pack_contents (first, payload) VALUES (?,?)`, first, encodeContent(all, in.renderings))
	if err != nil {
		return err
	}
	now := time.Now()
	in.w.packs.all[first] = &pack{done: make([]bool, len(all)), born: now, touched: now}
	in.onUndo(func() { delete(in.w.packs.all, first) })
	return nil
}

// anchor adds the last delivery of a pack.
func (in *intake) anchor(id int64, p *ledger.Planned) error {
	_, err := in.exec(`INSERT INTO deliveries (id, `+deliveryValues+`) VALUES (?,?,?,?,?,?,?,?,?,'',0,'',?,?,?,?,?,?,?)`,
		id, in.upd, in.incident, in.seq, in.renderings[p.Rendering], in.at, in.at, p.Channel, micros(p.Expire),
		p.List, p.Audience, p.To.Locale, p.To.Zone, p.To.Address, p.Key, p.To.Name)
	return err
}
