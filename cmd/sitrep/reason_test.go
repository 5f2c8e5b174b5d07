package main

import (
	"testing"

	"sitrep/channels"
	"sitrep/ledger"
)

// What a person took back is said to be that, once.
func TestReasonOfCancelled(t *testing.T) {
	for detail, want := range map[string]string{
		"": "taken back before it was sent", "a person took it back before it was sent": "a person took it back before it was sent",
	} {
		if got := reason(ledger.Delivery{Outcome: ledger.Cancelled, Detail: detail}); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

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
