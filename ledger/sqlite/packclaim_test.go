package sqlite_test

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"sitrep/ledger"
)

// scene is a ledger and what it has said.
type scene struct {
	packer
	said []string
}

// ask claims, and notes the answer.
func (s *scene) ask(owner, channel, incident string, now, until, limit int) []ledger.Claim {
	s.Helper()
	got, err := s.Claim(s.Context(), ledger.ClaimRequest{Channel: channel, Owner: owner, Incident: incident, Now: minute(now), Until: minute(until), Limit: limit})
	s.must(err)
	for _, c := range got.Claims {
		s.said = append(s.said, fmt.Sprintf("%+v", c))
	}
	s.said = append(s.said, fmt.Sprintf("next %v, paused %+v", got.Next, got.Paused))
	return got.Claims
}

// tell settles, and notes the answer.
func (s *scene) tell(all ...ledger.Settlement) {
	s.Helper()
	v, err := s.Settle(s.Context(), all)
	s.must(err)
	s.said = append(s.said, fmt.Sprintf("%+v", v))
}

func minute(n int) time.Time { return at.Add(time.Duration(n) * time.Minute) }

// accepted is a small update that was accepted at a minute.
func (s *scene) accepted(incident string, n, accepted int) {
	s.Helper()
	a := small(incident, n)
	a.Update.Accepted = minute(accepted)
	s.accept(a)
}

// scenes are what becomes the same with packs and without.
var scenes = map[string]func(s *scene){
	"a lease ends, and its owner claims": func(s *scene) {
		s.accepted("INC-1", 10, 0)
		s.ask("ann", "mail", "", 0, 5, 3)
		s.ask("ann", "mail", "", 5, 10, 20)
	},
	"a lease has not ended yet": func(s *scene) {
		s.accepted("INC-1", 10, 0)
		s.ask("ann", "mail", "", 0, 6, 3)
		s.ask("ann", "mail", "", 5, 6, 20)
	},
	"all leases end": func(s *scene) {
		s.accepted("INC-1", 5, 0)
		s.ask("ann", "mail", "", 0, 5, 20)
		s.ask("ann", "mail", "", 4, 5, 20)
		s.ask("ann", "mail", "", 6, 10, 20)
	},
	"two owners": func(s *scene) {
		s.accepted("INC-1", 10, 0)
		a := s.ask("ann", "mail", "", 0, 5, 3)
		b := s.ask("bob", "mail", "", 1, 7, 3)
		s.ask("cyd", "mail", "", 1, 9, 0)
		s.tell(arrived(a[0], minute(1)), arrived(b[0], minute(1)), again(a[1], minute(1)))
		s.ask("cyd", "mail", "", 6, 9, 20)
		s.tell(arrived(a[2], minute(6)), arrived(b[2], minute(6)))
	},
	"one owner after the other": func(s *scene) {
		s.accepted("INC-1", 10, 0)
		for _, c := range s.ask("ann", "mail", "", 0, 30, 3) {
			s.tell(arrived(c, minute(0)))
		}
		b := s.ask("bob", "mail", "", 1, 7, 3)
		s.ask("cyd", "mail", "", 2, 9, 0)
		s.tell(arrived(b[0], minute(2)))
		s.ask("cyd", "mail", "", 8, 12, 20)
	},
	"settlements of others": func(s *scene) {
		s.accepted("INC-1", 10, 0)
		c := s.ask("ann", "mail", "", 0, 5, 4)
		for _, change := range []func(*ledger.Settlement){
			func(x *ledger.Settlement) { x.Owner = "bob" }, func(x *ledger.Settlement) { x.Owner = "" },
			func(x *ledger.Settlement) { x.Attempt = 2 }, func(x *ledger.Settlement) { x.Attempt = 0 },
			func(x *ledger.Settlement) { x.ID += 4 }, func(x *ledger.Settlement) { x.ID -= 4 }, func(x *ledger.Settlement) { x.ID += 10 },
		} {
			x, y := arrived(c[0], minute(1)), again(c[0], minute(1))
			change(&x)
			change(&y)
			s.tell(x, y)
		}
		s.tell(arrived(c[0], minute(1)), arrived(c[0], minute(2)), again(c[1], minute(1)), arrived(c[1], minute(1)), arrived(c[2], minute(1)), again(c[2], minute(1)))
		s.tell(arrived(c[0], minute(1)), arrived(c[1], minute(1)), arrived(c[2], minute(1)))
		s.ask("ann", "mail", "", 2, 5, 20)
	},
	"delivered, but not as usual": func(s *scene) {
		s.accepted("INC-1", 10, 0)
		c := s.ask("ann", "mail", "", 0, 5, 6)
		x, y := arrived(c[0], minute(1)), again(c[1], minute(1))
		x.Detail, y.Due = "queued there", minute(1)
		s.tell(x, y, arrived(c[2], minute(1)))
		for _, c := range s.ask("ann", "mail", "", 1, 5, 1) {
			s.tell(arrived(c, minute(2)))
		}
	},
	"reopened when a newer one has arrived": func(s *scene) {
		a := wide("INC-1", 10)
		s.take(a)
		for _, c := range s.ask("ann", "mail", "", 0, 5, 10) {
			x := arrived(c, minute(1))
			x.Outcome, x.Fault = ledger.Failed, "rejected"
			s.tell(x)
		}
		s.take(second(a))
		for _, c := range s.ask("ann", "mail", "", 1, 5, 7)[:4] {
			s.tell(arrived(c, minute(2)))
		}
		n, err := s.Reopen(s.Context(), "INC-1", minute(3), minute(90))
		s.said = append(s.said, fmt.Sprint(n, err))
		s.ask("ann", "mail", "", 3, 5, 20)
	},
	"dropped": func(s *scene) {
		for i := range 3 {
			a := wide(fmt.Sprint("INC-", i), 10)
			a.Incident.Status = "resolved"
			s.take(a)
			s.deliver(s.ask("ann", "mail", "", 0, 5, 20), at)
			got, err := s.Prune(s.Context(), minute(1))
			s.said = append(s.said, fmt.Sprint(got, err))
		}
	},
	"the oldest first": func(s *scene) {
		s.accepted("INC-1", 5, 3)
		s.accepted("INC-2", 5, 1)
		s.accepted("INC-3", 1, 2)
		s.accepted("INC-4", 5, 2)
		s.accepted("INC-5", 1, 1)
		for range 10 {
			s.ask("ann", "mail", "", 1, 9, 2)
			s.ask("ann", "mail", "", 3, 9, 1)
		}
	},
	"not due yet": func(s *scene) {
		s.accepted("INC-1", 5, 3)
		s.accepted("INC-2", 5, 2)
		s.ask("ann", "mail", "", 1, 9, 20)
		s.ask("ann", "mail", "", 2, 9, 20)
		s.ask("ann", "mail", "", 3, 9, 4)
	},
	"retries among them": func(s *scene) {
		s.accepted("INC-1", 10, 3)
		for i, c := range s.ask("ann", "mail", "", 3, 20, 5) {
			x := again(c, minute(3))
			x.Due = minute(i)
			x.Untried = i == 3
			s.tell(x)
		}
		for range 6 {
			s.ask("ann", "mail", "", 4, 20, 2)
		}
	},
	"of an incident, of a channel": func(s *scene) {
		for i, channel := range []string{"mail", "mail", "chat"} {
			a := small(fmt.Sprint("INC-", i), 5)
			for n := range a.Deliveries {
				a.Deliveries[n].Channel = channel
			}
			s.accept(a)
		}
		s.ask("ann", "mail", "INC-1", 0, 5, 3)
		s.ask("ann", "mail", "INC-2", 0, 5, 3)
		s.ask("ann", "chat", "INC-0", 0, 5, 3)
		s.ask("ann", "chat", "INC-9", 0, 5, 3)
		s.ask("bob", "mail", "INC-0", 0, 7, 5)
		s.ask("bob", "mail", "INC-0", 1, 9, 0)
		s.ask("bob", "mail", "", 1, 9, 0)
	},
	"renewed": func(s *scene) {
		s.accepted("INC-1", 10, 0)
		s.ask("ann", "mail", "", 0, 5, 3)
		s.must(s.Renew(s.Context(), "bob", minute(20)))
		s.must(s.Renew(s.Context(), "ann", minute(10)))
		s.must(s.Renew(s.Context(), "ann", minute(2)))
		s.ask("bob", "mail", "", 9, 20, 20)
		s.ask("bob", "mail", "", 10, 20, 20)
	},
	"paused": func(s *scene) {
		s.accepted("INC-1", 10, 0)
		s.ask("ann", "mail", "", 0, 5, 3)
		s.must(s.Pause(s.Context(), ledger.Pause{Channel: "mail", Until: minute(4), Since: minute(0)}))
		s.ask("ann", "mail", "", 1, 5, 20)
		s.ask("ann", "mail", "", 4, 5, 2)
	},
	"threads": func(s *scene) {
		for seq := 1; seq <= 3; seq++ {
			a := small("INC-1", 10-seq)
			a.Update.Key, a.Update.Seq, a.Incident.Seq = fmt.Sprint("INC-1-", seq), seq, seq
			for i := range a.Deliveries {
				a.Deliveries[i].Key = fmt.Sprint(a.Update.Key, " ", i)
			}
			slices.Reverse(a.Deliveries)
			s.accept(a)
			for i, c := range s.ask("ann", "mail", "", 0, 5, 20) {
				x := arrived(c, minute(1))
				if i%3 == seq-1 {
					x.Outcome, x.Fault = ledger.Failed, "rejected"
				}
				s.tell(x)
			}
		}
	},
}

// TestPackScenes plays each scene with packs and without.
func TestPackScenes(t *testing.T) { playAll(t, scenes) }

func playAll(t *testing.T, scenes map[string]func(*scene)) {
	for name, play := range scenes {
		t.Run(name, func(t *testing.T) {
			var said, rows [2][]string
			for i, from := range []int{math.MaxInt, 2} {
				s := &scene{packer: openPacker(t, newFile(t))}
				s.PackFrom(from)
				play(s)
				said[i] = s.said
				s.must(s.Close())
				for _, q := range rowsOfAll {
					rows[i] = append(rows[i], dump(t, s.path, q)...)
				}
			}
			equal(t, "said with packs", said[1], said[0])
			equal(t, "the file with packs", rows[1], rows[0])
		})
	}
}

// TestPackLeasesOfOne has the leases of one owner in a pack end at the latest of them.
func TestPackLeasesOfOne(t *testing.T) {
	s := &scene{packer: openPacker(t, newFile(t))}
	s.accepted("INC-1", 10, 0)
	s.ask("ann", "mail", "", 0, 9, 3)
	s.ask("ann", "mail", "", 1, 5, 3)
	if n := len(s.ask("bob", "mail", "", 8, 20, 20)); n != 4 {
		t.Errorf("%d are claimed while the latest lease is in force, want 4", n)
	}
	if n := len(s.ask("cyd", "mail", "", 9, 20, 20)); n != 6 {
		t.Errorf("%d are claimed afterwards, want 6", n)
	}
}

// TestPackStays has packs stay packs where nobody has reason to want rows: that is what
// they are for.
func TestPackStays(t *testing.T) {
	s := &scene{packer: openPacker(t, newFile(t))}
	s.accepted("INC-1", 10, 0)
	s.accepted("INC-2", 10, 0)
	s.deliver(s.ask("ann", "mail", "", 0, 5, 4), at)
	s.inPacks(2)
	last := s.ask("bob", "mail", "", 1, 5, 6) // nothing was under way
	s.inPacks(2)
	s.ask("ann", "mail", "INC-1", 2, 5, 20) // all of it is bob's
	s.inPacks(2)
	s.deliver(last, at)
	s.tell(again(s.ask("ann", "mail", "", 2, 5, 3)[0], minute(2)))
	s.inPacks(2)
	s.accepted("INC-3", 10, 0)
	s.must(s.Renew(s.Context(), "ann", minute(30)))
	_, err := s.Updates(s.Context(), ledger.UpdateQuery{})
	s.must(err)
	s.inPacks(3)
	s.listed()
	s.inPacks(0)
}
