package sqlite

import (
	"context"
	"database/sql"
	"maps"
	"slices"
	"strconv"
	"time"

	"sitrep/channels"
	"sitrep/ledger"
)

// claimable lists a channel's deliveries that are neither leased nor behind an older
// one of the same incident and recipient, written or still to be written, the soonest
// due first, and the thread of the last one that was delivered to the recipient.
//
// Whether an older one is pending is asked only of updates that are not finished,
// which is usually none.
const claimable = `SELECT d.id, d.upd, d.due,
		CASE WHEN d.seq = 1 THEN '' ELSE coalesce((SELECT o.thread FROM deliveries o WHERE o.incident = d.incident AND o.channel = d.channel
			AND o.address = d.address AND o.seq < d.seq AND o.outcome = 'delivered' ORDER BY o.seq DESC LIMIT 1), '') END
	FROM deliveries d INDEXED BY deliveries_pending
	LEFT JOIN leases l ON l.id = d.id
	WHERE d.outcome = '' AND d.channel = ? AND (l.id IS NULL OR l.until <= ?)
	AND NOT EXISTS (SELECT 1 FROM updates b INDEXED BY updates_unfinished
		WHERE b.incident = d.incident AND b.seq < d.seq AND b.pending > 0
		AND (EXISTS (SELECT 1 FROM deliveries o WHERE o.incident = d.incident AND o.channel = d.channel
			AND o.address = d.address AND o.seq = b.seq AND o.outcome = '') OR EXISTS (SELECT 1 FROM expansions x WHERE x.upd = b.n)))`

// A bare "LIMIT ?" would have SQLite plan the query anew for each value bound.
const (
	soonest         = ` ORDER BY d.due, d.id LIMIT ? + 0`
	claimAny        = claimable + soonest
	claimOfIncident = claimable + ` AND d.incident = (SELECT n FROM incidents WHERE id = ?)` + soonest
)

// lost is what is on record of an attempt whose process ended.
const lost = "the process stopped, or lost its lease, before it could say what became of this attempt"

// Claim implements [ledger.Queue].
func (l *Ledger) Claim(ctx context.Context, r ledger.ClaimRequest) (ledger.Claimed, error) {
	var got ledger.Claimed
	err := l.write(ctx, func(t *tx) error {
		var err error
		got, err = t.claim(r)
		return err
	})
	if err != nil {
		return ledger.Claimed{}, err
	}
	return got, nil
}

// found is a claimable delivery.
type found struct {
	id, upd, due int64

	thread string
	pack   *packRow // that it is in, or nil
}

func (t *tx) claim(r ledger.ClaimRequest) (ledger.Claimed, error) {
	var got ledger.Claimed
	now := micros(r.Now)
	p, err := t.pauseOf(r.Channel, now)
	if err != nil {
		return got, err
	}
	if p != nil {
		got.Paused, r.Limit = p, 0
	}
	packs, ends, err := t.claimablePacks(r, now)
	if err != nil {
		return got, err
	}
	next, err := t.leaseEnd(r, now) // of the others: ours are not there yet
	if err != nil {
		return got, err
	}
	next = sooner(next, ends)
	all, err := t.claimables(r, now)
	if err != nil {
		return got, err
	}
	all = withPacked(all, packs, max(r.Limit, 0)+1)
	n := 0
	for n < len(all) && n < r.Limit && all[n].due <= now {
		n++
	}
	if n < len(all) {
		next = sooner(next, all[n].due)
	}
	if p != nil && next != 0 {
		next = max(next, micros(p.Until))
	}
	got.Next = instant(next)
	got.Claims, err = t.claims(all[:n], r)
	return got, err
}

// claimables returns one more than asked for: when that one is due is worth knowing.
func (t *tx) claimables(r ledger.ClaimRequest, now int64) ([]found, error) {
	limit := max(r.Limit, 0)
	query, args := claimAny, []any{r.Channel, now, limit + 1}
	if r.Incident != "" {
		query, args = claimOfIncident, []any{r.Channel, now, r.Incident, limit + 1}
	}
	all := make([]found, 0, min(limit+1, 1024))
	err := t.each(query, args, func(rows *sql.Rows) error {
		var f found
		err := rows.Scan(&f.id, &f.upd, &f.due, &f.thread)
		all = append(all, f)
		return err
	})
	return all, err
}

// claims claims deliveries that were found, in their order.
func (t *tx) claims(all []found, r ledger.ClaimRequest) ([]ledger.Claim, error) {
	if len(all) == 0 {
		return nil, nil
	}
	claims, of := make([]ledger.Claim, len(all)), make([]int64, len(all)) // of: their updates
	stored := map[int64]int{}                                             // those in rows of their own, by id
	for i := 0; i < len(all); {
		f := all[i]
		of[i] = f.upd
		if f.pack == nil {
			stored[f.id] = i
			i++
			continue
		}
		n := 1
		for i+n < len(all) && all[i+n].pack == f.pack {
			of[i+n] = f.upd
			n++
		}
		if err := t.begin(f.pack, claims[i:i+n], r); err != nil {
			return nil, err
		}
		i += n
	}
	if err := t.stored(stored, claims, of, micros(r.Now)); err != nil {
		return nil, err
	}
	for i, f := range all {
		c := &claims[i]
		c.ID, c.Channel, c.Owner = f.id, r.Channel, r.Owner
		if f.pack == nil {
			c.Thread = channels.Thread(f.thread)
		}
		c.Attempt++ // until here it counts those that were made
	}
	if err := t.identify(claims, of); err != nil {
		return nil, err
	}
	return claims, t.lease(slices.Sorted(maps.Keys(stored)), r)
}

// stored reads claims from the file.
func (t *tx) stored(at map[int64]int, claims []ledger.Claim, of []int64, now int64) error {
	if len(at) == 0 {
		return nil
	}
	ids := slices.Sorted(maps.Keys(at))
	var lapsed []lapse
	err := t.each(`SELECT d.id, d.upd, d.key, d.attempts, d.interrupted, d.reopened, d.address, d.name, d.locale, d.zone,
			d.rendering, d.fault, d.list, d.audience, d.seq, d.accepted, d.expire, coalesce(l.attempt, 0), coalesce(l.since, 0)
		FROM json_each(?) j CROSS JOIN deliveries d ON d.id = j.value LEFT JOIN leases l ON l.id = d.id`, []any{list(ids)}, func(rows *sql.Rows) error {
		c, upd, l, err := scanClaim(rows)
		claims[at[c.ID]], of[at[c.ID]] = c, upd
		if l.attempt > 0 {
			lapsed = append(lapsed, l)
		}
		return err
	})
	for _, l := range lapsed {
		if err == nil {
			c := &claims[at[l.id]]
			c.Interrupted, c.Attempt = true, l.attempt
			err = t.interrupted(l)
			t.became(now, l.id)
		}
	}
	return err
}

// lapse is a lease that has ended without a settlement.
type lapse struct {
	id, since int64
	attempt   int
}

func scanClaim(rows *sql.Rows) (c ledger.Claim, upd int64, l lapse, err error) {
	var accepted, expire int64
	var fault string
	err = rows.Scan(&c.ID, &upd, &c.Key, &c.Attempt, &c.Interrupted, &c.Reopened, &c.To.Address, &c.To.Name, &c.To.Locale, &c.To.Zone,
		&c.Rendering, &fault, &c.List, &c.Audience, &c.Seq, &accepted, &expire, &l.attempt, &l.since)
	c.Ambiguous = channels.Fault(fault) == channels.Ambiguous
	c.Accepted, c.Expire = instant(accepted), instant(expire)
	l.id = c.ID
	return c, upd, l, err
}

// identify fills in what deliveries of an update share. Most claims are of one or two
// updates, so it is read once for each of these rather than with every delivery.
func (t *tx) identify(claims []ledger.Claim, of []int64) error {
	known := map[int64]ledger.Claim{}
	updates := slices.Compact(slices.Sorted(slices.Values(of)))
	err := t.each(`SELECT u.n, i.id, u.key, u.customer, u.severity FROM json_each(?) j CROSS JOIN updates u ON u.n = j.value
		CROSS JOIN incidents i ON i.n = u.incident`, []any{list(updates)}, func(rows *sql.Rows) error {
		var n int64
		var c ledger.Claim
		err := rows.Scan(&n, &c.Incident, &c.Update, &c.Customer, &c.Severity)
		known[n] = c
		return err
	})
	for i := range claims {
		c, k := &claims[i], known[of[i]]
		c.Incident, c.Update, c.Customer, c.Severity = k.Incident, k.Update, k.Customer, k.Severity
	}
	return err
}

// lease takes those that have rows.
func (t *tx) lease(ids []int64, r ledger.ClaimRequest) error {
	if len(ids) == 0 {
		return nil
	}
	_, err := t.exec(`INSERT OR REPLACE INTO leases (id, upd, channel, owner, attempt, since, until)
		SELECT d.id, d.upd, d.channel, ?, d.attempts + 1, ?, ? FROM json_each(?) j CROSS JOIN deliveries d ON d.id = j.value`,
		r.Owner, micros(r.Now), micros(r.Until), list(ids))
	return err
}

// list is ids for json_each: one parameter for any number of rows.
func list(ids []int64) string {
	b := make([]byte, 0, 8*len(ids)+2)
	b = append(b, '[')
	for i, id := range ids {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, id, 10)
	}
	return string(append(b, ']'))
}

// interrupted puts the attempt of a lease that has ended on record, but for the feed.
func (t *tx) interrupted(l lapse) error {
	if _, err := t.exec(`UPDATE deliveries SET interrupted = 1, attempts = ? WHERE id = ?`, l.attempt, l.id); err != nil {
		return err
	}
	return t.attempt(l.id, ledger.Attempt{
		Number: l.attempt, Fault: channels.Ambiguous, Interrupted: true, Detail: lost, Started: instant(l.since),
	})
}

func (t *tx) attempt(id int64, a ledger.Attempt) error {
	_, err := t.exec(`INSERT OR REPLACE INTO attempts (delivery, number, fault, interrupted, detail, started, ended) VALUES (?,?,?,?,?,?,?)`,
		id, a.Number, string(a.Fault), a.Interrupted, a.Detail, micros(a.Started), micros(a.Ended))
	return err
}

// leaseEnd is when the first lease in force on the channel ends, or 0.
func (t *tx) leaseEnd(r ledger.ClaimRequest, now int64) (int64, error) {
	query, args := `SELECT coalesce(min(until), 0) FROM leases WHERE channel = ? AND until > ?`, []any{r.Channel, now}
	if r.Incident != "" {
		query += ` AND upd IN (SELECT u.n FROM updates u JOIN incidents i ON i.n = u.incident WHERE i.id = ?)`
		args = append(args, r.Incident)
	}
	var end int64
	_, err := t.row(query, args, []any{&end})
	return end, err
}

// sooner is the earlier of two times, of which 0 stands for never.
func sooner(a, b int64) int64 {
	if a == 0 || b == 0 {
		return max(a, b)
	}
	return min(a, b)
}

// Renew implements [ledger.Queue].
func (l *Ledger) Renew(ctx context.Context, owner string, until time.Time) error {
	return l.write(ctx, func(t *tx) error {
		for _, table := range []string{"leases", "packs"} {
			if _, err := t.exec(`UPDATE `+table+` SET until = ? WHERE owner = ? AND until < ?`, micros(until), owner, micros(until)); err != nil {
				return err
			}
		}
		return nil
	})
}
