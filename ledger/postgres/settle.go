package postgres

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"sitrep/ledger"
)

// Settle implements [ledger.Queue].
func (l *Ledger) Settle(ctx context.Context, all []ledger.Settlement) ([]ledger.Verdict, error) {
	var errs []error
	for _, s := range all {
		errs = append(errs, s.Check())
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, ctx.Err()
	}
	var verdicts []ledger.Verdict
	err := l.write(ctx, func(t *tx) error {
		verdicts = make([]ledger.Verdict, len(all))
		return t.settle(all, verdicts)
	})
	if err != nil {
		return nil, err
	}
	return verdicts, nil
}

func (t *tx) settle(all []ledger.Settlement, verdicts []ledger.Verdict) error {
	held, err := t.release(all)
	if err != nil {
		return err
	}
	var mine []ledger.Settlement
	var place []int // in all
	for i, s := range all {
		l, ok := held[s.ID]
		if !ok || l.owner != s.Owner || l.attempt != s.Attempt {
			continue
		}
		delete(held, s.ID)
		s = s.Clean()
		if s.Ended.IsZero() {
			s.Ended = time.Now()
		}
		mine, place = append(mine, s), append(place, i)
	}
	if err := t.overtaken(mine); err != nil {
		return err
	}
	for i, s := range mine {
		verdicts[place[i]] = ledger.Verdict{Applied: true, Outcome: s.Outcome}
	}
	return t.write(mine)
}

// lease is who may settle a delivery.
type lease struct {
	owner   string
	attempt int
}

// release ends the leases that the settlements speak of and returns them. Whoever
// asks for a retry holds the incident first: a newer update is then either here to
// be seen, or will see the retry.
func (t *tx) release(all []ledger.Settlement) (map[int64]lease, error) {
	var ids, attempts, retries []int64
	var owners []string
	for _, s := range all {
		ids, attempts, owners = append(ids, s.ID), append(attempts, int64(s.Attempt)), append(owners, s.Owner)
		if s.Outcome == ledger.Pending {
			retries = append(retries, s.ID)
		}
	}
	held := make(map[int64]lease, len(all))
	var b pgx.Batch
	if len(retries) > 0 {
		b.Queue(`SELECT n FROM incidents WHERE n IN (SELECT incident FROM deliveries WHERE id = ANY($1)) ORDER BY n FOR SHARE`, retries)
	}
	b.Queue(`SELECT id FROM deliveries WHERE id = ANY($1) ORDER BY id FOR UPDATE`, ids)
	b.Queue(`DELETE FROM leases l USING unnest($1::bigint[], $2::bigint[], $3::text[]) AS x(id, attempt, owner)
		WHERE l.id = x.id AND l.attempt = x.attempt AND l.owner = x.owner RETURNING l.id, l.attempt, l.owner`, ids, attempts, owners).
		Query(func(rows pgx.Rows) error {
			return drain(rows, nil, func(rows pgx.Rows) error {
				var id int64
				var l lease
				err := rows.Scan(&id, &l.attempt, &l.owner)
				held[id] = l
				return err
			})
		})
	return held, t.together(&b)
}

// overtaken turns retries of deliveries that were ever tried, and that a newer update
// was accepted for, into Superseded.
func (t *tx) overtaken(all []ledger.Settlement) error {
	at := map[int64]*ledger.Settlement{}
	for i := range all {
		if s := &all[i]; s.Outcome == ledger.Pending && (!s.Untried || s.Attempt > 1) {
			at[s.ID] = s
		}
	}
	if len(at) == 0 {
		return nil
	}
	ids, err := t.ids(`SELECT o.id FROM deliveries o WHERE o.id = ANY($1) AND EXISTS (SELECT 1 FROM deliveries d
		WHERE d.incident = o.incident AND d.channel = o.channel AND d.address = o.address AND d.seq > o.seq
		AND d.outcome NOT IN ('suppressed', 'cancelled'))`, slices.Collect(maps.Keys(at)))
	for _, id := range ids {
		at[id].Outcome = ledger.Superseded
	}
	return err
}

// write records settlements whose leases were ours.
func (t *tx) write(all []ledger.Settlement) error {
	var final, again columns
	var noted attempts
	var suppress []ledger.Settlement
	done := map[int64]int{}
	var untried []int64
	for _, s := range all {
		if s.Outcome == ledger.Pending {
			again.add(s)
			if s.Untried {
				untried = append(untried, s.ID)
			}
		} else {
			final.add(s)
			done[s.ID>>placeBits]++
		}
		if !s.Untried && (s.Outcome != ledger.Delivered || s.Fault != "") {
			noted.add(s.ID, ledger.Attempt{Number: s.Attempt, Fault: s.Fault, Detail: s.Detail, Started: s.Started, Ended: s.Ended})
		}
		if s.Suppress {
			suppress = append(suppress, s)
		}
	}
	var b pgx.Batch
	final.queueFinal(&b)
	again.queueAgain(&b)
	noted.queue(&b)
	queueSuppressed(&b, suppress)
	queueFinished(&b, done)
	if err := t.together(&b); err != nil {
		return err
	}
	return t.wake(untried)
}

// columns are settlements, one slice a column.
type columns struct {
	ids, attempts, settled, due                        []int64
	outcome, remote, permalink, thread, fault, details []string
	untried                                            []bool
}

func (c *columns) add(s ledger.Settlement) {
	attempts, fault := int64(s.Attempt), string(s.Fault)
	if s.Untried {
		attempts--
	}
	if s.Outcome == ledger.Delivered {
		fault = "" // what an earlier attempt failed of stays on record
	}
	c.ids, c.attempts, c.settled, c.due = append(c.ids, s.ID), append(c.attempts, attempts), append(c.settled, micros(s.Ended)), append(c.due, micros(s.Due))
	c.outcome, c.fault, c.details = append(c.outcome, string(s.Outcome)), append(c.fault, fault), append(c.details, s.Detail)
	c.remote, c.permalink, c.thread = append(c.remote, s.Receipt.RemoteID), append(c.permalink, s.Receipt.Permalink), append(c.thread, string(s.Receipt.Thread))
	c.untried = append(c.untried, s.Untried)
}

// queueFinal writes outcomes.
func (c *columns) queueFinal(b *pgx.Batch) {
	if len(c.ids) == 0 {
		return
	}
	b.Queue(`UPDATE deliveries d SET outcome = x.outcome, attempts = x.attempts, settled = x.settled,
			remote = x.remote, permalink = x.permalink, thread = x.thread,
			fault = CASE x.fault WHEN '' THEN d.fault ELSE x.fault END, detail = CASE x.detail WHEN '' THEN d.detail ELSE x.detail END
		FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::bigint[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[])
			AS x(id, outcome, attempts, settled, remote, permalink, thread, fault, detail) WHERE d.id = x.id`,
		c.ids, c.outcome, c.attempts, c.settled, c.remote, c.permalink, c.thread, c.fault, c.details)
}

// queueAgain makes deliveries due once more. What the last real attempt said stays if
// this was none.
func (c *columns) queueAgain(b *pgx.Batch) {
	if len(c.ids) == 0 {
		return
	}
	b.Queue(`UPDATE deliveries d SET due = x.due, attempts = CASE WHEN x.untried THEN d.attempts ELSE x.attempts END,
			fault = CASE WHEN x.untried THEN d.fault ELSE x.fault END, detail = CASE WHEN x.untried THEN d.detail ELSE x.detail END
		FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::boolean[], $5::text[], $6::text[])
			AS x(id, due, attempts, untried, fault, detail) WHERE d.id = x.id`,
		c.ids, c.due, c.attempts, c.untried, c.fault, c.details)
}

// queueSuppressed records addresses; of two reasons for one address the later counts.
func queueSuppressed(b *pgx.Batch, all []ledger.Settlement) {
	if len(all) == 0 {
		return
	}
	var ids, at []int64
	var details []string
	for _, s := range all {
		ids, at, details = append(ids, s.ID), append(at, micros(s.Ended)), append(details, s.Detail)
	}
	b.Queue(`INSERT INTO suppressions (channel, address, reason, at)
		SELECT DISTINCT ON (d.channel, d.address) d.channel, d.address, x.reason, x.at
		FROM unnest($1::bigint[], $2::text[], $3::bigint[]) WITH ORDINALITY AS x(id, reason, at, n) JOIN deliveries d ON d.id = x.id
		ORDER BY d.channel, d.address, x.n DESC
		ON CONFLICT (channel, address) DO UPDATE SET reason = excluded.reason, at = excluded.at`, ids, details, at)
}

// queueFinished keeps the count of pending deliveries of the updates concerned.
func queueFinished(b *pgx.Batch, done map[int64]int) {
	for _, upd := range slices.Sorted(maps.Keys(done)) {
		b.Queue(`UPDATE unfinished SET pending = pending - $2 WHERE upd = $1`, upd, done[upd])
		b.Queue(`DELETE FROM unfinished WHERE upd = $1 AND pending = 0`, upd)
	}
}

func (t *tx) finish(done map[int64]int) error {
	var b pgx.Batch
	queueFinished(&b, done)
	return t.together(&b)
}

// wake tells others of what was given back.
func (t *tx) wake(ids []int64) error {
	if len(ids) == 0 {
		return nil
	}
	rows, err := t.Query(t.ctx, `SELECT DISTINCT channel FROM deliveries WHERE id = ANY($1)`, ids)
	if err != nil {
		return err
	}
	channels, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	return t.notify(channels)
}

// attempts are attempts to put on record, one slice a column.
type attempts struct {
	deliveries, numbers, started, ended []int64
	faults, details                     []string
	interrupted                         []bool
}

func (a *attempts) add(delivery int64, x ledger.Attempt) {
	a.deliveries, a.numbers = append(a.deliveries, delivery), append(a.numbers, int64(x.Number))
	a.started, a.ended = append(a.started, micros(x.Started)), append(a.ended, micros(x.Ended))
	a.faults, a.details, a.interrupted = append(a.faults, string(x.Fault)), append(a.details, x.Detail), append(a.interrupted, x.Interrupted)
}

func (a *attempts) queue(b *pgx.Batch) {
	if len(a.deliveries) == 0 {
		return
	}
	b.Queue(`INSERT INTO attempts (delivery, number, fault, interrupted, detail, started, ended)
		SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::boolean[], $5::text[], $6::bigint[], $7::bigint[])
		ON CONFLICT (delivery, number) DO UPDATE SET fault = excluded.fault, interrupted = excluded.interrupted,
			detail = excluded.detail, started = excluded.started, ended = excluded.ended`,
		a.deliveries, a.numbers, a.faults, a.interrupted, a.details, a.started, a.ended)
}

func (t *tx) record(a *attempts) error {
	var b pgx.Batch
	a.queue(&b)
	return t.together(&b)
}
