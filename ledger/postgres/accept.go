package postgres

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"sitrep/ledger"
)

const overtaken = "a newer update of the incident was accepted for this recipient"

// places is how many deliveries an update has room for: see the table's comment.
const (
	placeBits = 24
	places    = 1 << placeBits
)

// Accept implements [ledger.Intake].
func (l *Ledger) Accept(ctx context.Context, a ledger.Acceptance) (ledger.Accepted, error) {
	if err := a.Check(); err != nil {
		return ledger.Accepted{}, err
	}
	var got ledger.Accepted
	err := l.write(ctx, func(t *tx) error {
		got = ledger.Accepted{}
		at := micros(a.Update.Accepted)
		in := intake{tx: t, a: &a, at: at, now: at, got: &got}
		known, err := in.known()
		if err != nil {
			return err
		}
		if known {
			return in.more()
		}
		return in.fresh()
	})
	if err != nil {
		return ledger.Accepted{}, err
	}
	return got, nil
}

// intake is one acceptance, or one chunk of it, on its way into the tables.
type intake struct {
	*tx
	a   *ledger.Acceptance
	at  int64 // when it was accepted
	now int64 // when this is written
	got *ledger.Accepted

	late      bool // the update was whole before, and newer ones may be on their way
	cancelled bool

	upd, incident int64
	seq           int     // as recorded
	planned       int64   // places taken before
	renderings    []int64 // row ids; 0 while not stored
	added         []*ledger.Planned
}

// fresh records an update that was not known. Its deliveries, which are many, come
// first: nobody sees them until the commit, and nobody waits while they come. Only
// then the incident is taken.
func (in *intake) fresh() error {
	u := &in.a.Update
	fresh, err := in.draw()
	if err != nil {
		return err
	}
	if err := in.choose(map[recipient]bool{}); err != nil {
		return err
	}
	in.got.Update, in.seq = truncated(*u), u.Seq
	if err := in.copy(); err != nil {
		return err
	}
	if err := in.advance(fresh); err != nil {
		return err
	}
	touched := in.at
	if len(in.added) == 0 {
		touched = 0
	}
	err = in.exec(`INSERT INTO updates (n, key, incident, customer, severity, seq, status, at, accepted, next, title, override, source, content, planned, touched)
		VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13,$14,$15,$16)`,
		in.upd, u.Key, in.incident, u.Customer, in.a.Incident.Severity, u.Seq, u.Status, micros(u.At), in.at, micros(u.Next),
		u.Title, u.Override, u.Source, []byte(u.Content), len(in.added), touched)
	if e := failure(err); e != nil && e.ConstraintName == "updates_key" {
		return errAgain
	}
	if err != nil {
		return err
	}
	in.storeDrawn()
	in.feed.update(in.upd, in.at)
	if err := in.account(); err != nil {
		return err
	}
	return in.leave()
}

// draw finds the incident, or a number for it, and draws those of the update and its
// renderings.
func (in *intake) draw() (fresh bool, err error) {
	seq := 0
	_, err = in.row(`SELECT coalesce(i.n, nextval('incidents_n_seq')), i.n IS NULL, coalesce(i.seq, 0), nextval('updates_n_seq'),
			ARRAY(SELECT nextval('renderings_id_seq') FROM generate_series(1, $2::int))
		FROM (SELECT 1) x LEFT JOIN incidents i ON i.id = $1`,
		[]any{in.a.Incident.ID, len(in.a.Renderings)}, []any{&in.incident, &fresh, &seq, &in.upd, &in.renderings})
	if err == nil && in.a.Update.Seq != seq+1 {
		return false, in.outOfTurn(seq)
	}
	in.share()
	return fresh, err
}

// outOfTurn is what to say of an update that is not the incident's next: unless it is
// its latest, recorded by somebody else since we asked.
func (in *intake) outOfTurn(seq int) error {
	known, err := in.known()
	switch {
	case err != nil:
		return err
	case known:
		return errAgain
	}
	return fmt.Errorf("incident %s: %w (it has %d, this is %d)", in.a.Incident.ID, ledger.ErrSequence, seq, in.a.Update.Seq)
}

// advance records the incident as it is after this update, and holds it. If somebody
// was faster it is errAgain.
func (in *intake) advance(fresh bool) error {
	i := in.a.Incident
	query := `UPDATE incidents SET id = $2, customer = $3, severity = $4, started = $5, status = $6, seq = $7, updated = $8, next = $9
		WHERE n = $1 AND seq = $7 - 1`
	if fresh {
		query = `INSERT INTO incidents (n, id, customer, severity, started, status, seq, updated, next)
			VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9) ON CONFLICT (id) DO NOTHING`
	}
	n, err := in.changed(query, in.incident, i.ID, i.Customer, i.Severity, micros(i.Started), i.Status, in.a.Update.Seq, micros(i.Updated), micros(i.Next))
	if err == nil && n == 0 {
		err = errAgain
	}
	return err
}

// more adds to a known update those who are not there. It holds the incident and then
// sees what the update has, if it was not dropped while we waited.
func (in *intake) more() error {
	if err := in.hold(); err != nil {
		return err
	}
	in.late, in.renderings = true, make([]int64, len(in.a.Renderings))
	if err := in.add(); err != nil {
		return err
	}
	if in.got.Added > 0 {
		in.feed.update(in.upd, in.at)
	}
	return in.leave()
}

// hold takes a known update's incident and reads how it is then.
func (in *intake) hold() error {
	if _, err := in.ids(`SELECT n FROM incidents WHERE n = $1 FOR UPDATE`, in.incident); err != nil {
		return err
	}
	found, err := in.row(`SELECT u.planned, coalesce(x.remaining, 0) FROM updates u LEFT JOIN expansions x ON x.upd = u.n WHERE u.n = $1`,
		[]any{in.upd}, []any{&in.planned, &in.got.Update.Unwritten})
	if err == nil && !found {
		err = errAgain
	}
	return err
}

// add writes the deliveries whose recipients are not there, and ends what they overtake.
func (in *intake) add() error {
	there, err := in.present()
	if err != nil {
		return err
	}
	if err := in.choose(there); err != nil || len(in.added) == 0 {
		return err
	}
	for _, p := range in.added {
		if err := in.rendering(p.Rendering); err != nil {
			return err
		}
	}
	if err := in.insert(); err != nil {
		return err
	}
	if err := in.exec(`UPDATE updates SET planned = planned + $2, touched = greatest(touched, $3) WHERE n = $1`, in.upd, len(in.added), in.at); err != nil {
		return err
	}
	return in.account()
}

func (in *intake) known() (bool, error) {
	found := false
	err := in.each(updateColumns+updateTables+` WHERE u.key = $1`, []any{in.a.Update.Key}, func(rows pgx.Rows) error {
		u, err := scanUpdate(rows, &in.upd, &in.incident)
		found, in.got.Update, in.got.Duplicate, in.seq = true, u, true, u.Seq
		return err
	})
	return found, err
}

// recipient is whom an update is delivered to once.
type recipient struct{ channel, address string }

// choose finds the deliveries whose recipient is not there yet.
func (in *intake) choose(there map[recipient]bool) error {
	for i := range in.a.Deliveries {
		p := &in.a.Deliveries[i]
		to := recipient{p.Channel, p.To.Address}
		if !there[to] {
			there[to] = true
			in.added = append(in.added, p)
		}
	}
	in.got.Added = len(in.added)
	if in.planned+int64(len(in.added)) > places {
		return fmt.Errorf("update %s would have more than %d deliveries, which is the most there is room for", in.a.Update.Key, places)
	}
	return nil
}

// present is for whom of ours the update has a delivery.
func (in *intake) present() (map[recipient]bool, error) {
	var names, to []string
	for i := range in.a.Deliveries {
		names, to = append(names, in.a.Deliveries[i].Channel), append(to, in.a.Deliveries[i].To.Address)
	}
	there := map[recipient]bool{}
	// OFFSET 0: one lookup each, whatever the planner believes.
	err := in.each(`SELECT x.channel, x.address FROM unnest($3::text[], $4::text[]) AS x(channel, address)
		WHERE EXISTS (SELECT 1 FROM deliveries d WHERE d.incident = $1 AND d.channel = x.channel AND d.address = x.address AND d.seq = $2 OFFSET 0)`,
		[]any{in.incident, in.seq, names, to}, func(rows pgx.Rows) error {
			var r recipient
			err := rows.Scan(&r.channel, &r.address)
			there[r] = true
			return err
		})
	return there, err
}

// account counts what was added, ends what it overtakes and wakes whoever works it.
func (in *intake) account() error {
	pending, wake := 0, map[string]bool{}
	for _, p := range in.added {
		if outcome, _, _ := in.begins(p); outcome == ledger.Pending {
			pending++
			wake[p.Channel] = true
		}
	}
	in.pend(in.upd, in.incident, in.seq, pending)
	in.notify(slices.Collect(maps.Keys(wake))...)
	if in.late {
		if err := in.outdated(); err != nil {
			return err
		}
	}
	if in.seq == 1 || pending == 0 {
		return nil
	}
	return in.supersede()
}

// pend counts deliveries that are pending now.
func (t *tx) pend(upd, incident int64, seq, n int) {
	if n > 0 {
		t.last.Queue(`INSERT INTO unfinished AS f (upd, incident, seq, pending) VALUES ($1,$2,$3,$4)
			ON CONFLICT (upd) DO UPDATE SET pending = f.pending + excluded.pending`, upd, incident, seq, n)
	}
}

// lastID is the last id that a delivery of the update can have.
func lastID(upd int64) int64 { return (upd+1)<<placeBits - 1 }

// truncated is u as it will be read back.
func truncated(u ledger.Update) ledger.Update {
	u.Unwritten = 0
	for _, t := range []*time.Time{&u.At, &u.Accepted, &u.Next} {
		*t = instant(micros(*t))
	}
	return u
}

// fit reports whether the server can store s as text.
func fit(s string) bool { return utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 }
