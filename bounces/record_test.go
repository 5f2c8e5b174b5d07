package bounces_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"sitrep/bounces"
	"sitrep/channels"
	"sitrep/channels/email"
	"sitrep/internal/secret"
	"sitrep/ledger"
)

func TestNew(t *testing.T) {
	if _, err := bounces.New(bounces.Options{Channel: "mail"}); err == nil {
		t.Error("without a ledger")
	}
}

// What a report to a right return path does.
func TestReturned(t *testing.T) {
	for name, c := range map[string]struct {
		dsn
		outcome    ledger.Outcome
		fault      channels.Fault
		suppressed bool
		verdict    bounces.Verdict
	}{
		"no such address":           {dsn{final: alice}, ledger.Bounced, channels.NoRecipient, true, bounces.HeardFailure},
		"in capitals":               {dsn{final: strings.ToUpper(alice)}, ledger.Bounced, channels.NoRecipient, true, bounces.HeardFailure},
		"original recipient only":   {dsn{original: alice}, ledger.Bounced, channels.NoRecipient, true, bounces.HeardFailure},
		"nobody is named":           {dsn{}, ledger.Bounced, channels.NoRecipient, true, bounces.HeardFailure},
		"forwarded":                 {dsn{original: alice, final: "alice@elsewhere.example"}, ledger.Bounced, channels.Rejected, false, bounces.HeardFailure},
		"an alias":                  {dsn{final: "alice@elsewhere.example"}, ledger.Bounced, channels.Rejected, false, bounces.HeardFailure},
		"mailbox full":              {dsn{final: alice, status: "5.2.2"}, ledger.Bounced, channels.Rejected, false, bounces.HeardFailure},
		"policy":                    {dsn{final: alice, status: "5.7.1"}, ledger.Bounced, channels.Rejected, false, bounces.HeardFailure},
		"given up":                  {dsn{final: alice, status: "4.4.1", words: "connection timed out"}, ledger.Bounced, channels.Unavailable, false, bounces.HeardFailure},
		"delayed":                   {dsn{final: alice, action: "delayed", status: "4.4.1"}, ledger.Delivered, "", false, bounces.HeardDelay},
		"ENVID of another delivery": {dsn{final: alice, envid: secondKey}, ledger.Bounced, channels.NoRecipient, true, bounces.HeardFailure},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, withMAC)
			c.to = verp(deliveryKey)
			r.mustReceive(t, false, c.dsn)
			d := r.delivery(t, deliveryKey)
			if d.Outcome != c.outcome || d.Fault != c.fault || d.Detail == "" {
				t.Errorf("the delivery is %q, %q, %q; want %q, %q and a reason", d.Outcome, d.Fault, d.Detail, c.outcome, c.fault)
			}
			if d.Outcome == ledger.Bounced && !d.Settled.Equal(heard) {
				t.Errorf("settled %v, want %v", d.Settled, heard)
			}
			if got := slices.Contains(r.suppressed(t), alice); got != c.suppressed {
				t.Errorf("suppressed is %v, want %v", got, c.suppressed)
			}
			if other := r.delivery(t, secondKey); other.Outcome != ledger.Delivered {
				t.Errorf("bob's delivery is %s", other.Outcome)
			}
			h, n := r.last()
			if n != 1 || h.Verdict != c.verdict || !h.Changed || h.Suppressed != c.suppressed || h.Was != ledger.Delivered || h.Delivery.Key != deliveryKey || h.Channel != "mail" {
				t.Errorf("heard %d, %+v", n, h)
			}
		})
	}
}

// What must change nothing.
func TestForged(t *testing.T) {
	wrong := strings.Replace(verp(deliveryKey), "-", "-2", 1)
	swapped := strings.Replace(verp(deliveryKey), deliveryKey, secondKey, 1)
	all := dsn{final: alice, original: alice, envid: deliveryKey, messageID: "<" + deliveryKey + "@status.example.com>"}
	to := func(address string) dsn { d := all; d.to = address; return d }
	with := func(change func(*dsn)) dsn { d := to(bounceAddress); change(&d); return d }
	mac := []func(*bounces.Options){withMAC}
	for name, c := range map[string]struct {
		options []func(*bounces.Options)
		trusted bool
		dsn
		verdict bounces.Verdict
	}{
		"a wrong MAC":                      {mac, false, to(wrong), bounces.Forged},
		"a wrong MAC from who is trusted":  {mac, true, to(wrong), bounces.Forged},
		"another delivery's MAC":           {mac, false, to(swapped), bounces.Forged},
		"no MAC":                           {mac, false, to("bounces+" + deliveryKey + "@status.example.com"), bounces.Forged},
		"the bare address":                 {mac, false, to(bounceAddress), bounces.Unmatched},
		"the bare address, trusted":        {mac, true, to(bounceAddress), bounces.Unmatched},
		"somebody else's address":          {mac, true, to("alice@customer.example"), bounces.Unmatched},
		"a delivery of another channel":    {mac, false, to(verp(otherChannel)), bounces.Unmatched},
		"a delivery that is not there":     {mac, false, to(verp("abcd2345efgh6789jkmn234500")), bounces.Unmatched},
		"not trusted":                      {nil, false, to(bounceAddress), bounces.Unmatched},
		"trusted, a subaddress":            {nil, true, to(verp(deliveryKey)), bounces.Forged},
		"trusted, nothing named":           {nil, true, with(func(d *dsn) { d.envid, d.messageID = "", "" }), bounces.Unmatched},
		"trusted, two deliveries":          {nil, true, with(func(d *dsn) { d.envid, d.final, d.original = secondKey, "bob@customer.example", alice }), bounces.Unmatched},
		"trusted, not of our domain":       {nil, true, with(func(d *dsn) { d.envid, d.messageID = "", "<"+deliveryKey+"@other.example>" }), bounces.Unmatched},
		"trusted, no recipient":            {nil, true, with(func(d *dsn) { d.final, d.original = "", "" }), bounces.Unmatched},
		"trusted, another recipient":       {nil, true, with(func(d *dsn) { d.final, d.original = "bob@customer.example", "" }), bounces.Unmatched},
		"trusted, an ENVID that is no key": {nil, true, with(func(d *dsn) { d.envid, d.messageID = "' OR 1=1 --", "" }), bounces.Unmatched},
		"trusted, other channel's ENVID":   {nil, true, with(func(d *dsn) { d.envid, d.messageID = otherChannel, "" }), bounces.Unmatched},
		"an automatic answer":              {mac, false, dsn{to: verp(deliveryKey), final: alice, action: "delivered", status: "2.0.0"}, bounces.HeardOther},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, c.options...)
			r.mustReceive(t, c.trusted, c.dsn)
			r.untouched(t)
			if h, n := r.last(); n != 1 || h.Verdict != c.verdict || h.Changed || h.Suppressed {
				t.Errorf("heard %d, %+v, want %s", n, h, c.verdict)
			}
		})
	}
}

// Where there is no MAC, what the operator trusts is believed.
func TestTrusted(t *testing.T) {
	id := "<" + deliveryKey + "@status.example.com>"
	for name, d := range map[string]dsn{
		"ENVID":       {envid: deliveryKey, final: alice},
		"Message-ID":  {messageID: id, original: alice},
		"both":        {envid: deliveryKey, messageID: id, final: alice},
		"from header": {envid: deliveryKey, final: alice},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			d.to = bounceAddress
			r.mustReceive(t, true, d)
			if got := r.delivery(t, deliveryKey); got.Outcome != ledger.Bounced {
				t.Errorf("the delivery is %s", got.Outcome)
			}
			if got := r.suppressed(t); !slices.Equal(got, []string{alice}) {
				t.Errorf("suppressed: %v", got)
			}
		})
	}
}

// Without the envelope the proof is in the header.
func TestHeaderInsteadOfEnvelope(t *testing.T) {
	r := newRig(t, withMAC)
	d := dsn{to: verp(deliveryKey), final: alice}
	if err := r.Receive(t.Context(), bounces.Mail{Content: strings.NewReader(d.String())}); err != nil {
		t.Fatal(err)
	}
	if got := r.delivery(t, deliveryKey); got.Outcome != ledger.Bounced {
		t.Errorf("the delivery is %s", got.Outcome)
	}
}

// A recipient that has to be told is never suppressed, and somebody hears of it.
func TestRequired(t *testing.T) {
	r := newRig(t, withMAC, func(o *bounces.Options) {
		o.Required = func(d ledger.Delivery) bool { return d.To.Address == alice }
	})
	r.mustReceive(t, false, dsn{to: verp(deliveryKey), final: alice})
	r.mustReceive(t, false, dsn{to: verp(secondKey), final: "bob@customer.example"})
	if got := r.suppressed(t); !slices.Equal(got, []string{"bob@customer.example"}) {
		t.Errorf("suppressed: %v", got)
	}
	if d := r.delivery(t, deliveryKey); d.Outcome != ledger.Bounced {
		t.Errorf("the delivery is %s", d.Outcome)
	}
	if !r.heard[0].Required || r.heard[1].Required || !strings.Contains(r.log.String(), "level=ERROR") {
		t.Errorf("heard %+v; logged:\n%s", r.heard, r.log.String())
	}
}

// A report that comes again, or late, suppresses nothing that a person has lifted.
func TestRepeated(t *testing.T) {
	r := newRig(t, withMAC)
	d := dsn{to: verp(deliveryKey), final: alice}
	r.mustReceive(t, false, d)
	if ok, err := r.ledger.Lift(t.Context(), "mail", alice); err != nil || !ok {
		t.Fatal(ok, err)
	}
	r.mustReceive(t, false, d)
	if got := r.suppressed(t); len(got) != 0 {
		t.Errorf("suppressed again: %v", got)
	}
	if h, n := r.last(); n != 2 || h.Changed || h.Suppressed || h.Verdict != bounces.HeardFailure {
		t.Errorf("heard %d, %+v", n, h)
	}
}

// Of an attempt that is under way it is not known yet what became of it.
func TestUnderWay(t *testing.T) {
	r := newRig(t, withMAC)
	err := r.receive(t, false, dsn{to: verp(pendingKey), final: "dave@customer.example"})
	if !errors.Is(err, ledger.ErrUnderWay) {
		t.Errorf("got %v, want %v", err, ledger.ErrUnderWay)
	}
	if _, n := r.last(); n != 0 {
		t.Errorf("%d heard of what was not recorded", n)
	}
}

func TestLedgerAway(t *testing.T) {
	r := newRig(t, withMAC, func(o *bounces.Options) { o.Ledger = broken{o.Ledger} })
	if err := r.receive(t, false, dsn{to: verp(deliveryKey), final: alice}); !errors.Is(err, errBroken) {
		t.Errorf("got %v, want %v", err, errBroken)
	}
}

// A report of several recipients is about the one that we wrote to.
func TestSeveralRecipients(t *testing.T) {
	group := func(final, action, status string) string {
		return "\nFinal-Recipient: rfc822;" + final + "\nAction: " + action + "\nStatus: " + status + "\n"
	}
	for name, c := range map[string]struct {
		groups  string
		outcome ledger.Outcome
		gone    bool
	}{
		"ours last":                  {group("erin@customer.example", "delayed", "4.2.0") + group(alice, "failed", "5.1.1"), ledger.Bounced, true},
		"another one failed":         {group(alice, "expanded", "2.0.0") + group("erin@customer.example", "failed", "5.1.1"), ledger.Delivered, false},
		"failed, then delayed":       {group(alice, "failed", "5.2.2") + group(alice, "delayed", "4.2.0"), ledger.Bounced, false},
		"members only, one failed":   {group("dan@customer.example", "relayed", "2.0.0") + group("erin@customer.example", "failed", "5.1.1"), ledger.Bounced, false},
		"members only, none of them": {group("dan@customer.example", "relayed", "2.0.0"), ledger.Delivered, false},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, withMAC)
			content := "Content-Type: message/delivery-status\n\nReporting-MTA: dns; lists.customer.example\n" + c.groups
			if err := r.Receive(t.Context(), bounces.Mail{To: []string{verp(deliveryKey)}, Content: strings.NewReader(content)}); err != nil {
				t.Fatal(err)
			}
			if d := r.delivery(t, deliveryKey); d.Outcome != c.outcome {
				t.Errorf("the delivery is %s, want %s", d.Outcome, c.outcome)
			}
			if got := len(r.suppressed(t)) > 0; got != c.gone {
				t.Errorf("suppressed is %v", got)
			}
		})
	}
}

// The log has no address, no body and no word of the remote side.
func TestLogIsClean(t *testing.T) {
	r := newRig(t, withMAC)
	r.mustReceive(t, false, dsn{to: verp(deliveryKey), final: alice, words: "550 5.1.1 Zanzibar"})
	r.mustReceive(t, false, dsn{to: bounceAddress, final: alice, words: "Zanzibar"})
	for _, bad := range []string{alice, "Zanzibar", "It is down", verp(deliveryKey)} {
		if strings.Contains(r.log.String(), bad) {
			t.Errorf("%q is in the log:\n%s", bad, r.log.String())
		}
	}
	if !strings.Contains(r.log.String(), deliveryKey) {
		t.Errorf("the delivery is not in the log:\n%s", r.log.String())
	}
	if d := r.delivery(t, deliveryKey); !strings.Contains(d.Detail, "Zanzibar") {
		t.Errorf("the reason is not in the ledger: %q", d.Detail)
	}
}

func FuzzReceive(f *testing.F) {
	f.Add(dsn{to: verp(deliveryKey), final: alice}.String(), verp(deliveryKey))
	f.Add(dsn{to: bounceAddress, final: alice, envid: deliveryKey}.String(), bounceAddress)
	f.Add("To: "+bounceAddress+"\n\nDelivery to the following recipient failed permanently:\n\n"+alice, "bounces+x@status.example.com")
	r := newRig(f, withMAC)
	f.Fuzz(func(t *testing.T, content, to string) {
		if _, ok := email.ReadReturnPath(secret.New(returnKey), to); ok {
			return // who has that may
		}
		if err := r.Receive(t.Context(), bounces.Mail{To: []string{to}, Trusted: true, Content: strings.NewReader(content)}); err != nil {
			t.Fatal(err)
		}
		r.untouched(t)
	})
}
