package dispatcher

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"slices"

	"sitrep/ledger"
)

// draft is what a plan's deliveries are made of.
type draft struct {
	roster     *roster
	selection  *selection
	suppressed map[place]string
	there      there
	new        int // how many are not there
}

// Count is how many recipients the plan has.
func (p Plan) Count() int {
	n := 0
	for _, told := range p.told {
		n += told
	}
	return n
}

// Recipients is how many get a rendering, by its index.
func (p Plan) Recipients(rendering int) int { return p.told[rendering] }

// Deliveries are the plan's, made one by one.
func (p Plan) Deliveries() iter.Seq[Delivery] {
	if p.draft == nil {
		return slices.Values(p.given)
	}
	return p.draft.deliveries
}

func (d *draft) deliveries(yield func(Delivery) bool) {
	m, err := d.maker()
	if err != nil {
		return // no plan comes out like that, and such a one is not published
	}
	for n, row := range d.rows(m, 0, d.roster.places()) {
		x := Delivery{
			Target: d.roster.target(n, &d.selection.choice, m.servings[d.roster.class[n]]),
			Key:    row.Key, Rendering: row.Rendering, Expire: row.Expire, Suppressed: row.Suppressed, Already: d.there.has(row.Key),
		}
		if x.To.Zone == nil {
			x.To.Zone = d.roster.party.Zone
		}
		if !yield(x) {
			return
		}
	}
}

func (d *draft) maker() (*maker, error) { return d.selection.maker(d.roster.classes, d.suppressed) }

// rows are the deliveries for some places, each with the place's number.
func (d *draft) rows(m *maker, from, to int) iter.Seq2[int, ledger.Planned] {
	return func(yield func(int, ledger.Planned) bool) {
		var contacts []contact
		for n := from; n < to; n++ {
			x := d.roster.seat(n, contacts[:0])
			contacts = x.contacts
			if row, told := m.planned(x); told && !yield(n, row) {
				return
			}
		}
	}
}

// fresh are the deliveries for some places that are not on record already.
func (d *draft) fresh(m *maker, from, to int) iter.Seq[ledger.Planned] {
	return func(yield func(ledger.Planned) bool) {
		for _, row := range d.rows(m, from, to) {
			if !d.there.has(row.Key) && !yield(row) {
				return
			}
		}
	}
}

// enough is how many deliveries are written with an update at least, if it has so
// many: what its lanes begin with.
const enough = 64

// begin is the new deliveries of the first chunks, and what the ledger needs for the
// others; nil if there are none. count is how many are new in all.
func (d *draft) begin(m *maker, count int) (rows []ledger.Planned, rest *ledger.Rest, err error) {
	n := 0
	for ; n < d.roster.chunks() && len(rows) < enough; n++ {
		from, to := d.roster.bounds(n)
		rows = slices.AppendSeq(rows, d.fresh(m, from, to))
	}
	if len(rows) == count {
		return rows, nil, nil
	}
	plan, err := json.Marshal(d.selection)
	if err != nil {
		return nil, nil, fmt.Errorf("write down who is told: %w", err)
	}
	return rows, &ledger.Rest{
		Roster: d.roster.digest, Chunk: n, Chunks: d.roster.chunks(), Count: count - len(rows), Plan: plan,
	}, nil
}

// there is which deliveries an earlier acceptance has recorded, compactly.
type there struct {
	keys [][ofUpdate + ofPlace]byte // sorted
	all  bool                       // or are about to be
}

func (t there) has(key string) bool {
	if t.all || len(t.keys) == 0 {
		return t.all
	}
	_, found := slices.BinarySearchFunc(t.keys, key, func(k [ofUpdate + ofPlace]byte, key string) int {
		return bytes.Compare(k[:], []byte(key))
	})
	return found
}

// told finds who was told by an earlier acceptance. While it is still being written
// down everybody counts.
func (d *Dispatcher) told(ctx context.Context, earlier ledger.Update) (there, error) {
	t := there{all: earlier.Unwritten > 0}
	if t.all {
		return t, nil
	}
	for row, err := range d.o.Ledger.Deliveries(ctx, ledger.DeliveryQuery{Update: earlier.Key}) {
		if err != nil {
			return t, fmt.Errorf("look up who was told of update %s: %w", earlier.Key, err)
		}
		var k [ofUpdate + ofPlace]byte
		copy(k[:], row.Key)
		t.keys = append(t.keys, k)
	}
	slices.SortFunc(t.keys, func(a, b [ofUpdate + ofPlace]byte) int { return bytes.Compare(a[:], b[:]) })
	return t, nil
}
