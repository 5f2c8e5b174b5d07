package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"time"

	"sitrep/channels"
	"sitrep/ledger"
)

var (
	_ ledger.Exporter = (*Ledger)(nil)
	_ ledger.Importer = (*Ledger)(nil)
)

// errEnough says that whoever reads an export has read enough.
var errEnough = errors.New("enough")

// Export implements [ledger.Exporter], in one read transaction.
func (l *Ledger) Export(ctx context.Context, now time.Time) iter.Seq2[ledger.Row, error] {
	return func(yield func(ledger.Row, error) bool) {
		e := export{ctx: ctx, emit: func(r ledger.Row) error {
			if yield(r, nil) {
				return nil
			}
			return errEnough
		}}
		if err := l.unpacked(ctx); err != nil {
			yield(nil, err)
			return
		}
		err := l.inOneMoment(ctx, func(conn *sql.Conn) error {
			e.conn = conn
			return e.all(micros(now))
		})
		if err = errors.Join(err, l.unchanged()); err != nil && !errors.Is(err, errEnough) {
			yield(nil, explain(ctx, l.path, err))
		}
	}
}

// export is one under way.
type export struct {
	ctx  context.Context
	conn *sql.Conn
	emit func(ledger.Row) error
}

func (e *export) all(now int64) error {
	if err := e.atRest(now); err != nil {
		return err
	}
	if err := stream(e, incidentColumns+` ORDER BY n`, nil, scanIncident); err != nil {
		return err
	}
	type update struct{ n, first, last int64 }
	var all []update
	err := e.each(`SELECT n, first, last FROM updates ORDER BY n`, nil, func(rows *sql.Rows) error {
		var u update
		err := rows.Scan(&u.n, &u.first, &u.last)
		all = append(all, u)
		return err
	})
	if err != nil {
		return err
	}
	for _, u := range all {
		if err := e.update(u.n, u.first, u.last); err != nil {
			return err
		}
	}
	return e.rest()
}

func (e *export) atRest(now int64) error {
	n := 0
	err := e.each(`SELECT count(*) FROM leases WHERE until > ?`, []any{now}, func(rows *sql.Rows) error { return rows.Scan(&n) })
	if err == nil && n > 0 {
		err = fmt.Errorf("%w (%d attempts): stop every sitrep that uses it, and try again; after a crash they end by themselves within seconds",
			ledger.ErrUnderWay, n)
	}
	if err != nil {
		return err
	}
	err = e.each(`SELECT count(*) FROM (SELECT upd FROM expansions UNION SELECT upd FROM packs)`, nil, func(rows *sql.Rows) error { return rows.Scan(&n) })
	if err == nil && n > 0 {
		err = fmt.Errorf("%w (%d updates with recipients that have no delivery on record yet): let sitrep finish that (sitrep send --resume), stop it, and try again",
			ledger.ErrUnderWay, n)
	}
	return err
}

func (e *export) each(query string, args []any, use func(*sql.Rows) error) error {
	rows, err := e.conn.QueryContext(e.ctx, query, args...)
	if err != nil {
		return err
	}
	return drain(rows, use)
}

// stream emits every row of a query.
func stream[R ledger.Row](e *export, query string, args []any, scan func(*sql.Rows) (R, error)) error {
	return e.each(query, args, func(rows *sql.Rows) error {
		r, err := scan(rows)
		if err != nil {
			return err
		}
		return e.emit(r)
	})
}

func (e *export) update(upd, first, last int64) error {
	err := stream(e, updateColumns+`, u.severity, u.touched`+updateTables+` WHERE u.n = ?`, []any{upd}, scanUpdateRow)
	if err != nil {
		return err
	}
	err = stream(e, `SELECT id, format, subject, text, html, payload FROM renderings WHERE upd = ? ORDER BY id`, []any{upd}, scanRenderingRow)
	if err != nil {
		return err
	}
	span := []any{first, last, upd}
	err = stream(e, deliveryColumns+`, d.interrupted, d.reopened, coalesce(l.attempt, 0)
		FROM deliveries d CROSS JOIN updates u ON u.n = d.upd CROSS JOIN incidents i ON i.n = d.incident LEFT JOIN leases l ON l.id = d.id
		WHERE d.id BETWEEN ? AND ? AND d.upd = ? ORDER BY d.id`, span, scanDeliveryRow)
	if err != nil {
		return err
	}
	return stream(e, attemptColumns+`, d.key FROM deliveries d CROSS JOIN (
			SELECT delivery, number, fault, interrupted, detail, started, ended FROM attempts
			UNION ALL SELECT id, attempt, 'ambiguous', 1, ?, since, 0 FROM leases) a ON a.delivery = d.id
		WHERE d.id BETWEEN ? AND ? AND d.upd = ? ORDER BY d.id, a.number`, append([]any{lost}, span...), scanAttemptRow)
}

func (e *export) rest() error {
	if err := stream(e, suppressionColumns+` ORDER BY channel, address`, nil, scanSuppression); err != nil {
		return err
	}
	if err := stream(e, `SELECT channel, until, fault, detail, since FROM pauses ORDER BY channel`, nil, scanPause); err != nil {
		return err
	}
	if err := stream(e, `SELECT address, token FROM pages ORDER BY address`, nil, scanPage); err != nil {
		return err
	}
	return stream(e, `SELECT key, page, at, payload FROM entries ORDER BY n`, nil, scanEntry)
}

func scanPage(rows *sql.Rows) (ledger.Page, error) {
	var p ledger.Page
	err := rows.Scan(&p.Address, &p.Token)
	return p, err
}

func scanEntry(rows *sql.Rows) (ledger.PageEntry, error) {
	var e ledger.PageEntry
	var at int64
	err := rows.Scan(&e.Key, &e.Page, &at, &e.Payload)
	e.At = instant(at)
	return e, err
}

func scanUpdateRow(rows *sql.Rows) (ledger.UpdateRow, error) {
	var r ledger.UpdateRow
	var touched int64
	var err error
	r.Update, err = scanUpdate(rows, new(int64), new(int64), &r.Severity, &touched)
	r.Touched = instant(touched)
	return r, err
}

func scanRenderingRow(rows *sql.Rows) (ledger.RenderingRow, error) {
	var r ledger.RenderingRow
	var format string
	err := rows.Scan(&r.ID, &format, &r.Subject, &r.Text, &r.HTML, &r.Payload)
	r.Format = channels.Format(format)
	return r, err
}

func scanDeliveryRow(rows *sql.Rows) (ledger.DeliveryRow, error) {
	var r ledger.DeliveryRow
	var leased int
	var err error
	r.Delivery, err = scanDelivery(rows, &cursor{}, &r.Interrupted, &r.Reopened, &leased)
	if leased > 0 {
		r.Interrupted, r.Attempts, r.Leased = true, leased, false
	}
	return r, err
}

func scanAttemptRow(rows *sql.Rows) (ledger.AttemptRow, error) {
	var r ledger.AttemptRow
	var err error
	r.Attempt, err = scanAttempt(rows, &r.Delivery)
	return r, err
}

func scanPause(rows *sql.Rows) (ledger.Pause, error) {
	var p ledger.Pause
	var until, since int64
	var fault string
	err := rows.Scan(&p.Channel, &until, &fault, &p.Detail, &since)
	p.Until, p.Since, p.Fault = instant(until), instant(since), channels.Fault(fault)
	return p, err
}
