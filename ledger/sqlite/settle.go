package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"strings"
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
	verdicts := make([]ledger.Verdict, len(all))
	done := map[int64]int{} // by update: how many are no longer pending
	if err := t.settlePacked(all, verdicts, done); err != nil {
		return nil, err
	}
	if err := t.settleRows(all, verdicts, done); err != nil {
		return nil, err
	}
	return verdicts, t.finish(done)
}

// settleRows records those that have no verdict yet.
func (t *tx) settleRows(all []ledger.Settlement, verdicts []ledger.Verdict, done map[int64]int) error {
	held, err := t.leases(all, verdicts)
	if err != nil || len(held) == 0 {
		return err
	}
	ids := make([]int64, 0, len(held))
	usual := make([]int, 0, len(held)) // which of all
	for i, s := range all {
		if i%256 == 0 && t.alive() != nil {
			return t.alive()
		}
		upd, ok := held[holder{s.ID, s.Owner, s.Attempt}]
		if !ok {
			continue
		}
		delete(held, holder{s.ID, s.Owner, s.Attempt})
		ids = append(ids, s.ID)
		s = s.Clean()
		outcome := s.Outcome
		if asUsual(s) {
			usual = append(usual, i)
		} else if outcome, err = t.settle(s); err != nil {
			return err
		}
		if outcome != ledger.Pending {
			done[upd]++
		}
		if outcome != ledger.Pending || !s.Untried {
			t.became(micros(s.Ended), s.ID)
		}
		verdicts[i] = ledger.Verdict{Applied: true, Outcome: outcome}
	}
	// One after the other, each only if none has failed: SQLite may have rolled back, and
	// what came then would be written without the rest.
	if err := t.delivered(all, usual); err != nil {
		return err
	}
	return t.release(ids)
}

// holder is who may settle a delivery.
type holder struct {
	id      int64
	owner   string
	attempt int
}

// leases returns the updates of those that exist of the settlements' deliveries, where
// there is no verdict yet.
func (t *tx) leases(all []ledger.Settlement, verdicts []ledger.Verdict) (map[holder]int64, error) {
	of := map[holder][]int64{} // by owner and attempt, which are the same for most
	for i, s := range all {
		if verdicts[i].Applied {
			continue
		}
		h := holder{owner: s.Owner, attempt: s.Attempt}
		of[h] = append(of[h], s.ID)
	}
	held := map[holder]int64{}
	for h, ids := range of {
		err := t.each(`SELECT l.id, l.upd FROM json_each(?) j CROSS JOIN leases l ON l.id = j.value AND l.owner = ? AND l.attempt = ?`,
			[]any{list(ids), h.owner, h.attempt}, func(rows *sql.Rows) error {
				var upd int64
				err := rows.Scan(&h.id, &upd)
				held[h] = upd
				return err
			})
		if err != nil {
			return nil, err
		}
	}
	return held, nil
}

func (t *tx) release(ids []int64) error {
	_, err := t.exec(`DELETE FROM leases WHERE id IN (SELECT value FROM json_each(?))`, list(ids))
	return err
}

// asUsual reports what becomes of most: delivered at the first attempt, and nothing
// more to say.
func asUsual(s ledger.Settlement) bool {
	return s.Outcome == ledger.Delivered && s.Attempt == 1 && s.Fault == "" && s.Detail == "" && !s.Untried && !s.Suppress && !s.Ended.IsZero()
}

var (
	deliveredOne  = `UPDATE deliveries SET outcome = 'delivered', attempts = 1, settled = ?2, remote = ?3, permalink = ?4, thread = ?5 WHERE id = ?1`
	deliveredMany = `UPDATE OR FAIL deliveries SET outcome = 'delivered', attempts = 1, settled = v.column2, remote = v.column3,
		permalink = v.column4, thread = v.column5
		FROM (VALUES ` + strings.Repeat(`(?,?,?,?,?),`, together-1) + `(?,?,?,?,?)) v WHERE id = v.column1`  // OR FAIL: see insertion
)

// delivered records those settlements as usual.
func (t *tx) delivered(all []ledger.Settlement, which []int) error {
	args := make([]any, 0, 5*together)
	for len(which) > 0 {
		query, n := deliveredMany, together
		if len(which) < together {
			query, n = deliveredOne, 1
		}
		args = args[:0]
		for _, i := range which[:n] {
			s := all[i].Clean()
			args = append(args, s.ID, micros(s.Ended), s.Receipt.RemoteID, s.Receipt.Permalink, string(s.Receipt.Thread))
		}
		if _, err := t.exec(query, args...); err != nil {
			return err
		}
		which = which[n:]
	}
	return nil
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
	if err := t.record(s); err != nil {
		return "", err
	}
	if err := t.note(s); err != nil {
		return "", err
	}
	return s.Outcome, t.suppress(s)
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
