package postgres

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"sitrep/ledger"
)

// supersede ends the incident's older deliveries that were tried, failed and wait,
// where we have added one for the same recipient. A claim of one of them that is under
// way is waited for; then its lease is seen.
func (in *intake) supersede() error {
	ids, err := in.ids(`SELECT o.id FROM deliveries o WHERE o.incident = $1 AND o.outcome = '' AND o.attempts > 0 AND o.seq < $2
		ORDER BY o.id FOR UPDATE`, in.incident, in.seq)
	if err != nil || len(ids) == 0 {
		return err
	}
	return in.overtake(`o.id = ANY($3) AND o.outcome = '' AND o.attempts > 0 AND NOT EXISTS (SELECT 1 FROM leases l WHERE l.id = o.id)
		AND EXISTS (SELECT 1 FROM deliveries d WHERE d.incident = o.incident AND d.channel = o.channel
			AND d.address = o.address AND d.seq = $4 AND d.id >= $5 AND d.outcome = '')`, ids, in.seq, in.id(0))
}

// outdated ends what was just added to an update that had been whole, for recipients
// who have a newer one already.
func (in *intake) outdated() error {
	return in.overtake(`o.id BETWEEN $3 AND $4 AND o.outcome = ''
		AND EXISTS (SELECT 1 FROM deliveries d WHERE d.incident = o.incident AND d.channel = o.channel
			AND d.address = o.address AND d.seq > o.seq AND d.outcome NOT IN ('suppressed', 'cancelled'))`, in.id(0), lastID(in.upd))
}

// overtake supersedes the deliveries that a condition holds for. Why the last attempt
// failed stays on record.
func (in *intake) overtake(condition string, args ...any) error {
	type ended struct {
		ledger.Ended
		id int64
	}
	var all []ended
	err := in.each(`UPDATE deliveries o SET outcome = 'superseded', settled = $1, detail = CASE o.detail WHEN '' THEN $2 ELSE o.detail END
		FROM updates u WHERE u.n = o.id >> 24 AND `+condition+` RETURNING o.id, o.key, o.channel, o.accepted, u.customer, u.severity`,
		append([]any{in.now, overtaken}, args...), func(rows pgx.Rows) error {
			e := ended{Ended: ledger.Ended{Outcome: ledger.Superseded}}
			var accepted int64
			err := rows.Scan(&e.id, &e.Key, &e.Channel, &accepted, &e.Customer, &e.Severity)
			e.Accepted = instant(accepted)
			all = append(all, e)
			return err
		})
	if err != nil {
		return err
	}
	slices.SortFunc(all, func(a, b ended) int { return cmp.Compare(a.id, b.id) })
	done := map[int64]int{}
	for _, e := range all {
		in.got.Superseded = append(in.got.Superseded, e.Ended)
		in.feed.delivery(e.id, in.now)
		done[e.id>>placeBits]++
	}
	in.finish(done)
	return nil
}

// finish keeps the count of pending deliveries of the updates concerned. Everybody who
// settles something of them waits for that.
func (t *tx) finish(done map[int64]int) {
	for _, upd := range slices.Sorted(maps.Keys(done)) {
		t.last.Queue(`UPDATE unfinished SET pending = pending - $2 WHERE upd = $1`, upd, done[upd])
		t.last.Queue(`DELETE FROM unfinished WHERE upd = $1 AND pending = 0`, upd)
	}
}

// Reopen implements [ledger.Intake].
func (l *Ledger) Reopen(ctx context.Context, update string, now, expire time.Time) (int, error) {
	if !fit(update) {
		return 0, ledger.ErrNotFound
	}
	var n int
	err := l.write(ctx, func(t *tx) error {
		var upd, incident int64
		var seq int
		found, err := t.row(`SELECT u.n, u.incident, u.seq FROM updates u JOIN incidents i ON i.n = u.incident WHERE u.key = $1 FOR SHARE OF i`,
			[]any{update}, []any{&upd, &incident, &seq})
		if err != nil {
			return err
		}
		if !found {
			return ledger.ErrNotFound
		}
		n, err = t.reopen(upd, incident, seq, now, expire)
		return err
	})
	if err != nil {
		return 0, err
	}
	return n, nil
}

// ended are the deliveries of an update that Reopen may make pending again.
const ended = `d.id BETWEEN $1 AND $2 AND d.outcome IN ('failed', 'bounced', 'expired', 'unknown')`

func (t *tx) reopen(upd, incident int64, seq int, now, expire time.Time) (int, error) {
	first, last := upd<<placeBits, lastID(upd)
	// Newer deliveries to the same recipients are held too, so that none of them is
	// claimed between our look at them and the commit.
	_, err := t.ids(`SELECT n.id FROM deliveries d JOIN deliveries n ON n.incident = d.incident AND n.channel = d.channel
			AND n.address = d.address AND n.seq >= d.seq
		WHERE `+ended+` ORDER BY n.id FOR UPDATE OF n`, first, last)
	if err != nil {
		return 0, err
	}
	ids, err := t.ids(`SELECT d.id FROM deliveries d WHERE `+ended+`
		AND NOT EXISTS (SELECT 1 FROM suppressions s WHERE s.channel = d.channel AND s.address IN (d.address, lower(d.address)) AND s.at > d.settled)
		AND NOT EXISTS (SELECT 1 FROM deliveries n WHERE n.incident = d.incident AND n.channel = d.channel AND n.address = d.address AND n.seq > d.seq
			AND (n.outcome IN ('delivered', 'unknown') OR EXISTS (SELECT 1 FROM leases l WHERE l.id = n.id)))`, first, last)
	if err != nil || len(ids) == 0 {
		return 0, err
	}
	err = t.exec(`DELETE FROM suppressions WHERE (channel, address) IN (SELECT channel, address FROM deliveries WHERE id = ANY($1))`, ids)
	if err != nil {
		return 0, err
	}
	wake := map[string]bool{}
	err = t.each(`WITH again AS (UPDATE deliveries SET outcome = '', reopened = true, settled = 0, due = $2, expire = $3 WHERE id = ANY($1) RETURNING id, channel)
		SELECT id, channel FROM again ORDER BY id`,
		[]any{ids, micros(now), micros(expire)}, func(rows pgx.Rows) error {
			var id int64
			var channel string
			err := rows.Scan(&id, &channel)
			wake[channel] = true
			t.feed.delivery(id, micros(now))
			return err
		})
	if err != nil {
		return 0, err
	}
	t.pend(upd, incident, seq, len(ids))
	t.notify(slices.Collect(maps.Keys(wake))...)
	return len(ids), nil
}
