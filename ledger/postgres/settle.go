package postgres

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"sitrep/ledger"
)

// Settle implements [ledger.Queue].
func (l *Ledger) Settle(ctx context.Context, all []ledger.Settlement) ([]ledger.Verdict, error) {
	var errs []error
	for _, s := range all {
		errs = append(errs, s.Check())
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, ctx.Err()
	}
	batch := newSettlements(all)
	var verdicts []ledger.Verdict
	err := l.again(ctx, func() error {
		verdicts = make([]ledger.Verdict, len(all))
		return l.settle(ctx, batch, verdicts)
	})
	if err != nil {
		return nil, err
	}
	return verdicts, nil
}

func (l *Ledger) settle(ctx context.Context, b *settlements, verdicts []ledger.Verdict) error {
	rows, err := l.pool.Query(ctx, `SELECT * FROM settle_deliveries($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)`,
		b.ids, b.owners, b.numbers, b.outcomes, b.dues, b.starts, b.ends, b.untried, b.noted, b.suppress,
		b.faults, b.details, b.remotes, b.permalinks, b.threads)
	return drain(rows, err, func(rows pgx.Rows) error {
		var place int
		var outcome string
		err := rows.Scan(&place, &outcome)
		if err == nil {
			verdicts[b.places[place-1]] = ledger.Verdict{Applied: true, Outcome: ledger.Outcome(outcome)}
		}
		return err
	})
}

// settlements are a batch in the order of their deliveries, one slice a column.
type settlements struct {
	places                                                          []int // in the caller's list
	ids, numbers, dues, starts, ends                                []int64
	untried, noted, suppress                                        []bool
	owners, outcomes, faults, details, remotes, permalinks, threads []string
}

// claimed is what a settlement is of. Of two in one batch the first counts.
type claimed struct {
	id      int64
	owner   string
	attempt int
}

func newSettlements(all []ledger.Settlement) *settlements {
	b := &settlements{}
	seen := make(map[claimed]bool, len(all))
	for _, i := range byDelivery(all) {
		s := &all[i]
		if of := (claimed{s.ID, s.Owner, s.Attempt}); fit(s.Owner) && !seen[of] {
			seen[of] = true
			b.add(i, s.Clean())
		}
	}
	return b
}

// byDelivery are the places of settlements in the order in which they are locked.
func byDelivery(all []ledger.Settlement) []int {
	order := make([]int, len(all))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int { return cmp.Compare(all[i].ID, all[j].ID) })
	return order
}

func (b *settlements) add(place int, s ledger.Settlement) {
	if s.Ended.IsZero() {
		s.Ended = time.Now()
	}
	b.places, b.ids, b.owners, b.numbers = append(b.places, place), append(b.ids, s.ID), append(b.owners, s.Owner), append(b.numbers, int64(s.Attempt))
	b.outcomes, b.dues, b.untried = append(b.outcomes, string(s.Outcome)), append(b.dues, micros(s.Due)), append(b.untried, s.Untried)
	b.starts, b.ends = append(b.starts, micros(s.Started)), append(b.ends, micros(s.Ended))
	b.noted = append(b.noted, !s.Untried && (s.Outcome != ledger.Delivered || s.Fault != ""))
	b.suppress, b.faults, b.details = append(b.suppress, s.Suppress), append(b.faults, string(s.Fault)), append(b.details, s.Detail)
	b.remotes, b.permalinks, b.threads = append(b.remotes, s.Receipt.RemoteID), append(b.permalinks, s.Receipt.Permalink), append(b.threads, string(s.Receipt.Thread))
}
