package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"sitrep/channels"
	"sitrep/ledger"
)

// Pause implements [ledger.Queue].
func (l *Ledger) Pause(ctx context.Context, p ledger.Pause) error {
	return l.write(ctx, func(t *tx) error {
		if p.Until.IsZero() {
			if err := t.exec(`DELETE FROM pauses WHERE channel = $1`, p.Channel); err != nil {
				return err
			}
			t.notify(p.Channel)
			return nil
		}
		return t.exec(`INSERT INTO pauses (channel, until, fault, detail, since) VALUES ($1,$2,$3,$4,$5)
			ON CONFLICT (channel) DO UPDATE SET until = excluded.until, fault = excluded.fault, detail = excluded.detail, since = excluded.since`,
			p.Channel, micros(p.Until), string(p.Fault), ledger.CleanText(p.Detail), micros(p.Since))
	})
}

const pauseColumns = `SELECT channel, until, fault, detail, since FROM pauses`

func scanPause(rows pgx.Rows) (*ledger.Pause, error) {
	var p ledger.Pause
	var until, since int64
	var fault string
	err := rows.Scan(&p.Channel, &until, &fault, &p.Detail, &since)
	p.Until, p.Since, p.Fault = instant(until), instant(since), channels.Fault(fault)
	return &p, err
}

const suppressionColumns = `SELECT channel, address, reason, at FROM suppressions`

func scanSuppression(rows pgx.Rows) (ledger.Suppression, error) {
	var s ledger.Suppression
	var at int64
	err := rows.Scan(&s.Channel, &s.Address, &s.Reason, &at)
	s.At = instant(at)
	return s, err
}

// Suppressions implements [ledger.Suppressor]; they come by channel and address.
func (l *Ledger) Suppressions(ctx context.Context, channel string) ([]ledger.Suppression, error) {
	var f filter
	f.add(channel != "", "channel = ?", channel)
	var all []ledger.Suppression
	err := l.query(ctx, suppressionColumns+f.String()+` ORDER BY channel, address`, f.args, func(rows pgx.Rows) error {
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
		return t.exec(`INSERT INTO suppressions (channel, address, reason, at) VALUES ($1,$2,$3,$4)
			ON CONFLICT (channel, address) DO UPDATE SET reason = excluded.reason, at = excluded.at`,
			s.Channel, s.Address, ledger.CleanText(s.Reason), micros(s.At))
	})
}

// Lift implements [ledger.Suppressor].
func (l *Ledger) Lift(ctx context.Context, channel, address string) (bool, error) {
	if !fit(channel) || !fit(address) {
		return false, ctx.Err()
	}
	var n int64
	err := l.write(ctx, func(t *tx) error {
		var err error
		n, err = t.changed(`DELETE FROM suppressions WHERE channel = $1 AND address = $2`, channel, address)
		return err
	})
	return n > 0, err
}
