package dispatcher

import (
	"context"
	"fmt"

	"sitrep/incident"
	"sitrep/ledger"
)

// latest reports why an update is not the latest of its incident, or nil.
func (d *Dispatcher) latest(ctx context.Context, key string) error {
	u, err := d.earlier(ctx, key)
	if err != nil || u == nil {
		return err // what is not there is the ledger's to say
	}
	all, err := d.o.Ledger.Updates(ctx, ledger.UpdateQuery{Incident: u.Incident, Limit: 1})
	if err != nil {
		return fmt.Errorf("look up the updates of %s: %w", u.Incident, err)
	}
	if len(all) == 0 || all[0].Seq <= u.Seq {
		return nil
	}
	return incident.Problems{{
		What: fmt.Sprintf("Update %d (%s) is not the latest of %s: update %d (%s) was accepted since, and old news must not follow new.",
			u.Seq, u.Status, u.Incident, all[0].Seq, all[0].Status),
		Remedy: "Try that one again instead: `sitrep retry " + all[0].Key + "`.",
	}}
}
