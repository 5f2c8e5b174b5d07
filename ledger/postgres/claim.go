package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"sitrep/channels"
	"sitrep/ledger"
)

// Whether an older delivery of the same incident and recipient is pending is asked
// only of updates that are not finished, which is usually none.
const (
	free = ` d.outcome = '' AND NOT EXISTS (SELECT 1 FROM leases l WHERE l.id = d.id AND l.until > $2)
		AND NOT EXISTS (SELECT 1 FROM unfinished b JOIN deliveries o ON o.incident = d.incident AND o.channel = d.channel
			AND o.address = d.address AND o.seq = b.seq AND o.outcome = ''
			WHERE b.incident = d.incident AND b.seq < d.seq)`

	ofIncident = ` AND d.incident = (SELECT n FROM incidents WHERE id = $4)`

	// candidates locks what can be claimed, the soonest due first, and skips what
	// somebody else has locked.
	candidates = `SELECT d.id, d.due FROM deliveries d WHERE d.channel = $1 AND d.due <= $2 AND` + free
	soonest    = ` ORDER BY d.due, d.id LIMIT $3 FOR UPDATE OF d SKIP LOCKED`
)

// take leases candidates. They are locked, so this statement sees what became of them
// until then: one that was claimed while we waited for our snapshot is left out.
const take = `WITH ours AS MATERIALIZED (
		SELECT d.*, coalesce(l.attempt, 0) AS lost, coalesce(l.since, 0) AS lost_since
		FROM unnest($1::bigint[]) AS x(id) JOIN deliveries d ON d.id = x.id LEFT JOIN leases l ON l.id = d.id
		WHERE d.due <= $2 AND` + free + `),
	taken AS (
		INSERT INTO leases AS t (id, channel, owner, attempt, since, until)
		SELECT id, channel, $3, greatest(attempts, lost) + 1, $2, $4 FROM ours
		ON CONFLICT (id) DO UPDATE SET owner = excluded.owner, attempt = excluded.attempt, since = excluded.since, until = excluded.until)
	SELECT d.id, d.key, greatest(d.attempts, d.lost) + 1, d.interrupted, d.reopened, d.address, d.name, d.locale, d.zone,
		d.rendering, d.fault, d.list, d.audience, d.seq, d.accepted, d.expire, i.id, u.key, u.customer, u.severity, d.lost, d.lost_since,
		CASE WHEN d.seq = 1 THEN '' ELSE coalesce((SELECT o.thread FROM deliveries o WHERE o.incident = d.incident AND o.channel = d.channel
			AND o.address = d.address AND o.seq < d.seq AND o.outcome = 'delivered' ORDER BY o.seq DESC LIMIT 1), '') END
	FROM ours d JOIN updates u ON u.n = d.id >> 24 JOIN incidents i ON i.n = d.incident
	ORDER BY d.due, d.id`

// waiting finds when the first lease in force ends, and when the first delivery that
// nobody has is due, among those that were not claimed now.
const (
	leaseEnds = `SELECT coalesce((SELECT min(l.until) FROM leases l WHERE l.channel = $1 AND l.until > $2 AND l.id <> ALL($3)), 0)`
	leaseEnd4 = `SELECT coalesce((SELECT min(l.until) FROM leases l JOIN deliveries d ON d.id = l.id
		WHERE l.channel = $1 AND l.until > $2 AND l.id <> ALL($3)` + ofIncident + `), 0)`
	dueBegin = `, coalesce((SELECT d.due FROM deliveries d WHERE d.channel = $1 AND d.id <> ALL($3) AND` + free
	dueEnd   = ` ORDER BY d.due, d.id LIMIT 1), 0)`
)

// lost is what is on record of an attempt whose process ended.
const lost = "the process stopped, or lost its lease, before it could say what became of this attempt"

// collision is how long to wait for somebody who is claiming what is due at this
// moment, and may yet leave it.
const collision = 20 * time.Millisecond

// Claim implements [ledger.Queue].
func (l *Ledger) Claim(ctx context.Context, r ledger.ClaimRequest) (ledger.Claimed, error) {
	var got ledger.Claimed
	err := l.write(ctx, func(t *tx) error {
		got = ledger.Claimed{}
		c := claim{tx: t, r: r, now: micros(r.Now), got: &got}
		return c.run()
	})
	if err != nil {
		return ledger.Claimed{}, err
	}
	return got, nil
}

// claim is one request under way.
type claim struct {
	*tx
	r   ledger.ClaimRequest
	now int64
	got *ledger.Claimed
}

func (c *claim) run() error {
	limit := max(c.r.Limit, 0)
	found, err := c.look(limit)
	if err != nil {
		return err
	}
	if p := c.got.Paused; p != nil {
		next, err := c.waiting(nil)
		if next != 0 {
			c.got.Next = instant(max(next, micros(p.Until)))
		}
		return err
	}
	ids := make([]int64, 0, len(found))
	for _, d := range found[:min(limit, len(found))] {
		ids = append(ids, d.id)
	}
	if err := c.take(ids); err != nil {
		return err
	}
	if len(found) > limit {
		c.got.Next = instant(found[limit].due)
		return nil
	}
	next, err := c.waiting(ids)
	if next != 0 && next <= c.now {
		next = c.now + collision.Microseconds()
	}
	c.got.Next = instant(next)
	return err
}

// candidate is a delivery that could be claimed and is locked.
type candidate struct{ id, due int64 }

// look finds the channel's pause and, if it has none, one candidate more than limit:
// when that one is due is worth knowing.
func (c *claim) look(limit int) ([]candidate, error) {
	var all []candidate
	var b pgx.Batch
	b.Queue(pauseQuery, c.r.Channel, c.now).Query(func(rows pgx.Rows) error {
		return drain(rows, nil, func(rows pgx.Rows) (err error) {
			c.got.Paused, err = scanPause(rows)
			return err
		})
	})
	query, args := candidates+soonest, []any{c.r.Channel, c.now, limit + 1}
	if c.r.Incident != "" {
		query, args = candidates+ofIncident+soonest, append(args, c.r.Incident)
	}
	b.Queue(query, args...).Query(func(rows pgx.Rows) error {
		return drain(rows, nil, func(rows pgx.Rows) error {
			var d candidate
			err := rows.Scan(&d.id, &d.due)
			all = append(all, d)
			return err
		})
	})
	err := c.together(&b)
	return all, err
}

// take claims candidates.
func (c *claim) take(ids []int64) error {
	if len(ids) == 0 {
		return nil
	}
	var broken attempts
	c.got.Claims = make([]ledger.Claim, 0, len(ids))
	err := c.each(take, []any{ids, c.now, c.r.Owner, micros(c.r.Until)}, func(rows pgx.Rows) error {
		x, lease, err := scanClaim(rows)
		x.Channel, x.Owner = c.r.Channel, c.r.Owner
		if lease.attempt > 0 {
			x.Interrupted = true
			broken.add(x.ID, ledger.Attempt{
				Number: lease.attempt, Fault: channels.Ambiguous, Interrupted: true, Detail: lost, Started: instant(lease.since),
			})
		}
		c.got.Claims = append(c.got.Claims, x)
		return err
	})
	if err != nil {
		return err
	}
	if len(c.got.Claims) == 0 {
		c.got.Claims = nil
	}
	return c.interrupted(&broken)
}

// oldLease is one that has ended and was not settled.
type oldLease struct {
	attempt int
	since   int64
}

func scanClaim(rows pgx.Rows) (ledger.Claim, oldLease, error) {
	var c ledger.Claim
	var l oldLease
	var accepted, expire int64
	var fault, thread string
	err := rows.Scan(&c.ID, &c.Key, &c.Attempt, &c.Interrupted, &c.Reopened, &c.To.Address, &c.To.Name, &c.To.Locale, &c.To.Zone,
		&c.Rendering, &fault, &c.List, &c.Audience, &c.Seq, &accepted, &expire, &c.Incident, &c.Update, &c.Customer, &c.Severity,
		&l.attempt, &l.since, &thread)
	c.Ambiguous = channels.Fault(fault) == channels.Ambiguous
	c.Thread = channels.Thread(thread)
	c.Accepted, c.Expire = instant(accepted), instant(expire)
	return c, l, err
}

// interrupted puts the attempts of leases that have ended on record.
func (t *tx) interrupted(a *attempts) error {
	if len(a.deliveries) == 0 {
		return nil
	}
	err := t.exec(`UPDATE deliveries d SET interrupted = true, attempts = x.n
		FROM unnest($1::bigint[], $2::bigint[]) AS x(id, n) WHERE d.id = x.id`, a.deliveries, a.numbers)
	if err != nil {
		return err
	}
	return t.record(a)
}

// waiting is when it is worth asking again but for what was claimed now, or 0.
func (c *claim) waiting(claimed []int64) (int64, error) {
	if claimed == nil {
		claimed = []int64{} // not NULL, which is never unequal
	}
	query, args := leaseEnds+dueBegin+dueEnd, []any{c.r.Channel, c.now, claimed}
	if c.r.Incident != "" {
		query, args = leaseEnd4+dueBegin+ofIncident+dueEnd, append(args, c.r.Incident)
	}
	var lease, due int64
	if _, err := c.row(query, args, []any{&lease, &due}); err != nil {
		return 0, err
	}
	if lease == 0 || due == 0 {
		return lease + due, nil
	}
	return min(lease, due), nil
}

// Renew implements [ledger.Queue]. It passes over a lease that is being settled or
// taken over at this moment.
func (l *Ledger) Renew(ctx context.Context, owner string, until time.Time) error {
	return l.write(ctx, func(t *tx) error {
		return t.exec(`UPDATE leases SET until = $2 WHERE id IN
			(SELECT id FROM leases WHERE owner = $1 AND until < $2 FOR UPDATE SKIP LOCKED)`, owner, micros(until))
	})
}
