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

	args []any // of one statement after the other
}

func (in *intake) run() error {
	if err := in.update(); err != nil {
		return err
	}
	if err := in.deliveries(); err != nil {
		return err
	}
	if in.a.Rest == nil {
		in.w.packs.forget(in.upd)
	}
	if in.got.Duplicate && in.got.Added > 0 {
		if err := in.announce(in.upd, in.at); err != nil {
			return err
		}
	}
	return in.leave()
}

// update finds the update by its key or records it as the incident's next.
func (in *intake) update() error {
	if err := in.heed(); err != nil {
		return err
	}
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
	in.account()
	if err := in.unpackWhere(`incident = ?`, in.incident); err != nil {
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
