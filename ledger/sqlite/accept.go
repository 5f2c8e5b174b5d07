package sqlite

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"fmt"
	"io"
	"strconv"
	"time"

	"sitrep/channels"
	"sitrep/ledger"
)

const overtaken = "a newer update of the incident was accepted for this recipient"

// Accept implements [ledger.Intake].
func (l *Ledger) Accept(ctx context.Context, a ledger.Acceptance) (ledger.Accepted, error) {
	if err := a.Check(); err != nil {
		return ledger.Accepted{}, err
	}
	var got ledger.Accepted
	err := l.write(ctx, func(t *tx) error {
		got = ledger.Accepted{}
		at := micros(a.Update.Accepted)
		in := intake{tx: t, a: a, at: at, now: at, renderings: make([]int64, len(a.Renderings)), got: &got}
		return in.run()
	})
	if err != nil {
		return ledger.Accepted{}, err
	}
	return got, nil
}

// intake is one acceptance, or one chunk of it, on its way into the file.
type intake struct {
	*tx
	a   ledger.Acceptance
	at  int64 // when it was accepted
	now int64 // when this is written
	got *ledger.Accepted

	late      bool // the update was whole before, and newer ones may be on their way
	cancelled bool

	upd, incident int64
	seq           int     // as recorded
	renderings    []int64 // row ids; 0 while not stored
	first, last   int64   // ids of the deliveries added
	pending       int
}

func (in *intake) run() error {
	if err := in.update(); err != nil {
		return err
	}
	if err := in.deliveries(); err != nil {
		return err
	}
	if in.got.Duplicate && in.got.Added > 0 {
		if err := in.announce(in.upd, in.at); err != nil {
			return err
		}
	}
	return in.leave()
}

// deliveries adds those that are not there, and ends what they overtake.
func (in *intake) deliveries() error {
	for i := range in.a.Deliveries {
		if i%256 == 0 && in.alive() != nil {
			return in.alive()
		}
		if err := in.delivery(&in.a.Deliveries[i]); err != nil {
			return err
		}
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

// update finds the update by its key or records it as the incident's next.
func (in *intake) update() error {
	known, err := in.known()
	if known || err != nil {
		return err
	}
	if err := in.advance(); err != nil {
		return err
	}
	u := in.a.Update
	r, err := in.exec(`INSERT INTO updates (key, incident, customer, severity, seq, status, at, accepted, next, title, override, source, content)
		VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)`,
		u.Key, in.incident, u.Customer, in.a.Incident.Severity, u.Seq, u.Status, micros(u.At), in.at, micros(u.Next),
		u.Title, u.Override, u.Source, []byte(u.Content))
	if err != nil {
		return err
	}
	in.got.Update = truncated(u)
	in.seq = u.Seq
	if in.upd, err = r.LastInsertId(); err != nil {
		return err
	}
	return in.announce(in.upd, in.at)
}

func (in *intake) known() (bool, error) {
	found := false
	err := in.each(updateColumns+updateTables+` WHERE u.key = ?`, []any{in.a.Update.Key}, func(rows *sql.Rows) error {
		u, err := scanUpdate(rows, &in.upd, &in.incident)
		found, in.late, in.got.Update, in.got.Duplicate, in.seq = true, true, u, true, u.Seq
		return err
	})
	return found, err
}

// advance records the incident as it is after this update, if the update is its next.
func (in *intake) advance() error {
	var seq int
	i := in.a.Incident
	exists, err := in.row(`SELECT n, seq FROM incidents WHERE id = ?`, []any{i.ID}, []any{&in.incident, &seq})
	if err != nil {
		return err
	}
	if in.a.Update.Seq != seq+1 {
		return fmt.Errorf("incident %s: %w (it has %d, this is %d)", i.ID, ledger.ErrSequence, seq, in.a.Update.Seq)
	}
	values := []any{i.Customer, i.Severity, micros(i.Started), i.Status, in.a.Update.Seq, micros(i.Updated), micros(i.Next), i.ID}
	if exists {
		_, err = in.exec(`UPDATE incidents SET customer = ?, severity = ?, started = ?, status = ?, seq = ?, updated = ?, next = ? WHERE id = ?`, values...)
		return err
	}
	r, err := in.exec(`INSERT INTO incidents (customer, severity, started, status, seq, updated, next, id) VALUES (?,?,?,?,?,?,?,?)`, values...)
	if err != nil {
		return err
	}
	in.incident, err = r.LastInsertId()
	return err
}

// delivery adds one, unless its recipient is there already.
func (in *intake) delivery(p *ledger.Planned) error {
	if in.got.Duplicate {
		if there, err := in.there(p); there || err != nil {
			return err
		}
	}
	rendering, err := in.rendering(p.Rendering)
	if err != nil {
		return err
	}
	r, err := in.insert(p, rendering)
	if err != nil {
		return err
	}
	if n, err := r.RowsAffected(); err != nil || n == 0 {
		return in.conflict(p, err)
	}
	return in.added(p, r)
}

func (in *intake) insert(p *ledger.Planned, rendering int64) (sql.Result, error) {
	outcome, settled, detail := ledger.Pending, int64(0), ""
	switch {
	case p.Suppressed != "":
		outcome, settled, detail = ledger.Suppressed, in.now, ledger.CleanText(p.Suppressed)
	case in.cancelled:
		outcome, settled, detail = ledger.Cancelled, in.now, calledBack
	}
	return in.exec(`INSERT INTO deliveries (upd, incident, seq, channel, address, key, rendering, accepted, due, expire,
		outcome, settled, list, audience, name, locale, zone, detail)
		VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT DO NOTHING`,
		in.upd, in.incident, in.seq, p.Channel, p.To.Address, p.Key, rendering, in.at, in.at, micros(p.Expire),
		string(outcome), settled, p.List, p.Audience, p.To.Name, p.To.Locale, p.To.Zone, detail)
}

// added keeps the account of what this acceptance has put in.
func (in *intake) added(p *ledger.Planned, r sql.Result) error {
	in.got.Added++
	if p.Suppressed == "" && !in.cancelled {
		in.pending++
	}
	var err error
	in.last, err = r.LastInsertId()
	if in.first == 0 {
		in.first = in.last
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

// rendering is the row of a rendering; equal ones of an update share one.
func (in *intake) rendering(i int) (int64, error) {
	if in.renderings[i] != 0 {
		return in.renderings[i], nil
	}
	m := in.a.Renderings[i]
	sum := digest(m)
	id := &in.renderings[i]
	found, err := in.row(`SELECT id FROM renderings WHERE upd = ? AND digest = ?`, []any{in.upd, sum}, []any{id})
	if found || err != nil {
		return *id, err
	}
	r, err := in.exec(`INSERT INTO renderings (upd, digest, format, subject, text, html, payload) VALUES (?,?,?,?,?,?,?)`,
		in.upd, sum, string(m.Format), m.Subject, m.Text, m.HTML, m.Payload)
	if err != nil {
		return 0, err
	}
	*id, err = r.LastInsertId()
	return *id, err
}

func digest(m channels.Message) []byte {
	h := sha256.New()
	for _, s := range []string{string(m.Format), m.Subject, m.Text, m.HTML, string(m.Payload)} {
		_, _ = io.WriteString(h, strconv.Itoa(len(s))+":"+s) // a hash takes everything
	}
	return h.Sum(nil)
}

// enclose notes on the update which deliveries were added.
func (in *intake) enclose() error {
	_, err := in.exec(`UPDATE updates SET first = iif(first = 0, ?, first), last = ?, touched = max(touched, ?), pending = pending + ? WHERE n = ?`,
		in.first, in.last, in.at, in.pending, in.upd)
	return err
}

// truncated is u as it will be read back.
func truncated(u ledger.Update) ledger.Update {
	u.Unwritten = 0
	for _, t := range []*time.Time{&u.At, &u.Accepted, &u.Next} {
		*t = instant(micros(*t))
	}
	return u
}
