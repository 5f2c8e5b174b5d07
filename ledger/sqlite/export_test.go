package sqlite

import (
	"context"
	"strconv"
	"time"

	"sitrep/ledger"
)

// Full lets the file grow no further, as a full disk would; Roomy undoes it.
func (l *Ledger) Full(ctx context.Context) error { return l.pages(ctx, 1) }

// Roomy gives the disk its room back.
func (l *Ledger) Roomy(ctx context.Context) error { return l.pages(ctx, 1<<30) }

func (l *Ledger) pages(ctx context.Context, most int) error {
	var n int64
	return l.conn.QueryRowContext(ctx, "PRAGMA max_page_count = "+strconv.Itoa(most)).Scan(&n)
}

// Occupy takes the writer's turn until release is called.
func (l *Ledger) Occupy() (release func()) {
	l.turn <- struct{}{}
	return func() { <-l.turn }
}

// Statements are those whose plans matter.
func Statements() map[string]string {
	all := map[string]string{"claim": claimAny, "claim of incident": claimOfIncident}
	for name, q := range map[string]ledger.DeliveryQuery{
		"everything":          {},
		"pending":             {Outcomes: []ledger.Outcome{ledger.Pending}},
		"pending of customer": {Outcomes: []ledger.Outcome{ledger.Pending}, Customer: "abc"},
		"of update":           {Update: "u"},
		"of incident":         {Incident: "i", Outcomes: []ledger.Outcome{ledger.Failed}},
		"since":               {Since: time.Now(), Channel: "mail"},
	} {
		all["list "+name], _ = listing(q, cursor{})
		all["tally "+name], _ = tallying(q)
	}
	return all
}
