package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"sitrep/channels"
	"sitrep/ledger"
)

// lost is what is on record of an attempt whose process ended.
const lost = "the process stopped, or lost its lease, before it could say what became of this attempt"

// collision is how long to wait for somebody who is claiming what is due at this
// moment, and may yet leave it.
const collision = 20 * time.Millisecond

// Claim implements [ledger.Queue].
func (l *Ledger) Claim(ctx context.Context, r ledger.ClaimRequest) (ledger.Claimed, error) {
	if !fit(r.Channel) || !fit(r.Incident) {
		return ledger.Claimed{}, ctx.Err()
	}
	var got ledger.Claimed
	err := l.again(ctx, func() error {
		got = ledger.Claimed{}
		return l.claim(ctx, r, &got)
	})
	if err != nil {
		return ledger.Claimed{}, err
	}
	return got, nil
}

func (l *Ledger) claim(ctx context.Context, r ledger.ClaimRequest, got *ledger.Claimed) error {
	rows, err := l.pool.Query(ctx, `SELECT * FROM claim_deliveries($1, $2, $3, $4, $5, $6, $7, $8)`,
		r.Channel, r.Owner, micros(r.Now), micros(r.Until), max(r.Limit, 0), r.Incident, lost, collision.Microseconds())
	if err != nil {
		return err
	}
	defer rows.Close()
	if !rows.Next() {
		return errors.Join(rows.Err(), errors.New("the ledger's function claim_deliveries returned nothing"))
	}
	if err := scanAnswer(rows, r.Channel, got); err != nil {
		return err
	}
	return drain(rows, nil, func(rows pgx.Rows) error {
		c, err := scanClaim(rows)
		c.Channel, c.Owner = r.Channel, r.Owner
		got.Claims = append(got.Claims, c)
		return err
	})
}

// scanAnswer reads the first row.
func scanAnswer(rows pgx.Rows, channel string, got *ledger.Claimed) error {
	var next int64
	var until, since *int64
	var fault, detail *string
	into := make([]any, len(rows.FieldDescriptions()))
	copy(into, []any{&next, &until, &since, &fault, &detail})
	if err := rows.Scan(into...); err != nil {
		return err
	}
	if until != nil {
		if next != 0 {
			next = max(next, *until)
		}
		got.Paused = &ledger.Pause{Channel: channel, Until: instant(*until), Since: instant(*since), Fault: channels.Fault(*fault), Detail: *detail}
	}
	got.Next = instant(next)
	return nil
}

func scanClaim(rows pgx.Rows) (ledger.Claim, error) {
	var c ledger.Claim
	var accepted, expire int64
	var fault, thread string
	err := rows.Scan(nil, nil, nil, nil, nil, &c.ID, &c.Key, &c.Attempt, &c.Interrupted, &c.Reopened,
		&c.To.Address, &c.To.Name, &c.To.Locale, &c.To.Zone, &c.Rendering, &fault, &c.List, &c.Audience, &c.Seq, &accepted, &expire,
		&c.Incident, &c.Update, &c.Customer, &c.Severity, &thread)
	c.Ambiguous = channels.Fault(fault) == channels.Ambiguous
	c.Thread = channels.Thread(thread)
	c.Accepted, c.Expire = instant(accepted), instant(expire)
	return c, err
}

// Renew implements [ledger.Queue]. It passes over a lease that is being settled or
// taken over at this moment.
func (l *Ledger) Renew(ctx context.Context, owner string, until time.Time) error {
	return l.again(ctx, func() error {
		_, err := l.pool.Exec(ctx, `UPDATE leases SET until = $2 WHERE id IN
			(SELECT id FROM leases WHERE owner = $1 AND until < $2 FOR UPDATE SKIP LOCKED)`, owner, micros(until))
		return err
	})
}
