package sqlite

// The change feed is written by the transaction that makes a change: each of them
// calls announce or became, and what it has changed is put on record at its end.
// (A trigger for each row would be safer to forget about; it cost as much as the
// settlement itself. The suite looks for whoever forgets.)

// announce records that an update was accepted, or has got more recipients.
func (t *tx) announce(upd, at int64) error {
	_, err := t.exec(`INSERT INTO changes (at, upd, delivery, attempts, outcome, fault) VALUES (?,?,0,0,'','')`, at, upd)
	return err
}

// became notes that deliveries have another outcome or count of attempts by now; at
// is when, for those that are pending.
func (t *tx) became(at int64, ids ...int64) {
	t.feed = append(t.feed, ids...)
	t.fed = max(t.fed, at)
}

// publish puts on record what was changed, in the order in which it was noted and as
// it has become in the end.
func (t *tx) publish() error {
	if len(t.feed) == 0 {
		return nil
	}
	_, err := t.exec(`INSERT INTO changes (at, upd, delivery, attempts, outcome, fault)
		SELECT iif(d.settled = 0, ?, d.settled), d.upd, d.id, d.attempts, d.outcome, d.fault
		FROM json_each(?) j CROSS JOIN deliveries d ON d.id = j.value`, t.fed, list(t.feed))
	return err
}
