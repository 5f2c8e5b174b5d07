package sqlite

import (
	"database/sql"
	"fmt"
	"strings"

	"sitrep/ledger"
)

// together is how many deliveries one statement adds. A statement has a price of its
// own that they share; from here on more of them save nothing.
const together = 16

const deliveryValues = `upd, incident, seq, rendering, accepted, due, channel, expire, outcome, settled, detail, list, audience, locale, zone, address, key, name`

var (
	insertOne  = insertion(1)
	insertMany = insertion(together)
)

// insertion adds n deliveries that differ only in who they are for.
//
// OR FAIL: what a statement of many rows has done when it fails stays done. The
// transaction is rolled back then in any case, and SQLite need not keep a journal of
// the statement to undo it, which took it as long as the rows themselves.
func insertion(n int) string {
	const row = `(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?,?,?)`
	return `INSERT OR FAIL INTO deliveries (` + deliveryValues + `) VALUES ` + strings.Repeat(row+`,`, n-1) + row + ` ON CONFLICT DO NOTHING`
}

// deliveries adds those that are not there, and ends what they overtake.
func (in *intake) deliveries() error {
	pack, err := in.packing()
	if err != nil {
		return err
	}
	for rest := in.a.Deliveries; len(rest) > 0; {
		if in.alive() != nil {
			return in.alive()
		}
		n := 0
		if pack {
			n, err = in.pack(rest)
		}
		if n == 0 && err == nil {
			n, err = in.some(rest)
		}
		if err != nil {
			return err
		}
		rest = rest[n:]
	}
	if in.got.Added == 0 {
		return nil
	}
	if err := in.enclose(); err != nil {
		return err
	}
	if in.late {
		if err := in.outdated(); err != nil {
			return err
		}
	}
	return in.supersede()
}

// some adds the first few of all and returns how many they were.
func (in *intake) some(all []ledger.Planned) (int, error) {
	if in.got.Duplicate || len(all) < together || !alike(all[:together]) {
		return 1, in.delivery(&all[0])
	}
	r, err := in.insert(insertMany, all[:together])
	if err != nil {
		return 0, err
	}
	n, err := r.RowsAffected()
	if err != nil {
		return 0, err
	}
	if n == together {
		return together, in.added(all[:together], r)
	}
	// Somebody among them is there already. One by one they say who.
	if err := in.undo(r, n); err != nil {
		return 0, err
	}
	for i := range all[:together] {
		if err := in.delivery(&all[i]); err != nil {
			return 0, err
		}
	}
	return together, nil
}

// alike reports that nothing but who they are for tells them apart.
func alike(all []ledger.Planned) bool {
	for i := range all[1:] {
		a, b := &all[0], &all[i+1]
		if a.Channel != b.Channel || a.Rendering != b.Rendering || !a.Expire.Equal(b.Expire) || a.Suppressed != b.Suppressed ||
			a.List != b.List || a.Audience != b.Audience || a.To.Locale != b.To.Locale || a.To.Zone != b.To.Zone {
			return false
		}
	}
	return true
}

// undo takes back what an insertion of n rows has added.
func (in *intake) undo(r sql.Result, n int64) error {
	if n == 0 {
		return nil
	}
	last, err := r.LastInsertId()
	if err != nil {
		return err
	}
	_, err = in.exec(`DELETE FROM deliveries WHERE id BETWEEN ? AND ?`, last-n+1, last)
	return err
}

// delivery adds one, unless its recipient is there already.
func (in *intake) delivery(p *ledger.Planned) error {
	if in.got.Duplicate {
		if there, err := in.there(p); there || err != nil {
			return err
		}
	}
	one := []ledger.Planned{*p}
	r, err := in.insert(insertOne, one)
	if err != nil {
		return err
	}
	if n, err := r.RowsAffected(); err != nil || n == 0 {
		return in.conflict(p, err)
	}
	return in.added(one, r)
}

// insert runs a statement of [insertion] for those, who are alike.
func (in *intake) insert(query string, all []ledger.Planned) (sql.Result, error) {
	p := &all[0]
	rendering, err := in.rendering(p.Rendering)
	if err != nil {
		return nil, err
	}
	outcome, settled, detail := in.born(p)
	args := append(in.args[:0], in.upd, in.incident, in.seq, rendering, in.at, in.at, p.Channel, micros(p.Expire),
		string(outcome), settled, detail, p.List, p.Audience, p.To.Locale, p.To.Zone)
	for i := range all {
		args = append(args, all[i].To.Address, all[i].Key, all[i].To.Name)
	}
	in.args = args
	return in.exec(query, args...)
}

// born is the outcome a delivery begins with: most have none.
func (in *intake) born(p *ledger.Planned) (outcome ledger.Outcome, settled int64, detail string) {
	switch {
	case p.Suppressed != "":
		return ledger.Suppressed, in.now, ledger.CleanText(p.Suppressed)
	case in.cancelled:
		return ledger.Cancelled, in.now, calledBack
	}
	return ledger.Pending, 0, ""
}

// added keeps the account of those that were put in by one statement.
func (in *intake) added(all []ledger.Planned, r sql.Result) error {
	in.got.Added += len(all)
	if all[0].Suppressed == "" && !in.cancelled {
		in.pending += len(all)
	}
	var err error
	in.last, err = r.LastInsertId()
	if in.first == 0 {
		in.first = in.last - int64(len(all)) + 1
	}
	return err
}

// conflict tells a recipient that is there already from a key used twice.
func (in *intake) conflict(p *ledger.Planned, err error) error {
	if err != nil {
		return err
	}
	there, err := in.there(p)
	if err == nil && !there {
		err = fmt.Errorf("the delivery key %s is that of another delivery", p.Key)
	}
	return err
}

// there reports whether the update has a delivery for this recipient.
func (in *intake) there(p *ledger.Planned) (bool, error) {
	return in.row(`SELECT 1 FROM deliveries WHERE incident = ? AND channel = ? AND address = ? AND seq = ?`,
		[]any{in.incident, p.Channel, p.To.Address, in.seq}, []any{new(int)})
}
