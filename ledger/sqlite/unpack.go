package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"strings"
	"time"

	"sitrep/ledger"
)

// unpack writes the deliveries of packs as rows, and is the end of the packs.
func (t *tx) unpack(packs []packRow) error {
	for i := range packs {
		p := &packs[i]
		if err := t.unpackOne(p); err != nil {
			return fmt.Errorf("write %d deliveries out: %w", p.count, err)
		}
		m := t.w.packs.all[p.first]
		delete(t.w.packs.all, p.first)
		if m != nil {
			t.onUndo(func() { t.w.packs.all[p.first] = m })
		}
	}
	return nil
}

// unpackWhere unpacks those that a condition picks.
func (t *tx) unpackWhere(condition string, args ...any) error {
	all, err := t.packRows(condition, args...)
	if err != nil {
		return err
	}
	return t.unpack(all)
}

func (t *tx) unpackOne(p *packRow) error {
	c, err := t.contentOf(p, nil)
	if err != nil {
		return err
	}
	fates, err := t.fates(p)
	if err != nil {
		return err
	}
	out, rows := unpacking{tx: t, p: p, c: &c}, []int64{}
	for i := range fates {
		if fates[i].kind == entryRow {
			rows = append(rows, p.first+int64(i))
		} else if err := out.add(i, &fates[i]); err != nil {
			return err
		}
	}
	if err := out.flush(); err != nil {
		return err
	}
	// What became of the others was told when it happened.
	_, err = t.exec(`INSERT INTO changes (at, upd, delivery, attempts, outcome, fault)
		SELECT settled, upd, id, attempts, outcome, '' FROM deliveries
		WHERE id BETWEEN ? AND ? AND outcome = 'delivered' AND id NOT IN (SELECT value FROM json_each(?))`,
		p.first, p.first+int64(p.count)-1, list(rows))
	if err != nil {
		return err
	}
	for _, q := range [...]string{`DELETE FROM pack_log WHERE pack = ?`, `DELETE FROM pack_contents WHERE first = ?`, `DELETE FROM packs WHERE first = ?`} {
		if _, err := t.exec(q, p.first); err != nil {
			return err
		}
	}
	return nil
}

// fates reads what became of a pack's deliveries.
func (t *tx) fates(p *packRow) ([]fate, error) {
	fates := make([]fate, p.count)
	err := t.each(`SELECT payload FROM pack_log WHERE pack = ? ORDER BY n`, []any{p.first}, func(rows *sql.Rows) error {
		var b sql.RawBytes
		if err := rows.Scan(&b); err != nil {
			return err
		}
		return replay(b, fates)
	})
	return fates, err
}

// unpacking is deliveries of a pack on their way into rows. Those that have their class
// and outcome in common wait for one another.
type unpacking struct {
	*tx
	p *packRow
	c *content

	waiting map[kin]*[]any
}

// kin is what rows that are added together have in common.
type kin struct {
	class     int
	delivered bool
}

var (
	unpackOne  = unpackQuery(1)
	unpackMany = unpackQuery(together)
)

const (
	unpackShared = 13 // parameters of a statement that are the same for all its rows
	unpackOwn    = 8

	leaseNew = `INSERT INTO leases (id, upd, channel, owner, attempt, since, until) VALUES (?,?,?,?,1,?,?)`
)

// unpackQuery adds n deliveries of a pack. OR FAIL: see insertion.
func unpackQuery(n int) string {
	const row = `(?1,?2,?3,?4,?5,?5,?6,?7,?8,?9,?10,?11,?12,?13,?,?,?,?,?,?,?,?)`
	return `INSERT OR FAIL INTO deliveries (upd, incident, seq, channel, accepted, due, rendering, expire, outcome, attempts,
		list, audience, locale, zone, id, settled, address, key, name, remote, permalink, thread) VALUES ` + strings.Repeat(row+`,`, n-1) + row
}

// add writes one, at the latest with flush.
func (u *unpacking) add(i int, f *fate) error {
	id, of := u.p.first+int64(i), kin{u.c.places[i].class, f.kind == entryDelivered}
	var settled int64
	switch f.kind {
	case entryDelivered:
		settled = f.at
	case entryClaimed:
		if _, err := u.exec(leaseNew, id, u.p.upd, u.p.channel, u.p.owner, f.at, u.p.until); err != nil {
			return err
		}
	}
	args := u.of(of)
	*args = append(*args, id, settled, u.c.places[i].address, u.c.places[i].key, u.c.places[i].name, f.remote, f.permalink, f.thread)
	if len(*args) < unpackShared+together*unpackOwn {
		return nil
	}
	_, err := u.exec(unpackMany, *args...)
	*args = (*args)[:unpackShared]
	return err
}

// of are the arguments of those that wait.
func (u *unpacking) of(k kin) *[]any {
	if args := u.waiting[k]; args != nil {
		return args
	}
	outcome, attempts := ledger.Pending, 0
	if k.delivered {
		outcome, attempts = ledger.Delivered, 1
	}
	p, c := u.p, &u.c.classes[k.class]
	args := append(make([]any, 0, unpackShared+together*unpackOwn), p.upd, p.incident, p.seq, p.channel, p.accepted,
		c.rendering, c.expire, string(outcome), attempts, c.list, c.audience, c.locale, c.zone)
	if u.waiting == nil {
		u.waiting = map[kin]*[]any{}
	}
	u.waiting[k] = &args
	return &args
}

// flush writes those that wait.
func (u *unpacking) flush() error {
	for _, args := range u.waiting {
		shared, rest := (*args)[:unpackShared:unpackShared], (*args)[unpackShared:]
		for ; len(rest) > 0; rest = rest[unpackOwn:] {
			if _, err := u.exec(unpackOne, append(shared, rest[:unpackOwn]...)...); err != nil {
				return err
			}
		}
	}
	return nil
}

// unpackMade unpacks all that this handle has made. Whoever calls it has the turn to write.
func (w *writer) unpackMade() error {
	for len(w.packs.all) > 0 {
		j := &job{ctx: context.Background(), work: func(t *tx) error { return t.unpackOldest(time.Now().Add(packLife)) }, done: make(chan struct{})}
		g := group{w: w}
		g.run(j)
		g.commit()
		if j.err != nil {
			return fmt.Errorf("some deliveries could not be written out, and stay together for whoever opens the ledger next: %w", j.err)
		}
	}
	return nil
}

// unpackOldest unpacks the pack that is due first, if it is by then.
func (t *tx) unpackOldest(by time.Time) error {
	var oldest int64
	var p *pack
	for first, q := range t.w.packs.all {
		if p == nil || q.due().Before(p.due()) {
			oldest, p = first, q
		}
	}
	if p == nil || p.due().After(by) {
		return nil
	}
	delete(t.w.packs.all, oldest) // it may be gone from the file
	t.onUndo(func() {
		p.born, p.touched = time.Now(), time.Now() // the others first, if it is this one that cannot be written out
		t.w.packs.all[oldest] = p
	})
	return t.unpackWhere(`first = ? AND made = ?`, oldest, t.w.packs.made)
}

// unpackLater has packs unpacked when they are due. It is called by whoever has the
// turn to write.
func (w *writer) unpackLater() {
	if len(w.packs.all) == 0 || w.packs.later || w.gone {
		return
	}
	w.packs.later = true
	w.packs.timer = time.AfterFunc(packRest, w.unpackDue)
}

// unpackDue unpacks what is due. An error is left to whoever reads next, who has it
// as well.
func (w *writer) unpackDue() {
	for before, left := -1, math.MaxInt; left != before; {
		before = left
		err := w.writeAlone(context.Background(), func(t *tx) error {
			err := t.unpackOldest(time.Now())
			left = len(w.packs.all)
			return err
		})
		if err != nil {
			break
		}
	}
	w.turn <- struct{}{}
	defer func() { <-w.turn }()
	w.packs.later = false
	w.unpackLater()
}
