package dispatcher

import (
	"context"
	"fmt"
	"strings"
	"time"

	"sitrep/ledger"
)

// Retried is what became of an update that was tried again.
type Retried struct {
	Reopened int    // deliveries that are pending again
	Left     []Left // those that stay as they ended, and why; of no list
}

// TryAgain is [Dispatcher.Retry], and says whom it leaves as they are: those who signed
// off after their delivery had ended, and those a newer update may have reached.
func (d *Dispatcher) TryAgain(ctx context.Context, update string) (Retried, error) {
	over, gone, err := d.over(ctx, update)
	if err != nil {
		return Retried{}, fmt.Errorf("retry update %s: %w", update, err)
	}
	n, err := d.Retry(ctx, update)
	if err != nil {
		return Retried{}, err
	}
	return Retried{Reopened: n, Left: leftAlone(max(over-n, 0), gone)}, nil
}

// leftAlone puts reasons to deliveries that were not reopened.
func leftAlone(n, gone int) (left []Left) {
	gone = min(gone, n)
	if gone > 0 {
		left = append(left, Left{Count: gone, Why: "their address was suppressed after it had ended (they signed off, or a person saw to it): lift that first if they are to be written to"})
	}
	if n > gone {
		left = append(left, Left{Count: n - gone, Why: "a newer update has reached them, or may have"})
	}
	return left
}

// over counts an update's deliveries that ended without having arrived for certain, and
// those among them whose address was suppressed later.
func (d *Dispatcher) over(ctx context.Context, update string) (over, gone int, err error) {
	rows, err := d.o.Ledger.Suppressions(ctx, "")
	if err != nil {
		return 0, 0, err
	}
	at := make(map[[2]string]time.Time, len(rows))
	for _, s := range rows {
		at[[2]string{s.Channel, s.Address}] = s.At
	}
	q := ledger.DeliveryQuery{Update: update, Outcomes: []ledger.Outcome{ledger.Failed, ledger.Bounced, ledger.Expired, ledger.Unknown}}
	for x, err := range d.o.Ledger.Deliveries(ctx, q) {
		if err != nil {
			return 0, 0, err
		}
		over++
		if since(at, x.Channel, x.To.Address).After(x.Settled) {
			gone++
		}
	}
	return over, gone, nil
}

// since is when an address was suppressed, however it is written; zero if it is not.
func since(at map[[2]string]time.Time, channel, address string) time.Time {
	if t, ok := at[[2]string{channel, address}]; ok {
		return t
	}
	return at[[2]string{channel, strings.ToLower(address)}]
}
