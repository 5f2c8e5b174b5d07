package ledger

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"reflect"
	"time"

	"sitrep/channels"
)

// Exporter is the add-on that reads out a whole ledger.
type Exporter interface {
	// Export streams everything but tokens, drafts, rosters and the change feed, as it
	// is at one moment: incidents by age; then updates in the order of acceptance, each
	// followed by its renderings, its deliveries as they were planned, and their
	// attempts; then suppressions, pauses, pages, and entries as they were published.
	//
	// The attempt of a lease that has ended by now is exported as interrupted, as
	// the next claim would have put it on record. With one in force, and with an
	// update that is not wholly written (see [Expander]), it is ErrUnderWay.
	Export(ctx context.Context, now time.Time) iter.Seq2[Row, error]
}

// Importer is the add-on that fills an empty ledger.
type Importer interface {
	// Import records the rows of an export in one durable transaction. It is
	// ErrNotEmpty if there is any row of that kind already; then, and if rows has an
	// error, nothing of it is there.
	Import(ctx context.Context, rows iter.Seq2[Row, error]) error
}

// Row is one row of an export: an [Incident], [UpdateRow], [RenderingRow],
// [DeliveryRow], [AttemptRow], [Suppression], [Pause], [Page] or [PageEntry].
type Row interface{ row() }

// UpdateRow is an update.
type UpdateRow struct {
	Update
	Severity string    // the incident's when the update was accepted
	Touched  time.Time // when its latest delivery was accepted
}

// RenderingRow is a rendering of the update before it.
type RenderingRow struct {
	ID int64 // as in DeliveryRow.Rendering; it means nothing beyond this export
	channels.Message
}

// DeliveryRow is a delivery of the update before it. It is never leased.
type DeliveryRow struct {
	Delivery
	Interrupted, Reopened bool // as in Claim
}

// AttemptRow is an attempt at one of the deliveries before it.
type AttemptRow struct {
	Delivery string // its key
	Attempt
}

func (Incident) row()     {}
func (UpdateRow) row()    {}
func (RenderingRow) row() {}
func (DeliveryRow) row()  {}
func (AttemptRow) row()   {}
func (Suppression) row()  {}
func (Pause) row()        {}
func (Page) row()         {}
func (PageEntry) row()    {}

// Moved is how many of each were copied by [Move].
type Moved struct {
	Incidents, Updates, Renderings, Deliveries, Attempts int
	Suppressions, Pauses, Pages, Entries                 int
	Tokens, Drafts                                       int
}

// Move copies everything from one ledger to another, empty one, then reads both and
// compares them. The change feed begins anew, so those who follow it start over.
// Nobody may work on either of the two meanwhile: what is recorded in from after the
// copy began is not copied (the comparison notices). If it fails it can be repeated;
// from is only read.
func Move(ctx context.Context, from, to Ledger, now time.Time) (Moved, error) {
	var n Moved
	source, ok := from.(Exporter)
	if !ok {
		return n, errors.New("this kind of ledger cannot be read out")
	}
	target, ok := to.(interface {
		Importer
		Exporter
	})
	if !ok {
		return n, errors.New("this kind of ledger cannot be copied into")
	}
	if err := n.people(ctx, from, to); err != nil {
		return n, err
	}
	if err := target.Import(ctx, n.counting(source.Export(ctx, now))); err != nil {
		return n, fmt.Errorf("copy the ledger: %w", err)
	}
	if err := compare(source.Export(ctx, now), target.Export(ctx, now)); err != nil {
		return n, fmt.Errorf("the copy is not the same as the original: %w; do not use it: empty it, and copy again while no sitrep runs", err)
	}
	return n, nil
}

// people copies tokens and drafts. Those that are there already, from a copy that was
// not finished, stay.
func (m *Moved) people(ctx context.Context, from, to Ledger) error {
	if a, ok := from.(Tokens); ok {
		if err := m.tokens(ctx, a, to); err != nil {
			return fmt.Errorf("copy the tokens: %w", err)
		}
	}
	if a, ok := from.(Drafts); ok {
		if err := m.drafts(ctx, a, to); err != nil {
			return fmt.Errorf("copy the drafts: %w", err)
		}
	}
	return nil
}

func (m *Moved) tokens(ctx context.Context, from Tokens, to Ledger) error {
	all, err := from.Tokens(ctx)
	if err != nil || len(all) == 0 {
		return err
	}
	target, ok := to.(Tokens)
	if !ok {
		return errors.New("the other kind of ledger has no place for them")
	}
	for _, t := range all {
		_, err := target.Token(ctx, t.ID)
		if errors.Is(err, ErrNotFound) {
			err = target.AddToken(ctx, t)
		}
		if err != nil {
			return err
		}
		m.Tokens++
	}
	return nil
}

func (m *Moved) drafts(ctx context.Context, from Drafts, to Ledger) error {
	all, err := from.Drafts(ctx, "")
	if err != nil || len(all) == 0 {
		return err
	}
	target, ok := to.(Drafts)
	if !ok {
		return errors.New("the other kind of ledger has no place for them")
	}
	for i := range all {
		// They come newest first; equal times are told apart by who came first.
		if err := target.PutDraft(ctx, all[len(all)-1-i]); err != nil {
			return err
		}
		m.Drafts++
	}
	return nil
}

// counting passes rows on and counts them.
func (m *Moved) counting(rows iter.Seq2[Row, error]) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		for r, err := range rows {
			if err == nil {
				m.count(r)
			}
			if !yield(r, err) {
				return
			}
		}
	}
}

func (m *Moved) count(r Row) {
	switch r.(type) {
	case Incident:
		m.Incidents++
	case UpdateRow:
		m.Updates++
	case RenderingRow:
		m.Renderings++
	case DeliveryRow:
		m.Deliveries++
	case AttemptRow:
		m.Attempts++
	case Suppression:
		m.Suppressions++
	case Pause:
		m.Pauses++
	case Page:
		m.Pages++
	case PageEntry:
		m.Entries++
	}
}

// compare reads two exports side by side.
func compare(a, b iter.Seq2[Row, error]) error {
	next, stop := iter.Pull2(b)
	defer stop()
	ids := map[int64]int64{} // what the second calls a rendering of the first
	for x, err := range a {
		if err != nil {
			return err
		}
		y, err, ok := next()
		switch {
		case err != nil:
			return err
		case !ok:
			return fmt.Errorf("it ends before %s", describe(x))
		case !equal(x, y, ids):
			return fmt.Errorf("%s became %s", describe(x), describe(y))
		}
	}
	if y, err, ok := next(); ok {
		return errors.Join(err, fmt.Errorf("it has %s too", describe(y)))
	}
	return nil
}

// equal reports whether two rows are the same but for the ids of renderings.
func equal(x, y Row, ids map[int64]int64) bool {
	switch x := x.(type) {
	case UpdateRow:
		clear(ids)
	case RenderingRow:
		if y, ok := y.(RenderingRow); ok {
			ids[x.ID] = y.ID
			x.ID = y.ID
			x.Payload, y.Payload = append([]byte{}, x.Payload...), append([]byte{}, y.Payload...)
			return reflect.DeepEqual(x, y)
		}
	case DeliveryRow:
		x.Rendering = ids[x.Rendering]
		return reflect.DeepEqual(Row(x), y)
	}
	return reflect.DeepEqual(x, y)
}

// describe names a row without its contents, which are not everybody's to see.
func describe(r Row) string {
	switch r := r.(type) {
	case Incident:
		return "incident " + r.ID
	case UpdateRow:
		return "update " + r.Key
	case RenderingRow:
		return fmt.Sprintf("rendering %d (%s)", r.ID, r.Format)
	case DeliveryRow:
		return "delivery " + r.Key
	case AttemptRow:
		return fmt.Sprintf("attempt %d of delivery %s", r.Number, r.Delivery)
	case Suppression:
		return "a suppression of channel " + r.Channel
	case Pause:
		return "the pause of channel " + r.Channel
	case Page:
		return "page " + r.Address
	case PageEntry:
		return "page entry " + r.Key
	}
	return "nothing"
}
