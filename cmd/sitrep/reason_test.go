package main

import (
	"testing"

	"sitrep/channels"
	"sitrep/ledger"
)

func TestReasonOfPending(t *testing.T) {
	for want, d := range map[string]ledger.Delivery{
		"not tried yet":           {},
		"an attempt is under way": {Leased: true},
		"no such recipient (550)": {Fault: channels.NoRecipient, Detail: "550", Leased: true, Attempts: 1},
		"it may have arrived: no clear answer came (HTTP 500)": {Fault: channels.Ambiguous, Detail: "HTTP 500", Attempts: 1},
	} {
		if got := reason(d); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
