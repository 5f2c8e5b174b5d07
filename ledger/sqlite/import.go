package sqlite

import (
	"context"
	"fmt"
	"iter"

	"sitrep/ledger"
)

// Import implements [ledger.Importer].
func (l *Ledger) Import(ctx context.Context, rows iter.Seq2[ledger.Row, error]) error {
	return l.writeAlone(ctx, func(t *tx) error {
		if err := t.empty(); err != nil {
			return err
		}
		in := inflow{tx: t}
		n := 0
		for r, err := range rows {
			if err != nil {
				return err
			}
			if n++; n%256 == 0 && t.alive() != nil {
				return t.alive()
			}
			if err := in.put(r); err != nil {
				return err
			}
		}
		return in.finish()
	})
}

func (t *tx) empty() error {
	found, err := t.row(`SELECT 1 WHERE EXISTS (SELECT 1 FROM incidents) OR EXISTS (SELECT 1 FROM suppressions) OR EXISTS (SELECT 1 FROM pauses)
		OR EXISTS (SELECT 1 FROM pages) OR EXISTS (SELECT 1 FROM entries)`, nil, []any{new(int)})
	if err == nil && found {
		err = ledger.ErrNotEmpty
	}
	return err
}

// inflow is an import under way; upd and what follows are of the update read last.
type inflow struct {
	*tx
	upd, incident, first, last int64
	pending                    int
	renderings                 map[int64]int64
}

func (in *inflow) put(r ledger.Row) error {
	switch r := r.(type) {
	case ledger.Incident:
		_, err := in.exec(`INSERT INTO incidents (id, customer, severity, started, status, seq, updated, next) VALUES (?,?,?,?,?,?,?,?)`,
			r.ID, r.Customer, r.Severity, micros(r.Started), r.Status, r.Seq, micros(r.Updated), micros(r.Next))
		return err
	case ledger.UpdateRow:
		return in.update(r)
	case ledger.RenderingRow:
		x, err := in.exec(`INSERT INTO renderings (upd, digest, format, subject, text, html, payload) VALUES (?,?,?,?,?,?,?)`,
			in.upd, digest(r.Message), string(r.Format), r.Subject, r.Text, r.HTML, r.Payload)
		if err != nil {
			return err
		}
		in.renderings[r.ID], err = x.LastInsertId()
		return err
	case ledger.DeliveryRow:
		return in.delivery(r)
	case ledger.AttemptRow:
		var id int64
		if _, err := in.row(`SELECT id FROM deliveries WHERE key = ?`, []any{r.Delivery}, []any{&id}); err != nil {
			return err
		}
		return in.attempt(id, r.Attempt)
	}
	return in.other(r)
}

func (in *inflow) other(r ledger.Row) error {
	var err error
	switch r := r.(type) {
	case ledger.Suppression:
		_, err = in.exec(`INSERT INTO suppressions (channel, address, reason, at) VALUES (?,?,?,?)`, r.Channel, r.Address, r.Reason, micros(r.At))
	case ledger.Pause:
		_, err = in.exec(`INSERT INTO pauses (channel, until, fault, detail, since) VALUES (?,?,?,?,?)`,
			r.Channel, micros(r.Until), string(r.Fault), r.Detail, micros(r.Since))
	case ledger.Page:
		_, err = in.exec(`INSERT INTO pages (address, token) VALUES (?,?)`, r.Address, r.Token)
	case ledger.PageEntry:
		_, err = in.exec(`INSERT INTO entries (key, page, at, payload) VALUES (?,?,?,?)`, r.Key, r.Page, micros(r.At), append([]byte{}, r.Payload...))
	default:
		err = fmt.Errorf("a ledger cannot hold a row of type %T", r)
	}
	return err
}

func (in *inflow) update(r ledger.UpdateRow) error {
	if err := in.finish(); err != nil {
		return err
	}
	in.first, in.last, in.pending, in.renderings = 0, 0, 0, map[int64]int64{}
	found, err := in.row(`SELECT n FROM incidents WHERE id = ?`, []any{r.Incident}, []any{&in.incident})
	if err != nil {
		return err
	}
	if !found {
		return fmt.Errorf("update %s is of incident %s, which is not there", r.Key, r.Incident)
	}
	x, err := in.exec(`INSERT INTO updates (key, incident, customer, severity, seq, status, at, accepted, next, title, override, source, content, touched)
		VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)`,
		r.Key, in.incident, r.Customer, r.Severity, r.Seq, r.Status, micros(r.At), micros(r.Accepted), micros(r.Next),
		r.Title, r.Override, r.Source, []byte(r.Content), micros(r.Touched))
	if err != nil {
		return err
	}
	in.upd, err = x.LastInsertId()
	return err
}

func (in *inflow) delivery(r ledger.DeliveryRow) error {
	rendering, ok := in.renderings[r.Rendering]
	if !ok {
		return fmt.Errorf("delivery %s has no rendering", r.Key)
	}
	x, err := in.exec(`INSERT INTO deliveries (upd, incident, seq, channel, address, key, rendering, accepted, due, expire, outcome, attempts,
		interrupted, reopened, settled, list, audience, name, locale, zone, fault, detail, remote, permalink, thread)
		VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)`,
		in.upd, in.incident, r.Seq, r.Channel, r.To.Address, r.Key, rendering, micros(r.Accepted), micros(r.Due), micros(r.Expire), string(r.Outcome), r.Attempts,
		r.Interrupted, r.Reopened, micros(r.Settled), r.List, r.Audience, r.To.Name, r.To.Locale, r.To.Zone,
		string(r.Fault), r.Detail, r.Receipt.RemoteID, r.Receipt.Permalink, string(r.Receipt.Thread))
	if err != nil {
		return err
	}
	if r.Outcome == ledger.Pending {
		in.pending++
	}
	in.last, err = x.LastInsertId()
	if in.first == 0 {
		in.first = in.last
	}
	return err
}

// finish notes on the update which deliveries it has.
func (in *inflow) finish() error {
	if in.first == 0 {
		return nil
	}
	_, err := in.exec(`UPDATE updates SET first = ?, last = ?, pending = ? WHERE n = ?`, in.first, in.last, in.pending, in.upd)
	return err
}
