package ledgertest

import (
	"testing"

	"sitrep/channels"
	"sitrep/ledger"
)

func orderTests() []test {
	return []test{
		{"OneAtATime", oneAtATime},
		{"OnlyTheSameRecipient", onlyTheSameRecipient},
		{"AcrossALongIncident", acrossALongIncident},
		{"ThreadOfTheLatestDelivered", threadOfTheLatest},
		{"ThreadsDoNotMix", threadsDoNotMix},
	}
}

func oneAtATime(t *testing.T, r *rig) {
	r.accept(update("INC-1", 1, "mail/a"))
	r.accept(update("INC-1", 2, "mail/a"))
	first := r.claim("me", after(2))
	same(t, "claimed", addresses(first), "1:a")
	same(t, "claimed while the first is under way", len(r.claim("other", after(2))), 0)
	r.applied(back(first[0], after(6)))
	same(t, "claimed while the first waits", len(r.claim("me", after(5))), 0)
	first = r.claim("me", after(6))
	same(t, "claimed when it is due", addresses(first), "1:a")
	r.applied(ends(first[0], ledger.Failed, after(6)))
	same(t, "claimed after it failed", addresses(r.claim("me", after(6))), "2:a")
}

func onlyTheSameRecipient(t *testing.T, r *rig) {
	r.accept(update("INC-1", 1, "mail/a", "chat/b"))
	r.accept(update("INC-1", 2, "mail/b", "mail/A"))
	r.accept(update("INC-2", 1, "mail/a"))
	same(t, "claimed at once", addresses(r.claim("me", after(2))), "1:a 1:a 2:b 2:A")
}

func acrossALongIncident(t *testing.T, r *rig) {
	const last = 12
	for seq := 1; seq <= last; seq++ {
		r.accept(update("INC-1", seq, "mail/a", "mail/b"))
	}
	want := map[string]int{"a": 1, "b": 1}
	for now := after(last); ; {
		claims := r.claim("me", now)
		if len(claims) == 0 {
			break
		}
		for _, c := range claims {
			if c.Seq != want[c.To.Address] {
				t.Fatalf("%s got update %d, want %d", c.To.Address, c.Seq, want[c.To.Address])
			}
			want[c.To.Address]++
			r.applied(ends(c, ledger.Delivered, now))
		}
	}
	same(t, "delivered", want, map[string]int{"a": last + 1, "b": last + 1})
}

// arrives delivers the one claimable delivery and leaves a thread.
func arrives(r *rig, channel, thread string, now int) ledger.Claim {
	r.Helper()
	c := r.ask(ledger.ClaimRequest{Channel: channel, Owner: "me", Now: after(now), Limit: 1}).Claims[0]
	s := ends(c, ledger.Delivered, after(now))
	s.Receipt.Thread = channels.Thread(thread)
	r.applied(s)
	return c
}

func threadOfTheLatest(t *testing.T, r *rig) {
	r.accept(update("INC-1", 1, "chat/room"))
	same(t, "first", arrives(r, "chat", "T1", 0).Thread, "")
	r.accept(update("INC-1", 2, "chat/room"))
	same(t, "second", arrives(r, "chat", "T2", 2).Thread, "T1")
	r.accept(update("INC-1", 3, "chat/room"))
	c := r.ask(ledger.ClaimRequest{Channel: "chat", Owner: "me", Now: after(3)}).Claims[0]
	s := ends(c, ledger.Failed, after(3))
	s.Receipt.Thread = "never used"
	r.applied(s)
	r.accept(update("INC-1", 4, "chat/room"))
	same(t, "after one that failed", arrives(r, "chat", "T4", 5).Thread, "T2")
}

func threadsDoNotMix(t *testing.T, r *rig) {
	r.accept(update("INC-1", 1, "chat/room", "bot/room"))
	arrives(r, "chat", "T", 0)
	same(t, "another channel", arrives(r, "bot", "", 0).Thread, "")
	r.accept(update("INC-1", 2, "chat/other"))
	same(t, "another room", arrives(r, "chat", "", 2).Thread, "")
	r.accept(update("INC-2", 1, "chat/room"))
	same(t, "another incident", arrives(r, "chat", "", 2).Thread, "")
}
