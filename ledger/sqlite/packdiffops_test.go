package sqlite_test

import (
	"context"
	"fmt"
	"slices"
	"time"

	"sitrep/channels"
	"sitrep/ledger"
	"sitrep/ledger/sqlite"
)

// rosters are put before all else.
func (w *world) rosters() []operation {
	var all []operation
	for n := 1; n <= 4; n++ {
		all = append(all, operation{name: "roster", do: func(ctx context.Context, l *sqlite.Ledger) (any, error) {
			return nil, l.PutRoster(ctx, fmt.Sprint("roster ", n), at.AddDate(1, 0, 0), slices.Values(make([][]byte, n)))
		}})
	}
	return all
}

// step does something, or several things at once.
func (w *world) step(b *twins) {
	w.now = w.now.Add(time.Duration(w.IntN(20_000_000)) * time.Microsecond)
	handle := 0
	if w.chance(w.second) {
		handle = 1
	}
	switch n := w.IntN(100); {
	case n < 8:
		w.pass(b, handle)
	case n < 12 && !(w.calm && w.chance(80)):
		b.one(handle, w.reading())
	case n < 20:
		b.together(handle, w.several(), w.chance(30))
	case n < 23:
		b.cramped(handle, w.several())
	default:
		if o := w.writing(); o.do != nil {
			b.one(handle, o)
		}
	}
}

// several are things to do at once.
func (w *world) several() []operation {
	var all []operation
	for range 1 + w.IntN(5) {
		if o := w.writing(); o.do != nil && !o.read {
			all = append(all, o)
		}
	}
	return all
}

// writing is something that changes the ledger.
func (w *world) writing() operation {
	var o operation
	n := w.IntN(100)
	if w.calm && w.chance(70) { // nothing that unpacks
		n = pick(w, 5, 20, 40, 60, 40, 60, 40, 60, 93)
	}
	switch {
	case n < 12:
		o = w.accepting()
	case n < 16:
		o = w.extending()
	case n < 28:
		o = w.expanding()
	case n < 55:
		o = w.claiming()
	case n < 85:
		o = w.settling()
	case n < 88:
		o = w.bouncing()
	case n < 90:
		o = w.cancelling()
	case n < 92:
		o = w.reopening()
	case n < 94:
		o = w.renewing()
	case n < 97:
		o = w.pausing()
	default:
		o = w.pruning()
	}
	o.late = o.do != nil && !o.read && w.chance(8)
	return o
}

func (w *world) accepting() operation {
	if len(w.incidents) > 30 {
		w.incidents = w.incidents[20:]
	}
	if len(w.incidents) < 3 || w.chance(20) && len(w.incidents) < 8 || w.calm && w.chance(70) {
		w.happen()
	}
	h := pick(w, w.incidents...)
	if w.calm && w.chance(70) {
		h = w.incidents[len(w.incidents)-1]
	}
	r := w.report(h)
	return operation{
		name: fmt.Sprintf("accept %s of %s, %d, %d chunks", r.Update.Key, h.ID, len(r.Deliveries), r.chunks),
		do:   func(ctx context.Context, l *sqlite.Ledger) (any, error) { return l.Accept(ctx, r.Acceptance) },
		after: func(any) {
			h.Incident = r.Incident
			h.updates = append(h.updates, r)
		},
	}
}

// extending accepts an update again, most often with others.
func (w *world) extending() operation {
	_, r := w.someone()
	if r == nil {
		return operation{}
	}
	a := r.Acceptance
	a.Rest = nil
	if w.chance(60) {
		a.Deliveries = w.planned(r, pick(w, 0, 1, 3, 20))
	}
	if w.chance(30) {
		a.Update.Accepted = w.now
	}
	return operation{
		name: fmt.Sprintf("accept %s again, %d", r.Update.Key, len(a.Deliveries)),
		do:   func(ctx context.Context, l *sqlite.Ledger) (any, error) { return l.Accept(ctx, a) },
	}
}

func (w *world) expanding() operation {
	var all []*report
	for _, h := range w.incidents {
		for _, r := range h.updates {
			if r.next < r.chunks || r.chunks > 0 && w.chance(5) {
				all = append(all, r)
			}
		}
	}
	if len(all) == 0 {
		return operation{}
	}
	r := pick(w, all...)
	e := ledger.Expanded{Update: r.Update.Key, Chunk: r.next, Deliveries: w.planned(r, pick(w, 0, 2, 5, 10, 20, 20, 40)), Count: 10, Now: w.now}
	if w.chance(5) {
		e.Chunk += w.IntN(3) - 1
	}
	return operation{
		name: fmt.Sprintf("expand %s, chunk %d of %d, %d", r.Update.Key, e.Chunk, r.chunks, len(e.Deliveries)),
		do:   func(ctx context.Context, l *sqlite.Ledger) (any, error) { return l.Expand(ctx, e) },
		after: func(any) {
			if e.Chunk == r.next {
				r.next++
			}
		},
	}
}

func (w *world) claiming() operation {
	owner := pick(w, "ann", "ann", owners[w.IntN(3)])
	r := ledger.ClaimRequest{
		Channel: pick(w, "mail", "mail", "chat"), Owner: owner, Now: w.now, Until: w.until(owner), Limit: pick(w, 0, 1, 2, 3, 5, 7, 10, 20, 100),
	}
	if w.chance(30) {
		r.Incident = pick(w, w.incidents...).ID
	}
	return operation{
		name: fmt.Sprintf("claim %d for %s on %s %s until %v", r.Limit, owner, r.Channel, r.Incident, r.Until.Sub(at)),
		do:   func(ctx context.Context, l *sqlite.Ledger) (any, error) { return l.Claim(ctx, r) },
		after: func(got any) {
			w.claims = append(w.claims, got.(ledger.Claimed).Claims...)
			w.claims = w.claims[max(0, len(w.claims)-300):]
		},
	}
}

func (w *world) settling() operation {
	if len(w.claims) == 0 {
		return operation{}
	}
	var all []ledger.Settlement
	from, keep := w.IntN(len(w.claims)), w.chance(20)
	to := min(from+pick(w, 1, 2, 5, 20, 100), len(w.claims))
	usual := w.chance(50)
	for _, c := range w.claims[from:to] {
		s := arrived(c, w.now)
		if !usual {
			s = w.settlement(c)
		}
		all = append(all, s)
		if w.chance(2) {
			all = append(all, w.settlement(c))
		}
	}
	if w.chance(30) {
		w.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	}
	var ids []int64
	for _, s := range all {
		ids = append(ids, s.ID)
	}
	return operation{
		name: fmt.Sprint("settle ", ids),
		do:   func(ctx context.Context, l *sqlite.Ledger) (any, error) { return l.Settle(ctx, all) },
		after: func(any) {
			if !keep && to <= len(w.claims) {
				w.claims = slices.Delete(w.claims, from, to)
			}
		},
	}
}

func (w *world) bouncing() operation {
	if len(w.keys) == 0 {
		return operation{}
	}
	b := ledger.Bounce{Key: pick(w, w.keys...), At: w.now, Fault: channels.NoRecipient, Detail: "came back", Suppress: w.chance(50)}
	if w.chance(30) {
		b = ledger.Bounce{Key: b.Key, At: w.now, Delayed: true, Detail: ledger.NotYet}
	}
	return operation{name: "bounce " + b.Key, do: func(ctx context.Context, l *sqlite.Ledger) (any, error) {
		d, changed, err := l.Bounce(ctx, b)
		return []any{d, changed}, err
	}}
}

func (w *world) cancelling() operation {
	_, r := w.someone()
	if r == nil {
		return operation{}
	}
	now := w.now
	return operation{name: "cancel " + r.Update.Key, do: func(ctx context.Context, l *sqlite.Ledger) (any, error) { return l.Cancel(ctx, r.Update.Key, now) }}
}

func (w *world) reopening() operation {
	_, r := w.someone()
	if r == nil {
		return operation{}
	}
	now := w.now
	return operation{name: "reopen " + r.Update.Key, do: func(ctx context.Context, l *sqlite.Ledger) (any, error) {
		return l.Reopen(ctx, r.Update.Key, now, now.Add(time.Hour))
	}}
}

func (w *world) renewing() operation {
	owner := pick(w, owners...)
	until := w.until(owner).Add(time.Duration(w.IntN(5)) * time.Minute)
	return operation{
		name:  fmt.Sprint("renew ", owner, " until ", until.Sub(at)),
		do:    func(ctx context.Context, l *sqlite.Ledger) (any, error) { return nil, l.Renew(ctx, owner, until) },
		after: func(any) { w.untils[owner] = until },
	}
}

func (w *world) pausing() operation {
	p := ledger.Pause{Channel: pick(w, "mail", "chat"), Fault: channels.RateLimited, Since: w.now}
	if w.chance(40) {
		p.Until = w.now.Add(time.Duration(w.IntN(60)) * time.Second)
	}
	return operation{name: fmt.Sprint("pause ", p.Channel, p.Until), do: func(ctx context.Context, l *sqlite.Ledger) (any, error) { return nil, l.Pause(ctx, p) }}
}

// pruning drops what it may, and the world forgets what is resolved: it may be there still.
func (w *world) pruning() operation {
	before := w.now.Add(time.Hour)
	return operation{
		name: "prune", read: true,
		do: func(ctx context.Context, l *sqlite.Ledger) (any, error) { return l.Prune(ctx, before) },
		after: func(got any) {
			if got.(ledger.Pruned).Incidents > 0 {
				w.incidents = slices.DeleteFunc(w.incidents, func(h *happening) bool { return h.Status == "resolved" })
			}
		},
	}
}
