package sqlite

import (
	"time"

	"sitrep/ledger"
)

// settlePacked records the settlements of deliveries that are in packs: in verdicts where
// they went as most do, and in done by update; the others have rows when it returns, and
// are left to whoever settles rows.
func (t *tx) settlePacked(all []ledger.Settlement, verdicts []ledger.Verdict, done map[int64]int) error {
	packs, err := t.packRows(`true`)
	if err != nil {
		return err
	}
	for i := range packs {
		p := &packs[i]
		its := within(p, all)
		if len(its) == 0 {
			continue
		}
		m := t.mine(p)
		if m == nil {
			err = t.unpack(packs[i : i+1])
		} else {
			err = t.settleIn(p, m, all, its, verdicts, done)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// within are those of all that are about a delivery of a pack.
func within(p *packRow, all []ledger.Settlement) []int {
	var its []int
	for i := range all {
		if p.has(all[i].ID) {
			its = append(its, i)
		}
	}
	return its
}

// settleIn records those of one pack, which are its.
func (t *tx) settleIn(p *packRow, m *pack, all []ledger.Settlement, its []int, verdicts []ledger.Verdict, done map[int64]int) error {
	delivered, rows := append(make([]byte, 0, 128*len(its)), entryDelivered), []byte{entryRow}
	var gone []int
	t.keep(m)
	for _, i := range its {
		s, place := &all[i], int(all[i].ID-p.first)
		if s.Attempt != 1 || s.Owner != p.owner || place >= m.begun || m.done[place] {
			continue // the lease is somebody else's, or was never given
		}
		m.done[place] = true
		m.settled++
		if asUsual(*s) {
			clean := s.Clean()
			delivered = appendDelivered(delivered, place, &clean)
			verdicts[i] = ledger.Verdict{Applied: true, Outcome: ledger.Delivered}
			done[p.upd]++
		} else {
			rows = appendPlace(rows, place)
			gone = append(gone, place)
		}
	}
	for _, entry := range [][]byte{delivered, rows} {
		if len(entry) > 1 {
			if err := t.noted(p.first, entry); err != nil {
				return err
			}
		}
	}
	if err := t.takeOut(p, m, gone); err != nil {
		return err
	}
	_, err := t.exec(`UPDATE packs SET settled = ? WHERE first = ?`, m.settled, p.first)
	if m.settled == p.count {
		m.content = content{}
	}
	return err
}

// keep has what is remembered of a pack taken back with the transaction.
func (t *tx) keep(m *pack) {
	was := *m
	was.done = append([]bool{}, m.done...)
	m.touched = time.Now()
	t.onUndo(func() { *m = was })
}

// takeOut gives deliveries of a pack rows of their own. They are leased only for as long as
// it takes to settle them, which is at once: since when does not matter.
func (t *tx) takeOut(p *packRow, m *pack, places []int) error {
	if len(places) == 0 {
		return nil
	}
	c, err := t.contentOf(p, m)
	if err != nil {
		return err
	}
	out := unpacking{tx: t, p: p, c: &c}
	for _, i := range places {
		if err := out.add(i, &fate{kind: entryClaimed}); err != nil {
			return err
		}
	}
	return out.flush()
}
