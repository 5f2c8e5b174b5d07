package postgres

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/jackc/pgx/v5"

	"sitrep/channels"
	"sitrep/ledger"
)

// errEnough says that whoever reads an export has read enough.
var errEnough = errors.New("enough")

// Export implements [ledger.Exporter], in one read-only transaction.
func (l *Ledger) Export(ctx context.Context, now time.Time) iter.Seq2[ledger.Row, error] {
	return func(yield func(ledger.Row, error) bool) {
		err := l.transact(ctx, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", func(t *tx) error {
			e := export{tx: t, emit: func(r ledger.Row) error {
				if yield(r, nil) {
					return nil
				}
				return errEnough
			}}
			return e.run(micros(now))
		})
		if err != nil && !errors.Is(err, errEnough) {
			yield(nil, explain(ctx, l.where, err))
		}
	}
}

// export is one under way.
type export struct {
	*tx
	emit func(ledger.Row) error
}

func (e *export) run(now int64) error {
	if err := e.patient(); err != nil {
		return err
	}
	if err := e.atRest(now); err != nil {
		return err
	}
	if err := stream(e, incidentColumns+` ORDER BY n`, nil, scanIncident); err != nil {
		return err
	}
	upds, err := e.ids(`SELECT n FROM updates ORDER BY n`)
	if err != nil {
		return err
	}
	for _, upd := range upds {
		if err := e.update(upd); err != nil {
			return err
		}
	}
	return e.rest()
}

// atRest makes sure that nothing is under way.
func (e *export) atRest(now int64) error {
	var leases, unwritten int
	_, err := e.row(`SELECT (SELECT count(*) FROM leases WHERE until > $1), (SELECT count(*) FROM expansions)`, []any{now}, []any{&leases, &unwritten})
	switch {
	case err != nil:
		return err
	case leases > 0:
		return fmt.Errorf("%w (%d attempts): stop every sitrep that uses it, and try again; after a crash they end by themselves within seconds",
			ledger.ErrUnderWay, leases)
	case unwritten > 0:
		return fmt.Errorf("%w (%d updates with recipients that have no delivery on record yet): let sitrep finish that (sitrep send --resume), stop it, and try again",
			ledger.ErrUnderWay, unwritten)
	}
	return nil
}

// patient lets whoever is at the other end take their time.
func (t *tx) patient() error { return t.exec(`SET LOCAL idle_in_transaction_session_timeout = 0`) }

// stream emits every row of a query.
func stream[R ledger.Row](e *export, query string, args []any, scan func(pgx.Rows) (R, error)) error {
	return e.each(query, args, func(rows pgx.Rows) error {
		r, err := scan(rows)
		if err != nil {
			return err
		}
		return e.emit(r)
	})
}

func (e *export) update(upd int64) error {
	err := stream(e, updateColumns+`, u.severity, u.touched`+updateTables+` WHERE u.n = $1`, []any{upd}, scanUpdateRow)
	if err != nil {
		return err
	}
	err = stream(e, `SELECT id, format, subject, text, html, payload FROM renderings WHERE upd = $1 ORDER BY id`, []any{upd}, scanRenderingRow)
	if err != nil {
		return err
	}
	span := []any{upd << placeBits, lastID(upd)}
	err = stream(e, deliveryColumns+`, d.interrupted, d.reopened, coalesce(l.attempt, 0)`+deliveryTables+` WHERE d.id BETWEEN $1 AND $2 ORDER BY d.id`, span, scanDeliveryRow)
	if err != nil {
		return err
	}
	return stream(e, attemptColumns+`, d.key FROM (
			SELECT delivery, number, fault, interrupted, detail, started, ended FROM attempts WHERE delivery BETWEEN $1 AND $2
			UNION ALL SELECT id, attempt, 'ambiguous', true, $3, since, 0 FROM leases WHERE id BETWEEN $1 AND $2) a
		JOIN deliveries d ON d.id = a.delivery ORDER BY a.delivery, a.number`, append(span, lost), scanAttemptRow)
}

func (e *export) rest() error {
	if err := stream(e, suppressionColumns+` ORDER BY channel, address`, nil, scanSuppression); err != nil {
		return err
	}
	err := stream(e, pauseColumns+` ORDER BY channel`, nil, func(rows pgx.Rows) (ledger.Pause, error) {
		p, err := scanPause(rows)
		return *p, err
	})
	if err != nil {
		return err
	}
	if err := stream(e, `SELECT address, token FROM pages ORDER BY address`, nil, scanPage); err != nil {
		return err
	}
	return stream(e, entryColumns+` ORDER BY n`, nil, scanEntry)
}

func scanPage(rows pgx.Rows) (ledger.Page, error) {
	var p ledger.Page
	err := rows.Scan(&p.Address, &p.Token)
	return p, err
}

func scanUpdateRow(rows pgx.Rows) (ledger.UpdateRow, error) {
	var r ledger.UpdateRow
	var touched int64
	var err error
	r.Update, err = scanUpdate(rows, new(int64), new(int64), &r.Severity, &touched)
	r.Touched = instant(touched)
	return r, err
}

func scanRenderingRow(rows pgx.Rows) (ledger.RenderingRow, error) {
	var r ledger.RenderingRow
	var format string
	err := rows.Scan(&r.ID, &format, &r.Subject, &r.Text, &r.HTML, &r.Payload)
	r.Format = channels.Format(format)
	return r, err
}

func scanDeliveryRow(rows pgx.Rows) (ledger.DeliveryRow, error) {
	var r ledger.DeliveryRow
	var leased int
	var err error
	r.Delivery, err = scanDelivery(rows, new(int64), &r.Interrupted, &r.Reopened, &leased)
	if leased > 0 {
		r.Interrupted, r.Attempts, r.Leased = true, leased, false
	}
	return r, err
}

func scanAttemptRow(rows pgx.Rows) (ledger.AttemptRow, error) {
	var r ledger.AttemptRow
	var err error
	r.Attempt, err = scanAttempt(rows, &r.Delivery)
	return r, err
}
