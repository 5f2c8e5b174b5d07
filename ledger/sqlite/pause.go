package sqlite

import (
	"context"
	"database/sql"
	"time"

	"sitrep/channels"
	"sitrep/ledger"
)

// Pause implements [ledger.Queue].
func (l *Ledger) Pause(ctx context.Context, p ledger.Pause) error {
	return l.write(ctx, func(t *tx) error {
		if p.Until.IsZero() {
			_, err := t.exec(`DELETE FROM pauses WHERE channel = ?`, p.Channel)
			return err
		}
		_, err := t.exec(`INSERT OR REPLACE INTO pauses (channel, until, fault, detail, since) VALUES (?,?,?,?,?)`,
			p.Channel, micros(p.Until), string(p.Fault), ledger.CleanText(p.Detail), micros(p.Since))
		return err
	})
}

// pauseOf is the channel's pause if one is in force.
func (t *tx) pauseOf(channel string, now int64) (*ledger.Pause, error) {
	p := ledger.Pause{Channel: channel}
	var until, since int64
	var fault string
	found, err := t.row(`SELECT until, fault, detail, since FROM pauses WHERE channel = ? AND until > ?`,
		[]any{channel, now}, []any{&until, &fault, &p.Detail, &since})
	if !found || err != nil {
		return nil, err
	}
	p.Until, p.Since, p.Fault = instant(until), instant(since), channels.Fault(fault)
	return &p, nil
}

const suppressionColumns = `SELECT channel, address, reason, at FROM suppressions`

func scanSuppression(rows *sql.Rows) (ledger.Suppression, error) {
	var s ledger.Suppression
	var at int64
	err := rows.Scan(&s.Channel, &s.Address, &s.Reason, &at)
	s.At = instant(at)
	return s, err
}

// Suppressions implements [ledger.Suppressor]; they come by channel and address.
func (l *Ledger) Suppressions(ctx context.Context, channel string) ([]ledger.Suppression, error) {
	var all []ledger.Suppression
	err := l.query(ctx, suppressionColumns+` WHERE ? IN ('', channel) ORDER BY channel, address`,
		[]any{channel}, func(rows *sql.Rows) error {
			s, err := scanSuppression(rows)
			all = append(all, s)
			return err
		})
	return all, err
}

// Suppress implements [ledger.Suppressor]. A newer reason replaces an older one.
func (l *Ledger) Suppress(ctx context.Context, s ledger.Suppression) error {
	if s.At.IsZero() {
		s.At = time.Now()
	}
	return l.write(ctx, func(t *tx) error {
		_, err := t.exec(`INSERT OR REPLACE INTO suppressions (channel, address, reason, at) VALUES (?,?,?,?)`,
			s.Channel, s.Address, ledger.CleanText(s.Reason), micros(s.At))
		return err
	})
}

// Lift implements [ledger.Suppressor].
func (l *Ledger) Lift(ctx context.Context, channel, address string) (bool, error) {
	var n int64
	err := l.write(ctx, func(t *tx) error {
		var err error
		n, err = t.changed(`DELETE FROM suppressions WHERE channel = ? AND address = ?`, channel, address)
		return err
	})
	return n > 0, err
}
