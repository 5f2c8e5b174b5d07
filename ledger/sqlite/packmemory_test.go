package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"hash/maphash"
	"reflect"
)

// RemembersPacks compares what this handle remembers of its packs, and of who has a
// delivery, with what the file says.
func (l *Ledger) RemembersPacks(ctx context.Context) error {
	return l.write(ctx, func(t *tx) error {
		all, err := t.packRows(`made = ?`, t.w.packs.made)
		if err != nil {
			return err
		}
		var wrong []error
		for i := range all {
			wrong = append(wrong, t.remembers(&all[i]))
		}
		return errors.Join(append(wrong, t.knows())...)
	})
}

func (t *tx) remembers(p *packRow) error {
	m := t.w.packs.all[p.first]
	if m == nil || t.mine(p) != m {
		return fmt.Errorf("it does not know the pack %+v: %+v", p, m)
	}
	fates, err := t.fates(p)
	if err != nil {
		return err
	}
	begun, settled := 0, 0
	for i, f := range fates {
		if f.kind != 0 {
			begun++
		}
		over := f.kind == entryDelivered || f.kind == entryRow
		if over {
			settled++
		}
		if over != m.done[i] {
			return fmt.Errorf("of the pack %+v, %d is settled: %v, and it remembers %v", p, i, over, m.done[i])
		}
	}
	if begun != p.begun || settled != p.settled {
		return fmt.Errorf("of the pack %+v %d are begun and %d settled", p, begun, settled)
	}
	if c, err := t.contentOf(p, nil); err != nil || m.content.places != nil && !reflect.DeepEqual(c, m.content) {
		return fmt.Errorf("of the pack %+v it remembers another content (%w)", p, err)
	}
	return nil
}

// knows finds recipients of which told has not heard, unless it is about to be forgotten.
func (t *tx) knows() error {
	var version int64
	if _, err := t.row(`PRAGMA data_version`, nil, []any{&version}); err != nil || version != t.w.packs.seen {
		return err
	}
	for upd, w := range t.w.packs.told {
		err := t.each(`SELECT channel, address, key FROM deliveries WHERE upd = ?`, []any{upd}, func(rows *sql.Rows) error {
			var channel, address, key string
			if err := rows.Scan(&channel, &address, &key); err != nil {
				return err
			}
			return w.heardOf(channel, address, key)
		})
		packs, bad := t.packRows(`upd = ?`, upd)
		if err = errors.Join(err, bad); err != nil {
			return err
		}
		for i := range packs {
			c, err := t.contentOf(&packs[i], nil)
			for _, p := range c.places {
				err = errors.Join(err, w.heardOf(packs[i].channel, p.address, p.key))
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *told) heardOf(channel, address, key string) error {
	_, recipient := w.who[maphash.String(w.seed, channel+"\x00"+address)]
	_, it := w.who[maphash.String(w.seed, key)]
	if !recipient || !it {
		return fmt.Errorf("it has not heard of %s, %s, %s", channel, address, key)
	}
	return nil
}

// PackTimer stops the timer of packs, and reports whether there was one.
func (l *Ledger) PackTimer() bool { return l.packs.timer != nil && l.packs.timer.Stop() }
