package bounces

import (
	"testing"

	"sitrep/channels"
)

func TestClassify(t *testing.T) {
	for _, c := range []struct {
		field, words string
		fault        channels.Fault
		gone         bool
	}{
		{"5.1.0", "550 address rejected", channels.NoRecipient, true},
		{"5.1.0", "550 5.1.0 sender rejected", channels.Rejected, false},
		{"5.1.1", "", channels.NoRecipient, true},
		{"5.1.2", "", channels.NoRecipient, true},
		{"5.1.3", "", channels.NoRecipient, true},
		{"5.1.4", "", channels.Rejected, false},
		{"5.1.6", "", channels.NoRecipient, true},
		{"5.1.7", "", channels.Rejected, false},
		{"5.1.8", "", channels.Rejected, false},
		{"5.1.10", "", channels.NoRecipient, true},
		{"5.2.1", "550 mailbox disabled", channels.Rejected, false},
		{"5.2.2", "552 mailbox full", channels.Rejected, false},
		{"5.3.4", "message too big", channels.Rejected, false},
		{"5.4.4", "host not found", channels.Rejected, false},
		{"5.7.1", "user unknown", channels.Rejected, false}, // what it says first counts
		{"4.4.1", "timed out", channels.Unavailable, false},
		{"4.4.7", "550 4.4.7 expired", channels.Unavailable, false},

		{"5.0.0", "550 5.1.1 unknown user", channels.NoRecipient, true},
		{"", "550 5.1.1 unknown user", channels.NoRecipient, true},
		{"5.1.1", "550 5.1.10 null MX", channels.NoRecipient, true},
		{"5.1.1", "550 5.7.1 blocked", channels.Rejected, false},
		{"5.7.1", "550 5.1.1 no such user", channels.Rejected, false},
		{"5.0.0", "550 no such user here", channels.NoRecipient, true},
		{"5.0.0", "550 no such user here, blocked by policy", channels.Rejected, false},
		{"5.0.0", "552 recipient unknown quota", channels.Rejected, false},
		{"", "450 user unknown, try later", channels.Unavailable, false},
		{"", "host not found", channels.Rejected, false},
		{"", "relay 5.1.1.7 said no", channels.Rejected, false}, // an address of another kind
		{"", "version 15.1.1 said no", channels.Rejected, false},
		{"", "#5.1.1", channels.NoRecipient, true},
		{"", "(5.1.1).", channels.NoRecipient, true},
		{"", "", channels.Rejected, false},
	} {
		got := classify(c.field, c.words)
		if got.fault != c.fault || got.gone != c.gone {
			t.Errorf("%q, %q: %s, gone %v; want %s, %v", c.field, c.words, got.fault, got.gone, c.fault, c.gone)
		}
	}
}

func TestSame(t *testing.T) {
	for _, c := range []struct {
		reported, address string
		want              bool
	}{
		{"alice@example.com", "alice@example.com", true},
		{"Alice@EXAMPLE.com", "alice@example.com", true},
		{"alice+2Btag@example.com", "alice+tag@example.com", true}, // xtext
		{"alice+20@example.com", "alice+20@example.com", true},     // not xtext
		{"alice@xn--bcher-kva.example", "alice@bücher.example", true},
		{"jürgen@bücher.example", "jürgen@xn--bcher-kva.example", true},
		{"alice", "alice@example.com", false},
		{"", "", false},
		{"", "alice@example.com", false},
		{"bob@example.com", "alice@example.com", false},
		{"alice@example.com.evil.example", "alice@example.com", false},
	} {
		if got := same(c.reported, c.address); got != c.want {
			t.Errorf("%q and %q: %v", c.reported, c.address, got)
		}
	}
}
