package sqlite_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"sitrep/channels"
	"sitrep/ledger"
)

// private is an update of which every word says whose it is. The addresses are the same
// for everybody, and the renderings as many as those of any other.
func private(incident string, seq, n int, status string) ledger.Acceptance {
	a := small(incident, n)
	customer := "customer of " + incident
	key := fmt.Sprint(incident, "/", seq)
	a.Incident.Customer, a.Update.Customer, a.Incident.Seq, a.Update.Seq = customer, customer, seq, seq
	a.Incident.Status, a.Update.Key, a.Incident.Severity = status, key, "SEV of "+incident
	a.Renderings = nil
	for i := range 3 {
		a.Renderings = append(a.Renderings, channels.Message{Format: channels.FormatText, Text: fmt.Sprint(key, " text ", i), Subject: key})
	}
	for i := range a.Deliveries {
		p := &a.Deliveries[i]
		p.Key = fmt.Sprintf("%03d of %s", i, key)
		p.To = channels.Recipient{Address: fmt.Sprint("a", i), Name: "name in " + key, Locale: "locale in " + key, Zone: "zone in " + key}
		p.List, p.Audience, p.Rendering = "list of "+key, "audience of "+key, i/7%3
		p.Expire = at.Add(time.Duration(len(key)) * time.Hour)
	}
	return a
}

// TestPackKeepsSecrets works updates of several customers side by side, on two handles,
// and drops them so that their row numbers are used again. No claim holds a word of
// another update than its own.
func TestPackKeepsSecrets(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 8))
	path := newFile(t)
	handles := []packer{openPacker(t, path), openPacker(t, path)}
	had := map[string]int{} // how many recipients an incident's first update had
	for round := range 6 {
		now := at.Add(time.Duration(round) * time.Hour)
		for seq := 1; seq <= 2; seq++ {
			status := []string{"", "investigating", "resolved"}[seq]
			for i := range 4 {
				a := private(fmt.Sprintf("INC-%d-%d", round, i), seq, 10+r.IntN(40), status)
				a.Update.Accepted = now
				if seq == 1 {
					had[a.Incident.ID] = len(a.Deliveries)
				}
				handles[r.IntN(2)].accept(a)
			}
			for n := 0; n < 400; n++ {
				p := handles[min(r.IntN(30), 1)^1] // seldom the other one
				claims := p.claim(fmt.Sprint("owner ", n%2), now.Add(time.Duration(n)*time.Second), 1+r.IntN(30))
				for _, c := range claims {
					secret(p, c, had)
				}
				p.deliver(claims, now)
				if len(claims) == 0 {
					break
				}
			}
		}
		for key, d := range handles[round%2].listed() {
			own := d.Update
			if d.Outcome != ledger.Delivered || !strings.HasSuffix(key, own) || d.To.Name != "name in "+own || d.Receipt.RemoteID != "id of "+key {
				t.Errorf("%s is %+v", key, d)
			}
		}
		gone, err := handles[r.IntN(2)].Prune(t.Context(), now.Add(time.Hour))
		if err != nil || gone.Incidents != 4 || gone.Updates != 8 {
			t.Fatalf("%+v (%v)", gone, err)
		}
	}
}

// secret checks that all of a claim is of its own update and recipient.
func secret(p packer, c ledger.Claim, had map[string]int) {
	p.Helper()
	var n int
	_, err := fmt.Sscanf(c.Key, "%03d of ", &n)
	p.must(err)
	own := c.Key[len("000 of "):]
	incident, _, _ := strings.Cut(own, "/")
	m, err := p.Rendering(p.Context(), c.Rendering)
	p.must(err)
	want := ledger.Claim{
		ID: c.ID, Owner: c.Owner, Key: c.Key, Attempt: 1, Channel: "mail", Rendering: c.Rendering,
		To:       channels.Recipient{Address: fmt.Sprint("a", n), Name: "name in " + own, Locale: "locale in " + own, Zone: "zone in " + own},
		Incident: incident, Update: own, Customer: "customer of " + incident, Severity: "SEV of " + incident,
		List: "list of " + own, Audience: "audience of " + own, Seq: c.Seq, Accepted: c.Accepted, Expire: at.Add(time.Duration(len(own)) * time.Hour),
	}
	if c.Seq == 2 && n < had[incident] {
		want.Thread = channels.Thread(fmt.Sprintf("thread of %03d of %s", n, strings.TrimSuffix(own, "2")+"1"))
	}
	if c != want || m.Text != fmt.Sprint(own, " text ", n/7%3) || m.Subject != own {
		p.Errorf("claimed is %+v with %+v, want %+v", c, m, want)
	}
}

// TestPackOfOthersIsNotMine has a handle remember a pack that is gone, in whose place there
// is one of another handle's that looks the same: nothing of the old one comes back.
func TestPackOfOthersIsNotMine(t *testing.T) {
	path := newFile(t)
	p, b := openPacker(t, path), openPacker(t, path)
	p.accept(private("OLD", 1, 10, "resolved"))
	p.deliver(p.claim("me", at, 1), at) // now it knows who they are for
	b.deliver(b.claim("other", at, 20), at)
	if gone, err := b.Prune(t.Context(), at.Add(time.Hour)); err != nil || gone.Deliveries != 10 {
		t.Fatal(gone, err)
	}
	b.accept(private("NEW", 1, 10, "resolved"))
	b.deliver(b.claim("other", at, 1), at)
	claims := p.claim("me", at, 20)
	if len(claims) != 9 || claims[0].ID != 2 {
		t.Errorf("%d are claimed: %+v", len(claims), claims)
	}
	for _, c := range claims {
		secret(p, c, nil)
	}
	if n := p.deliver(claims, at); n != 9 {
		t.Errorf("%d are settled", n)
	}
}
