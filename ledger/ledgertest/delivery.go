package ledgertest

import (
	"context"
	"errors"
	"testing"

	"sitrep/ledger"
)

func deliveryTests() []test {
	return []test{
		{"ByKey", deliveryByKey},
		{"Unknown", deliveryUnknown},
	}
}

// A delivery by its key is the one that a listing has, whatever its state.
func deliveryByKey(t *testing.T, r *rig) {
	r.accept(update("INC-1", 1, "mail/a", "mail/b", "chat/c"))
	r.accept(update("INC-2", 1, "mail/a"))
	r.applied(ends(r.claim("me", t0)[0], ledger.Delivered, t0))
	n := 0
	for want, err := range r.Deliveries(context.Background(), ledger.DeliveryQuery{}) {
		r.check(err)
		got, err := addOn[ledger.Bouncer](r).Delivery(context.Background(), want.Key)
		r.check(err)
		same(t, want.Key, got, want)
		n++
	}
	same(t, "deliveries", n, 4)
}

func deliveryUnknown(t *testing.T, r *rig) {
	r.accept(update("INC-1", 1, "mail/a"))
	for _, key := range []string{"", "nobody's", "INC-1-1-mail/A", "INC-1-1-mail/", "%", "\x00"} {
		d, err := addOn[ledger.Bouncer](r).Delivery(context.Background(), key)
		if !errors.Is(err, ledger.ErrNotFound) || d.Key != "" {
			t.Errorf("%q: %v, %v, want %v", key, d.Key, err, ledger.ErrNotFound)
		}
	}
}
