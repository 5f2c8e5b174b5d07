package postgres

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/jackc/pgx/v5"

	"sitrep/ledger"
)

// Import implements [ledger.Importer]. Deliveries stream through; of attempts as many
// as imported at a time are held.
func (l *Ledger) Import(ctx context.Context, rows iter.Seq2[ledger.Row, error]) error {
	return l.once(ctx, func(t *tx) error {
		if err := errors.Join(t.patient(), t.empty()); err != nil {
			return err
		}
		next, stop := iter.Pull2(rows)
		defer stop()
		in := inflow{tx: t, next: next}
		return in.run()
	})
}

// empty keeps others from writing and makes sure that nobody has.
func (t *tx) empty() error {
	if err := t.exec(`LOCK TABLE incidents, suppressions, pauses, pages, entries IN EXCLUSIVE MODE`); err != nil {
		return err
	}
	found, err := t.row(`SELECT 1 WHERE EXISTS (SELECT 1 FROM incidents) OR EXISTS (SELECT 1 FROM suppressions) OR EXISTS (SELECT 1 FROM pauses)
		OR EXISTS (SELECT 1 FROM pages) OR EXISTS (SELECT 1 FROM entries)`, nil, []any{new(int)})
	if err == nil && found {
		err = ledger.ErrNotEmpty
	}
	return err
}

// imported is how many attempts are written at a time.
const imported = 500

// inflow is an import under way. row is the one to be dealt with now.
type inflow struct {
	*tx
	next func() (ledger.Row, error, bool)
	row  ledger.Row
	err  error

	upd, incident int64
	seq           int
	renderings    map[int64]int64
	planned       int64
	pending       int
}

// pull reads the next row and reports whether there is one.
func (in *inflow) pull() bool {
	var ok bool
	in.row, in.err, ok = in.next()
	return ok && in.err == nil
}

func (in *inflow) run() error {
	for more := in.pull(); more; {
		var err error
		switch r := in.row.(type) {
		case ledger.DeliveryRow:
			more, err = in.deliveries()
		case ledger.AttemptRow:
			more, err = in.attempts()
		default:
			err = in.single(r)
			more = err == nil && in.pull()
		}
		if err != nil {
			return err
		}
	}
	return in.err
}

// single records a row of those that are few.
func (in *inflow) single(r ledger.Row) error {
	switch r := r.(type) {
	case ledger.Incident:
		return in.exec(`INSERT INTO incidents (id, customer, severity, started, status, seq, updated, next) VALUES ($1,$2,$3,$4,$5,$6,$7,$8)`,
			r.ID, r.Customer, r.Severity, micros(r.Started), r.Status, r.Seq, micros(r.Updated), micros(r.Next))
	case ledger.UpdateRow:
		return in.update(r)
	case ledger.RenderingRow:
		var id int64
		_, err := in.tx.row(`INSERT INTO renderings (upd, digest, format, subject, text, html, payload) VALUES ($1,$2,$3,$4,$5,$6,$7) RETURNING id`,
			[]any{in.upd, digest(&r.Message), string(r.Format), r.Subject, r.Text, r.HTML, r.Payload}, []any{&id})
		in.renderings[r.ID] = id
		return err
	case ledger.Suppression:
		return in.exec(`INSERT INTO suppressions (channel, address, reason, at) VALUES ($1,$2,$3,$4)`, r.Channel, r.Address, r.Reason, micros(r.At))
	case ledger.Pause:
		return in.exec(`INSERT INTO pauses (channel, until, fault, detail, since) VALUES ($1,$2,$3,$4,$5)`,
			r.Channel, micros(r.Until), string(r.Fault), r.Detail, micros(r.Since))
	case ledger.Page:
		return in.exec(`INSERT INTO pages (address, token) VALUES ($1,$2)`, r.Address, r.Token)
	case ledger.PageEntry:
		return in.publish(r)
	}
	return fmt.Errorf("a ledger cannot hold a row of type %T", r)
}

func (in *inflow) update(r ledger.UpdateRow) error {
	in.seq, in.planned, in.pending, in.renderings = r.Seq, 0, 0, map[int64]int64{}
	found, err := in.tx.row(`INSERT INTO updates (key, incident, customer, severity, seq, status, at, accepted, next, title, override, source, content, touched)
		SELECT $1, n, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14 FROM incidents WHERE id = $2 RETURNING n, incident`,
		[]any{
			r.Key, r.Incident, r.Customer, r.Severity, r.Seq, r.Status, micros(r.At), micros(r.Accepted), micros(r.Next),
			r.Title, r.Override, r.Source, []byte(r.Content), micros(r.Touched),
		}, []any{&in.upd, &in.incident})
	if err == nil && !found {
		err = fmt.Errorf("update %s is of incident %s, which is not there", r.Key, r.Incident)
	}
	return err
}

var moved = []string{
	"id", "incident", "seq", "rendering", "accepted", "due", "expire", "settled", "attempts", "interrupted", "reopened", "outcome",
	"channel", "address", "key", "list", "audience", "name", "locale", "zone", "fault", "detail", "remote", "permalink", "thread",
}

// deliveries copies until another kind of row comes.
func (in *inflow) deliveries() (more bool, err error) {
	more = true
	first := true
	var bad error // the server would tell us in its own words
	_, err = in.CopyFrom(in.ctx, pgx.Identifier{"deliveries"}, moved, pgx.CopyFromFunc(func() (row []any, _ error) {
		if !first {
			more = in.pull()
		}
		first = false
		r, ok := in.row.(ledger.DeliveryRow)
		if !more || !ok {
			bad = in.err
			return nil, bad
		}
		row, bad = in.values(r)
		return row, bad
	}))
	if bad != nil {
		err = bad
	}
	if err != nil {
		return false, err
	}
	in.pend(in.upd, in.incident, in.seq, in.pending)
	return more, in.exec(`UPDATE updates SET planned = $2 WHERE n = $1`, in.upd, in.planned)
}

func (in *inflow) values(r ledger.DeliveryRow) ([]any, error) {
	rendering, ok := in.renderings[r.Rendering]
	if !ok || in.planned >= places {
		return nil, fmt.Errorf("delivery %s has no rendering, or its update has too many deliveries", r.Key)
	}
	if r.Outcome == ledger.Pending {
		in.pending++
	}
	id := in.upd<<placeBits + in.planned
	in.planned++
	return []any{
		id, in.incident, int64(r.Seq), rendering, micros(r.Accepted), micros(r.Due), micros(r.Expire), micros(r.Settled),
		int64(r.Attempts), r.Interrupted, r.Reopened, string(r.Outcome),
		r.Channel, r.To.Address, r.Key, r.List, r.Audience, r.To.Name, r.To.Locale, r.To.Zone,
		string(r.Fault), r.Detail, r.Receipt.RemoteID, r.Receipt.Permalink, string(r.Receipt.Thread),
	}, nil
}

// attempts writes the attempts at the deliveries before them, some at a time.
func (in *inflow) attempts() (more bool, err error) {
	for more = true; more; {
		var keys []string
		var a attempts
		for more && len(keys) < imported {
			r, ok := in.row.(ledger.AttemptRow)
			if !ok {
				break
			}
			keys = append(keys, r.Delivery)
			a.add(r.Attempt)
			more = in.pull()
		}
		if len(keys) == 0 {
			return more, nil
		}
		err := in.exec(`INSERT INTO attempts (delivery, number, fault, interrupted, detail, started, ended)
			SELECT d.id, x.number, x.fault, x.interrupted, x.detail, x.started, x.ended
			FROM unnest($1::text[], $2::bigint[], $3::text[], $4::boolean[], $5::text[], $6::bigint[], $7::bigint[])
				AS x(key, number, fault, interrupted, detail, started, ended) JOIN deliveries d ON d.key = x.key`,
			keys, a.numbers, a.faults, a.interrupted, a.details, a.started, a.ended)
		if err != nil {
			return false, err
		}
	}
	return false, nil
}

// attempts are attempts to put on record, one slice a column.
type attempts struct {
	numbers, started, ended []int64
	faults, details         []string
	interrupted             []bool
}

func (a *attempts) add(x ledger.Attempt) {
	a.numbers, a.started, a.ended = append(a.numbers, int64(x.Number)), append(a.started, micros(x.Started)), append(a.ended, micros(x.Ended))
	a.faults, a.details, a.interrupted = append(a.faults, string(x.Fault)), append(a.details, x.Detail), append(a.interrupted, x.Interrupted)
}
