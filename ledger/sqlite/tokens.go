package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"sitrep/ledger"
)

var (
	_ ledger.Tokens = (*Ledger)(nil)
	_ ledger.Drafts = (*Ledger)(nil)
)

// AddToken implements [ledger.Tokens].
func (l *Ledger) AddToken(ctx context.Context, t ledger.Token) error {
	return l.write(ctx, func(x *tx) error {
		n, err := x.changed(`INSERT INTO tokens (id, name, role, customers, hash, created, expires, used, revoked)
			VALUES (?,?,?,?,?,?,?,?,?) ON CONFLICT DO NOTHING`,
			t.ID, ledger.CleanText(t.Name), t.Role, words(t.Customers), append([]byte{}, t.Hash...),
			micros(t.Created), micros(t.Expires), micros(t.Used), micros(t.Revoked))
		if err == nil && n == 0 {
			err = fmt.Errorf("there is a token %q already", t.ID)
		}
		return err
	})
}

// Token implements [ledger.Tokens].
func (l *Ledger) Token(ctx context.Context, id string) (ledger.Token, error) {
	all, err := l.tokens(ctx, ` WHERE id = ?`, id)
	if err == nil && len(all) == 0 {
		err = ledger.ErrNotFound
	}
	if err != nil {
		return ledger.Token{}, err
	}
	return all[0], nil
}

// Tokens implements [ledger.Tokens].
func (l *Ledger) Tokens(ctx context.Context) ([]ledger.Token, error) {
	return l.tokens(ctx, ` ORDER BY n`)
}

func (l *Ledger) tokens(ctx context.Context, which string, args ...any) ([]ledger.Token, error) {
	var all []ledger.Token
	err := l.query(ctx, `SELECT id, name, role, customers, hash, created, expires, used, revoked FROM tokens`+which, args, func(rows *sql.Rows) error {
		var t ledger.Token
		var customers string
		var created, expires, used, revoked int64
		if err := rows.Scan(&t.ID, &t.Name, &t.Role, &customers, &t.Hash, &created, &expires, &used, &revoked); err != nil {
			return err
		}
		t.Created, t.Expires, t.Used, t.Revoked = instant(created), instant(expires), instant(used), instant(revoked)
		all = append(all, t)
		return json.Unmarshal([]byte(customers), &all[len(all)-1].Customers)
	})
	return all, err
}

// RevokeToken implements [ledger.Tokens].
func (l *Ledger) RevokeToken(ctx context.Context, id string, at time.Time) error {
	return l.write(ctx, func(x *tx) error {
		n, err := x.changed(`UPDATE tokens SET revoked = iif(revoked = 0, ?, revoked) WHERE id = ?`, micros(at), id)
		if err == nil && n == 0 {
			err = ledger.ErrNotFound
		}
		return err
	})
}

// TouchToken implements [ledger.Tokens].
func (l *Ledger) TouchToken(ctx context.Context, id string, at time.Time) error {
	return l.write(ctx, func(x *tx) error {
		_, err := x.exec(`UPDATE tokens SET used = max(used, ?) WHERE id = ?`, micros(at), id)
		return err
	})
}

// PutDraft implements [ledger.Drafts].
func (l *Ledger) PutDraft(ctx context.Context, d ledger.Draft) error {
	return l.write(ctx, func(x *tx) error {
		_, err := x.exec(`INSERT OR REPLACE INTO drafts (id, input, customer, incident, key, next, told, source, why, received)
			VALUES (?,?,?,?,?,?,?,?,?,?)`,
			d.ID, d.Input, d.Customer, d.Incident, d.Key, d.Next, words(d.Only), d.Source, d.Why, micros(d.Received))
		return err
	})
}

// Draft implements [ledger.Drafts].
func (l *Ledger) Draft(ctx context.Context, id string) (ledger.Draft, error) {
	all, err := l.drafts(ctx, ` WHERE id = ?`, id)
	if err == nil && len(all) == 0 {
		err = ledger.ErrNotFound
	}
	if err != nil {
		return ledger.Draft{}, err
	}
	return all[0], nil
}

// Drafts implements [ledger.Drafts].
func (l *Ledger) Drafts(ctx context.Context, customer string) ([]ledger.Draft, error) {
	return l.drafts(ctx, ` WHERE ? IN ('', customer) ORDER BY received DESC, n DESC`, customer)
}

func (l *Ledger) drafts(ctx context.Context, which string, args ...any) ([]ledger.Draft, error) {
	var all []ledger.Draft
	err := l.query(ctx, `SELECT id, input, customer, incident, key, next, told, source, why, received FROM drafts`+which, args, func(rows *sql.Rows) error {
		var d ledger.Draft
		var only string
		var received int64
		if err := rows.Scan(&d.ID, &d.Input, &d.Customer, &d.Incident, &d.Key, &d.Next, &only, &d.Source, &d.Why, &received); err != nil {
			return err
		}
		d.Received = instant(received)
		all = append(all, d)
		return json.Unmarshal([]byte(only), &all[len(all)-1].Only)
	})
	return all, err
}

// DropDraft implements [ledger.Drafts].
func (l *Ledger) DropDraft(ctx context.Context, id string) (bool, error) {
	var n int64
	err := l.write(ctx, func(x *tx) error {
		var err error
		n, err = x.changed(`DELETE FROM drafts WHERE id = ?`, id)
		return err
	})
	return n > 0, err
}

// words is a list of strings as JSON; an empty one is null.
func words(list []string) string {
	b, err := json.Marshal(list)
	if err != nil {
		return "null" // strings always can be written
	}
	return string(b)
}
