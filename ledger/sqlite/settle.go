package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"time"

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
		var err error
		verdicts, err = t.settleAll(all)
		return err
	})
	if err != nil {
		return nil, err
	}
	return verdicts, nil
}

func (t *tx) settleAll(all []ledger.Settlement) ([]ledger.Verdict, error) {
	held, err := t.leases(all)
	if err != nil {
		return nil, err
	}
	verdicts := make([]ledger.Verdict, len(all))
	ids := make([]int64, 0, len(all))
	done := map[int64]int{} // by update: how many are no longer pending
	for i, s := range all {
		if i%256 == 0 && t.alive() != nil {
			return nil, t.alive()
		}
		l, ok := held[s.ID]
		if !ok || l.owner != s.Owner || l.attempt != s.Attempt {
			continue
		}
		delete(held, s.ID)
		ids = append(ids, s.ID)
		outcome, err := t.settle(s.Clean())
		if err != nil {
			return nil, err
		}
		if outcome != ledger.Pending {
			done[l.upd]++
		}
		if outcome != ledger.Pending || !s.Untried {
			t.became(micros(s.Ended), s.ID)
		}
		verdicts[i] = ledger.Verdict{Applied: true, Outcome: outcome}
	}
	return verdicts, errors.Join(t.release(ids), t.finish(done))
}

// lease is who may settle a delivery.
type lease struct {
	upd     int64
	owner   string
	attempt int
}

// leases returns those that exist of the settlements' deliveries.
func (t *tx) leases(all []ledger.Settlement) (map[int64]lease, error) {
	ids := make([]int64, len(all))
	for i, s := range all {
		ids[i] = s.ID
	}
	held := make(map[int64]lease, len(all))
	err := t.each(`SELECT l.id, l.upd, l.owner, l.attempt FROM json_each(?) j CROSS JOIN leases l ON l.id = j.value`, []any{list(ids)},
		func(rows *sql.Rows) error {
			var id int64
			var l lease
			err := rows.Scan(&id, &l.upd, &l.owner, &l.attempt)
			held[id] = l
			return err
		})
	return held, err
}

func (t *tx) release(ids []int64) error {
	_, err := t.exec(`DELETE FROM leases WHERE id IN (SELECT value FROM json_each(?))`, list(ids))
	return err
}

// settle records one whose lease is ours and returns what became of it.
func (t *tx) settle(s ledger.Settlement) (ledger.Outcome, error) {
	if s.Ended.IsZero() {
		s.Ended = time.Now()
	}
	if s.Outcome == ledger.Pending {
		var err error
		if s.Outcome, err = t.overtaken(s); err != nil {
			return "", err
		}
	}
	return s.Outcome, errors.Join(t.record(s), t.note(s), t.suppress(s))
}

// overtaken is Superseded if the delivery was ever tried and a newer update was
// accepted for its recipient, and Pending otherwise.
func (t *tx) overtaken(s ledger.Settlement) (ledger.Outcome, error) {
	if s.Untried && s.Attempt == 1 {
		return ledger.Pending, nil
	}
	newer, err := t.row(`SELECT 1 FROM deliveries o, deliveries d WHERE o.id = ? AND d.incident = o.incident AND d.channel = o.channel
		AND d.address = o.address AND d.seq > o.seq AND d.outcome NOT IN ('suppressed', 'cancelled') LIMIT 1`, []any{s.ID}, []any{new(int)})
	if newer && err == nil {
		return ledger.Superseded, nil
	}
	return ledger.Pending, err
}

// record writes the settlement into the delivery's row.
func (t *tx) record(s ledger.Settlement) error {
	attempts := s.Attempt
	if s.Untried {
		attempts--
	}
	if s.Outcome == ledger.Delivered && s.Attempt == 1 && !s.Untried && s.Detail+s.Receipt.Permalink+string(s.Receipt.Thread) == "" {
		// Most are like this: what is not set cannot be there. Values to bind are
		// a good part of what a statement costs.
		_, err := t.exec(`UPDATE deliveries SET outcome = 'delivered', attempts = 1, settled = ?, remote = ? WHERE id = ?`,
			micros(s.Ended), s.Receipt.RemoteID, s.ID)
		return err
	}
	if s.Outcome == ledger.Delivered {
		_, err := t.exec(`UPDATE deliveries SET outcome = 'delivered', attempts = ?1, settled = ?2, remote = ?3, permalink = ?4, thread = ?5,
			detail = iif(?6 = '', detail, ?6) WHERE id = ?7`,
			attempts, micros(s.Ended), s.Receipt.RemoteID, s.Receipt.Permalink, string(s.Receipt.Thread), s.Detail, s.ID)
		return err
	}
	if s.Outcome == ledger.Pending {
		return t.again(s, attempts)
	}
	_, err := t.exec(`UPDATE deliveries SET outcome = ?1, attempts = ?2, settled = ?3, remote = ?4, permalink = ?5, thread = ?6,
		fault = iif(?7 = '', fault, ?7), detail = iif(?8 = '', detail, ?8) WHERE id = ?9`,
		string(s.Outcome), attempts, micros(s.Ended), s.Receipt.RemoteID, s.Receipt.Permalink, string(s.Receipt.Thread),
		string(s.Fault), s.Detail, s.ID)
	return err
}

// again makes it due once more. What the last real attempt said stays if this was none.
func (t *tx) again(s ledger.Settlement, attempts int) error {
	if s.Untried {
		_, err := t.exec(`UPDATE deliveries SET due = ? WHERE id = ?`, micros(s.Due), s.ID)
		return err
	}
	_, err := t.exec(`UPDATE deliveries SET attempts = ?, due = ?, fault = ?, detail = ? WHERE id = ?`,
		attempts, micros(s.Due), string(s.Fault), s.Detail, s.ID)
	return err
}

// note puts an attempt that did not simply succeed on record.
func (t *tx) note(s ledger.Settlement) error {
	if s.Untried || (s.Outcome == ledger.Delivered && s.Fault == "") {
		return nil
	}
	return t.attempt(s.ID, ledger.Attempt{Number: s.Attempt, Fault: s.Fault, Detail: s.Detail, Started: s.Started, Ended: s.Ended})
}

func (t *tx) suppress(s ledger.Settlement) error {
	if !s.Suppress {
		return nil
	}
	_, err := t.exec(`INSERT OR REPLACE INTO suppressions (channel, address, reason, at) SELECT channel, address, ?, ? FROM deliveries WHERE id = ?`,
		s.Detail, micros(s.Ended), s.ID)
	return err
}

// finish keeps the count of pending deliveries of the updates concerned.
func (t *tx) finish(done map[int64]int) error {
	for upd, n := range done {
		if _, err := t.exec(`UPDATE updates SET pending = pending - ? WHERE n = ?`, n, upd); err != nil {
			return err
		}
	}
	return nil
}
