package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strconv"
	"time"

	"sitrep/channels"
	"sitrep/ledger"
)

// claimable lists a channel's deliveries that are neither leased nor behind an older
// one of the same incident and recipient, written or still to be written, the soonest
// due first.
//
// Whether an older one is pending is asked only of updates that are not finished,
// which is usually none.
const claimable = `SELECT d.id, d.upd, d.key, d.due, d.attempts, d.interrupted, d.reopened, d.address, d.name, d.locale, d.zone,
		d.rendering, d.fault, d.list, d.audience, d.seq, d.accepted, d.expire, coalesce(l.attempt, 0), coalesce(l.since, 0),
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
	ledger.Claim
	upd, due       int64
	attempts       int   // settled ones
	leased, leaseN int64 // of a lease that has ended: since when, which attempt
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
	next, err := t.leaseEnd(r, now) // of the others: ours are not there yet
	if err != nil {
		return got, err
	}
	all, err := t.claimables(r, now)
	if err != nil {
		return got, err
	}
	of := make([]int64, 0, len(all)) // the updates of the claims
	for _, f := range all {
		if len(got.Claims) >= r.Limit || f.due > now {
			next = sooner(next, f.due)
			break
		}
		if f.leaseN > 0 {
			if err := t.interrupted(&f); err != nil {
				return got, err
			}
			t.became(now, f.ID)
		}
		f.Attempt = f.attempts + 1
		got.Claims = append(got.Claims, f.Claim)
		of = append(of, f.upd)
	}
	if p != nil && next != 0 {
		next = max(next, micros(p.Until))
	}
	got.Next = instant(next)
	return got, errors.Join(t.identify(got.Claims, of), t.lease(got.Claims, r))
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

// claimables returns one more than asked for: when that one is due is worth knowing.
func (t *tx) claimables(r ledger.ClaimRequest, now int64) ([]found, error) {
	limit := max(r.Limit, 0)
	query, args := claimAny, []any{r.Channel, now, limit + 1}
	if r.Incident != "" {
		query, args = claimOfIncident, []any{r.Channel, now, r.Incident, limit + 1}
	}
	all := make([]found, 0, min(limit+1, 1024))
	err := t.each(query, args, func(rows *sql.Rows) error {
		f, err := scanFound(rows)
		f.Channel, f.Owner = r.Channel, r.Owner
		all = append(all, f)
		return err
	})
	return all, err
}

func scanFound(rows *sql.Rows) (found, error) {
	var f found
	var accepted, expire int64
	var fault, thread string
	err := rows.Scan(&f.ID, &f.upd, &f.Key, &f.due, &f.attempts, &f.Interrupted, &f.Reopened, &f.To.Address, &f.To.Name, &f.To.Locale, &f.To.Zone,
		&f.Rendering, &fault, &f.List, &f.Audience, &f.Seq, &accepted, &expire,
		&f.leaseN, &f.leased, &thread)
	f.Ambiguous = channels.Fault(fault) == channels.Ambiguous
	f.Thread = channels.Thread(thread)
	f.Accepted, f.Expire = instant(accepted), instant(expire)
	return f, err
}

// lease takes them all.
func (t *tx) lease(claims []ledger.Claim, r ledger.ClaimRequest) error {
	if len(claims) == 0 {
		return nil
	}
	ids := make([]int64, len(claims))
	for i, c := range claims {
		ids[i] = c.ID
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
func (t *tx) interrupted(f *found) error {
	f.Interrupted, f.attempts = true, int(f.leaseN)
	if _, err := t.exec(`UPDATE deliveries SET interrupted = 1, attempts = ? WHERE id = ?`, f.leaseN, f.ID); err != nil {
		return err
	}
	return t.attempt(f.ID, ledger.Attempt{
		Number: int(f.leaseN), Fault: channels.Ambiguous, Interrupted: true, Detail: lost, Started: instant(f.leased),
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

func sooner(a, b int64) int64 {
	if a == 0 {
		return b
	}
	return min(a, b)
}

// Renew implements [ledger.Queue].
func (l *Ledger) Renew(ctx context.Context, owner string, until time.Time) error {
	return l.write(ctx, func(t *tx) error {
		_, err := t.exec(`UPDATE leases SET until = ? WHERE owner = ? AND until < ?`, micros(until), owner, micros(until))
		return err
	})
}
