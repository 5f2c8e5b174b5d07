package sqlite_test

import (
	"context"
	"fmt"
	"testing/synctest"
	"time"

	"sitrep/ledger"
	"sitrep/ledger/sqlite"
)

// pass lets time pass, a process end, or a clock be set.
func (w *world) pass(b *twins, handle int) {
	switch w.IntN(6) {
	case 0:
		w.now = w.now.Add(time.Duration(w.IntN(20)) * time.Minute) // beyond some leases
	case 1:
		for _, u := range w.untils {
			if u.After(w.now) {
				w.now = u.Add(time.Second)
			}
		}
	case 2:
		time.Sleep(time.Duration(1+w.IntN(5)) * time.Second) // for what rests
		synctest.Wait()
	case 3:
		b.again(handle, w.chance(50))
	case 4:
		w.now = w.now.Add(-time.Duration(w.IntN(120)) * time.Minute)
		b.one(handle, w.rewinding())
		b.one(handle, w.reading()) // leases that had ended may be in force now, with other ends
	case 5:
		// two of one owner's packs, one after the other
		b.one(handle, w.claiming())
		b.one(handle, w.settling0())
	}
	b.log = append(b.log, fmt.Sprintf("     it is %v now", w.now.Sub(at)))
}

// settling0 settles, or reads if there is nothing to settle.
func (w *world) settling0() operation {
	if o := w.settling(); o.do != nil {
		return o
	}
	return w.reading()
}

// again closes a handle, or forgets it, and opens another one.
func (b *twins) again(handle int, forget bool) {
	b.log = append(b.log, fmt.Sprintf("     handle %d is opened again; forgotten: %v", handle, forget))
	for _, s := range b.sides {
		if forget {
			s.gone = append(s.gone, s.handles[handle])
		} else if err := s.handles[handle].Close(); err != nil {
			b.Error(err)
		}
		s.open(b.T, handle)
	}
}

func (w *world) rewinding() operation {
	r := ledger.Rewind{Now: w.now, Skew: time.Minute, Most: 24 * time.Hour, Lease: time.Minute}
	return operation{name: "rewind", do: func(ctx context.Context, l *sqlite.Ledger) (any, error) { return l.Rewind(ctx, r) }}
}

func (w *world) query() ledger.DeliveryQuery {
	var q ledger.DeliveryQuery
	if _, r := w.someone(); r != nil && w.chance(40) {
		q.Update = r.Update.Key
	}
	if w.chance(20) {
		q.Incident = pick(w, w.incidents...).ID
	}
	if w.chance(20) {
		q.Outcomes = pick(w, []ledger.Outcome{ledger.Pending}, []ledger.Outcome{ledger.Delivered, ledger.Pending})
	}
	if w.chance(20) {
		q.Channel = "mail"
	}
	if w.chance(10) && len(w.keys) > 0 {
		q.After = pick(w, w.keys...)
	}
	return q
}

// reading reads something.
func (w *world) reading() operation {
	q, key := w.query(), ""
	if len(w.keys) > 0 {
		key = pick(w, w.keys...)
	}
	all := []operation{
		{name: "deliveries", do: func(ctx context.Context, l *sqlite.Ledger) (any, error) {
			var all []ledger.Delivery
			for d, err := range l.Deliveries(ctx, q) {
				if err != nil {
					return nil, err
				}
				all = append(all, d)
			}
			return all, nil
		}},
		{name: "tally", do: func(ctx context.Context, l *sqlite.Ledger) (any, error) { return l.Tally(ctx, q) }},
		{name: "delivery", do: func(ctx context.Context, l *sqlite.Ledger) (any, error) { return l.Delivery(ctx, key) }},
		{name: "attempts", do: func(ctx context.Context, l *sqlite.Ledger) (any, error) { return l.Attempts(ctx, key) }},
		{name: "updates", do: func(ctx context.Context, l *sqlite.Ledger) (any, error) { return l.Updates(ctx, ledger.UpdateQuery{}) }},
		{name: "expansions", do: func(ctx context.Context, l *sqlite.Ledger) (any, error) { return l.Expansions(ctx, "") }},
		{name: "suppressions", do: func(ctx context.Context, l *sqlite.Ledger) (any, error) { return l.Suppressions(ctx, "") }},
		{name: "changes", do: changes},
		{name: "export", do: w.exporting()},
	}
	return pick(w, all...)
}

// changes reads the feed, and sorts it by delivery.
func changes(ctx context.Context, l *sqlite.Ledger) (any, error) {
	feed, err := l.Changes(ctx, "", 1<<20)
	all := map[string][]ledger.Change{}
	for _, c := range feed {
		c.Cursor = ""
		of := c.Update + "/" + c.Delivery
		all[of] = append(all[of], c)
	}
	return all, err
}

func (w *world) exporting() func(context.Context, *sqlite.Ledger) (any, error) {
	now := w.now
	return func(ctx context.Context, l *sqlite.Ledger) (any, error) {
		var all []ledger.Row
		for r, err := range l.Export(ctx, now) {
			if err != nil {
				return nil, err
			}
			all = append(all, r)
		}
		return all, nil
	}
}
