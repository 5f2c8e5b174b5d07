package postgres

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"sitrep/channels"
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
		in := intake{tx: t, a: &a, at: micros(a.Update.Accepted), got: &got}
		return in.run()
	})
	if err != nil {
		return ledger.Accepted{}, err
	}
	return got, nil
}

// intake is one acceptance on its way into the tables.
type intake struct {
	*tx
	a   *ledger.Acceptance
	at  int64 // when it was accepted
	got *ledger.Accepted

	upd, incident, planned int64
	seq                    int // as recorded
	first                  int64
	added                  []*ledger.Planned
}

func (in *intake) run() error {
	if err := in.update(); err != nil || len(in.added) == 0 {
		return err
	}
	if err := in.store(); err != nil {
		return err
	}
	if in.got.Duplicate {
		if err := in.late(); err != nil {
			return err
		}
	}
	if in.seq == 1 {
		return nil
	}
	return in.supersede()
}

// update finds the update by its key or records it as the incident's next, and chooses
// what to add to it. From then on its incident is ours.
func (in *intake) update() error {
	known, err := in.known()
	if err != nil {
		return err
	}
	if known {
		return in.again()
	}
	if err := in.advance(); err != nil {
		return err
	}
	u := &in.a.Update
	in.got.Update, in.seq = truncated(*u), u.Seq
	if err := in.choose(map[recipient]bool{}); err != nil {
		return err
	}
	touched := in.at
	if len(in.added) == 0 {
		touched = 0
	}
	_, err = in.row(`INSERT INTO updates (key, incident, customer, severity, seq, status, at, accepted, next, title, override, source, content, planned, touched)
		VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13,$14,$15) RETURNING n`,
		[]any{
			u.Key, in.incident, u.Customer, in.a.Incident.Severity, u.Seq, u.Status, micros(u.At), in.at, micros(u.Next),
			u.Title, u.Override, u.Source, []byte(u.Content), len(in.added), touched,
		}, []any{&in.upd})
	if e := failure(err); e != nil && e.ConstraintName == "updates_key" {
		return errAgain
	}
	return err
}

// again holds the incident of a known update, and then sees what the update has, if it
// was not dropped while we waited.
func (in *intake) again() error {
	if _, err := in.ids(`SELECT n FROM incidents WHERE n = $1 FOR UPDATE`, in.incident); err != nil {
		return err
	}
	found, err := in.row(`SELECT planned FROM updates WHERE n = $1`, []any{in.upd}, []any{&in.planned})
	if err == nil && !found {
		err = errAgain
	}
	if err != nil {
		return err
	}
	there, err := in.present()
	if err != nil {
		return err
	}
	if err := in.choose(there); err != nil || len(in.added) == 0 {
		return err
	}
	return in.exec(`UPDATE updates SET planned = planned + $2, touched = greatest(touched, $3) WHERE n = $1`, in.upd, len(in.added), in.at)
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

// advance records the incident as it is after this update, if the update is its next.
func (in *intake) advance() error {
	i := in.a.Incident
	seq := 0
	values := []any{i.ID, i.Customer, i.Severity, micros(i.Started), i.Status, in.a.Update.Seq, micros(i.Updated), micros(i.Next)}
	fresh, err := in.row(`INSERT INTO incidents (id, customer, severity, started, status, seq, updated, next)
		VALUES ($1,$2,$3,$4,$5,$6,$7,$8) ON CONFLICT (id) DO NOTHING RETURNING n`, values, []any{&in.incident})
	if err != nil {
		return err
	}
	if !fresh {
		if err := in.hold(&seq); err != nil {
			return err
		}
	}
	if in.a.Update.Seq != seq+1 {
		return fmt.Errorf("incident %s: %w (it has %d, this is %d)", i.ID, ledger.ErrSequence, seq, in.a.Update.Seq)
	}
	if fresh {
		return nil
	}
	return in.exec(`UPDATE incidents SET customer = $2, severity = $3, started = $4, status = $5, seq = $6, updated = $7, next = $8 WHERE id = $1`, values...)
}

// hold takes the incident that was there already. If the update, or the incident's
// end, was recorded while we waited, it is errAgain.
func (in *intake) hold(seq *int) error {
	found, err := in.row(`SELECT n, seq FROM incidents WHERE id = $1 FOR UPDATE`, []any{in.a.Incident.ID}, []any{&in.incident, seq})
	if err != nil {
		return err
	}
	known, err := in.known()
	if err == nil && (known || !found) {
		err = errAgain
	}
	return err
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

// present is whom the update has deliveries for.
func (in *intake) present() (map[recipient]bool, error) {
	there := map[recipient]bool{}
	err := in.each(`SELECT channel, address FROM deliveries WHERE id BETWEEN $1 AND $2`, []any{in.upd << placeBits, lastID(in.upd)},
		func(rows pgx.Rows) error {
			var r recipient
			err := rows.Scan(&r.channel, &r.address)
			there[r] = true
			return err
		})
	return there, err
}

// store writes the renderings that are needed, the deliveries and their count.
func (in *intake) store() error {
	renderings, err := in.renderings()
	if err != nil {
		return err
	}
	in.first = in.upd<<placeBits + in.planned
	if err := in.copy(renderings); err != nil {
		return err
	}
	pending, wake := 0, map[string]bool{}
	for _, p := range in.added {
		if p.Suppressed == "" {
			pending++
			wake[p.Channel] = true
		}
	}
	if err := in.pend(in.upd, in.incident, in.seq, pending); err != nil {
		return err
	}
	return in.notify(names(wake))
}

// pend counts deliveries that are pending now.
func (t *tx) pend(upd, incident int64, seq, n int) error {
	if n == 0 {
		return nil
	}
	return t.exec(`INSERT INTO unfinished AS f (upd, incident, seq, pending) VALUES ($1,$2,$3,$4)
		ON CONFLICT (upd) DO UPDATE SET pending = f.pending + excluded.pending`, upd, incident, seq, n)
}

var copied = []string{
	"id", "incident", "seq", "rendering", "accepted", "due", "expire", "settled", "outcome",
	"channel", "address", "key", "list", "audience", "name", "locale", "zone", "detail",
}

func (in *intake) copy(renderings []int64) error {
	row := make([]any, len(copied)) // used again for every delivery
	_, err := in.CopyFrom(in.ctx, pgx.Identifier{"deliveries"}, copied, pgx.CopyFromSlice(len(in.added), func(i int) ([]any, error) {
		p := in.added[i]
		outcome, settled := ledger.Pending, int64(0)
		if p.Suppressed != "" {
			outcome, settled = ledger.Suppressed, in.at
		}
		row = append(row[:0], in.first+int64(i), in.incident, int64(in.seq), renderings[p.Rendering], in.at, in.at, micros(p.Expire), settled, string(outcome),
			p.Channel, p.To.Address, p.Key, p.List, p.Audience, p.To.Name, p.To.Locale, p.To.Zone, ledger.CleanText(p.Suppressed))
		return row, nil
	}))
	if e := failure(err); e != nil && e.Code == uniqueViolation {
		return fmt.Errorf("a delivery's key is that of another delivery: %s", e.Detail)
	}
	return err
}

// renderings stores those that are needed and returns their rows; equal ones of an
// update share one.
func (in *intake) renderings() ([]int64, error) {
	all := make([]int64, len(in.a.Renderings))
	for _, p := range in.added {
		if all[p.Rendering] != 0 {
			continue
		}
		m := &in.a.Renderings[p.Rendering]
		_, err := in.row(`INSERT INTO renderings (upd, digest, format, subject, text, html, payload) VALUES ($1,$2,$3,$4,$5,$6,$7)
			ON CONFLICT (upd, digest) DO UPDATE SET upd = excluded.upd RETURNING id`,
			[]any{in.upd, digest(m), string(m.Format), m.Subject, m.Text, m.HTML, m.Payload}, []any{&all[p.Rendering]})
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

func digest(m *channels.Message) []byte {
	h := sha256.New()
	for _, s := range []string{string(m.Format), m.Subject, m.Text, m.HTML, string(m.Payload)} {
		_, _ = io.WriteString(h, strconv.Itoa(len(s))+":"+s) // a hash takes everything
	}
	return h.Sum(nil)
}

// lastID is the last id that a delivery of the update can have.
func lastID(upd int64) int64 { return (upd+1)<<placeBits - 1 }

func names(set map[string]bool) []string {
	all := make([]string, 0, len(set))
	for s := range set {
		all = append(all, s)
	}
	return all
}

// truncated is u as it will be read back.
func truncated(u ledger.Update) ledger.Update {
	for _, t := range []*time.Time{&u.At, &u.Accepted, &u.Next} {
		*t = instant(micros(*t))
	}
	return u
}

// fit reports whether the server can store s as text.
func fit(s string) bool { return utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 }
