package sqlite_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"sitrep/ledger"
)

// chunk writes a chunk, and notes the answer.
func (s *scene) chunk(update string, n int, all ...ledger.Planned) {
	s.Helper()
	got, err := s.expand(update, n, all...)
	s.said = append(s.said, strings.ReplaceAll(fmt.Sprintf("%+v %v", got, err), s.path, "FILE"))
	s.must(s.RemembersPacks(s.Context()))
}

// take accepts, and notes the answer.
func (s *scene) take(a ledger.Acceptance) {
	s.Helper()
	got, err := s.Accept(s.Context(), a)
	s.said = append(s.said, strings.ReplaceAll(fmt.Sprintf("%+v %v", got, err), s.path, "FILE"))
	s.must(s.RemembersPacks(s.Context()))
}

// wide are the deliveries of an update whose keys are in order.
func wide(incident string, n int) ledger.Acceptance {
	a := small(incident, n)
	for i := range a.Deliveries {
		a.Deliveries[i].Key = fmt.Sprintf("%s %03d", incident, i)
	}
	return a
}

// second is the second update of an incident, for the same recipients.
func second(a ledger.Acceptance) ledger.Acceptance {
	b := small(a.Incident.ID, len(a.Deliveries))
	b.Update.Key, b.Update.Seq, b.Incident.Seq = a.Update.Key+" again", 2, 2
	for i := range b.Deliveries {
		b.Deliveries[i].Key = fmt.Sprint(b.Update.Key, i)
	}
	return b
}

// intakes are acceptances that are the same with packs and without.
var intakes = map[string]func(s *scene){
	"cancelled while it is written": func(s *scene) {
		a := wide("INC-1", 30)
		s.begun(a, 10, 2)
		s.chunk("INC-1", 0, a.Deliveries[10:20]...)
		got, err := s.Cancel(s.Context(), "INC-1", at)
		s.said = append(s.said, fmt.Sprint(got, err))
		s.chunk("INC-1", 1, a.Deliveries[20:]...)
		s.ask("ann", "mail", "", 0, 5, 100)
	},
	"a newer update while it is written": func(s *scene) {
		a := wide("INC-1", 30)
		s.begun(a, 10, 2)
		s.deliver(s.ask("ann", "mail", "", 0, 5, 100), at)
		s.take(second(a))
		s.chunk("INC-1", 0, a.Deliveries[10:20]...)
		s.ask("ann", "mail", "", 0, 5, 5)
		s.chunk("INC-1", 1, a.Deliveries[20:]...)
		s.ask("ann", "mail", "", 0, 5, 100)
	},
	"an older update is unfinished": func(s *scene) {
		a := wide("INC-1", 10)
		s.take(a)
		c := s.ask("ann", "mail", "", 0, 5, 4)
		s.tell(again(c[0], at), arrived(c[1], at))
		s.take(second(a))
		s.ask("ann", "mail", "", 0, 5, 100)
		s.tell(again(c[2], at))
		s.ask("ann", "mail", "", 6, 9, 100)
	},
	"accepted again in the middle": func(s *scene) {
		a := wide("INC-1", 40)
		s.begun(a, 10, 3)
		more := a
		more.Deliveries = a.Deliveries[15:25]
		s.take(more)
		s.chunk("INC-1", 0, a.Deliveries[10:20]...)
		s.chunk("INC-1", 1, a.Deliveries[20:30]...)
		s.take(a)
		s.ask("ann", "mail", "", 0, 5, 100)
	},
	"accepted again in the middle, by whom does not know": func(s *scene) {
		a := wide("INC-1", 40)
		s.begun(a, 10, 3)
		more := a
		more.Deliveries = a.Deliveries[15:25]
		more.Rest = &ledger.Rest{Roster: "INC-1", Chunks: 3, Count: 30}
		s.take(more)
		s.chunk("INC-1", 0, a.Deliveries[10:20]...)
		s.chunk("INC-1", 1, a.Deliveries[20:30]...)
		s.ask("ann", "mail", "", 0, 5, 100)
	},
	"accepted again with others to be written": func(s *scene) {
		a := wide("INC-1", 30)
		s.take(a)
		s.begun(a, 0, 1)
		s.chunk("INC-1", 0, append(wide("INC-1", 40).Deliveries[20:], wide("INC-9", 3).Deliveries...)...)
		s.ask("ann", "mail", "", 0, 5, 100)
	},
	"somebody twice": func(s *scene) {
		a := wide("INC-1", 40)
		s.begun(a, 10, 4)
		a.Deliveries[15].To = a.Deliveries[12].To // in a chunk
		s.chunk("INC-1", 0, a.Deliveries[10:20]...)
		a.Deliveries[25].To = a.Deliveries[5].To // in two
		s.chunk("INC-1", 1, a.Deliveries[20:30]...)
		s.chunk("INC-1", 2, a.Deliveries[25:35]...)
		s.chunk("INC-1", 3, a.Deliveries[35:40]...)
		s.ask("ann", "mail", "", 0, 5, 100)
		b := wide("INC-2", 10)
		b.Deliveries[9].To = b.Deliveries[3].To
		s.take(b)
	},
	"a key twice": func(s *scene) {
		a := wide("INC-1", 40)
		s.begun(a, 10, 4)
		s.chunk("INC-1", 0, a.Deliveries[10:20]...)
		for _, of := range []int{12, 19, 0, 9} {
			bad := wide("INC-1", 40).Deliveries[20:30]
			bad[4].Key = a.Deliveries[of].Key
			s.chunk("INC-1", 1, bad...)
		}
		s.chunk("INC-1", 1, a.Deliveries[20:30]...)
		b := wide("INC-2", 10)
		b.Deliveries[9].Key = b.Deliveries[3].Key
		s.take(b)
	},
	"the key of another update": func(s *scene) {
		a := wide("INC-1", 40)
		s.begun(a, 10, 4)
		s.chunk("INC-1", 0, a.Deliveries[10:20]...) // a pack
		s.chunk("INC-1", 1, a.Deliveries[20])       // a row
		for _, of := range []int{0, 5, 9, 10, 15, 19, 20} {
			for _, place := range []int{0, 4, 9} {
				b := wide("INC-0", 10)
				b.Deliveries[place].Key = a.Deliveries[of].Key
				s.take(b)
				b = wide("INC-9", 10)
				b.Deliveries[place].Key = a.Deliveries[of].Key
				s.take(b)
			}
		}
		s.chunk("INC-1", 2, a.Deliveries[21:40]...)
	},
	"a key that another update took meanwhile": func(s *scene) {
		for i, key := range []string{"INC-1 000", "INC-1 005", "INC-1 010", "INC-1 012", "INC-1 015", "INC-1 019", "INC-1 025"} {
			a := wide("INC-1", 40)
			a.Incident.ID, a.Update.Incident, a.Update.Key = fmt.Sprint("INC-", i), fmt.Sprint("INC-", i), fmt.Sprint("INC-", i)
			for n := range a.Deliveries {
				a.Deliveries[n].Key = fmt.Sprint(i, a.Deliveries[n].Key)
			}
			s.begun(a, 5, 4)
			s.chunk(a.Update.Key, 0, a.Deliveries[10:15]...)
			other := wide(fmt.Sprint("X", i), 3)
			other.Deliveries[1].Key = fmt.Sprint(i, key)
			s.take(other)
			s.chunk(a.Update.Key, 1, a.Deliveries[5:10]...)
			s.chunk(a.Update.Key, 1, a.Deliveries[15:20]...)
			s.chunk(a.Update.Key, 2, a.Deliveries[20:30]...)
		}
		s.ask("ann", "mail", "", 0, 5, 1000)
	},
	"a key that another update took before those": func(s *scene) {
		for i, of := range []int{10, 14, 19, 20} {
			a := wide("INC-1", 40)
			a.Incident.ID, a.Update.Incident, a.Update.Key = fmt.Sprint("INC-", i), fmt.Sprint("INC-", i), fmt.Sprint("INC-", i)
			for n := range a.Deliveries {
				a.Deliveries[n].Key = fmt.Sprint(i, a.Deliveries[n].Key)
			}
			key := a.Deliveries[of].Key
			slices.Reverse(a.Deliveries)
			s.begun(a, 10, 4)
			other := wide(fmt.Sprint("X", i), 2)
			other.Deliveries[0].Key, other.Deliveries[1].Key = key, key+" or so"
			s.take(other)
			s.chunk(a.Update.Key, 0, a.Deliveries[10:19]...)
			s.chunk(a.Update.Key, 1, a.Deliveries[20:30]...)
			s.chunk(a.Update.Key, 1, a.Deliveries[30:35]...)
			s.chunk(a.Update.Key, 2, a.Deliveries[35:]...)
		}
		s.ask("ann", "mail", "", 0, 5, 1000)
	},
	"suppressed and of two channels": func(s *scene) {
		a := wide("INC-1", 40)
		for i := range a.Deliveries {
			if i%10 == 3 {
				a.Deliveries[i].Suppressed = "signed off"
			}
			if i > 25 {
				a.Deliveries[i].Channel = "chat"
			}
		}
		s.take(a)
		s.ask("ann", "mail", "", 0, 5, 12)
		s.ask("ann", "chat", "", 0, 5, 5)
		s.ask("ann", "mail", "", 0, 5, 100)
	},
	"taken back and done again": func(s *scene) {
		a := wide("INC-1", 40)
		s.begun(a, 10, 2)
		for n := range 2 {
			_, err := s.Expand(late{context.Background()}, ledger.Expanded{Update: "INC-1", Chunk: n, Deliveries: a.Deliveries[20:30], Now: at})
			s.said = append(s.said, fmt.Sprint(err))
			s.chunk("INC-1", n, a.Deliveries[10+10*n:30+10*n]...)
		}
		b := wide("INC-2", 10)
		_, err := s.Accept(late{context.Background()}, b)
		s.said = append(s.said, fmt.Sprint(err))
		s.begun(wide("INC-3", 20), 5, 1) // its number was that of INC-2
		s.chunk("INC-3", 0, wide("INC-3", 20).Deliveries[3:]...)
		s.take(b)
		s.ask("ann", "mail", "", 0, 5, 1000)
	},
	"larger than a pack may be": func(s *scene) {
		for i, n := range []int{2047, 2048, 2049, 4097} {
			s.take(wide(fmt.Sprint("INC-", i), n))
		}
		for _, n := range []int{2047, 1, 2047, 1, 3000} {
			claims := s.ask("ann", "mail", "", 0, 5, n)
			s.tell(arrived(claims[0], at), again(claims[len(claims)-1], at))
		}
	},
	"dropped, and its number used again": func(s *scene) {
		for i := range 3 {
			a := wide(fmt.Sprint("INC-", i), 10)
			a.Incident.Status = "resolved"
			s.begun(a, 4, 2)
			s.chunk(a.Update.Key, 0, a.Deliveries[4:8]...)
			s.chunk(a.Update.Key, 1, a.Deliveries[6:]...)
			s.deliver(s.ask("ann", "mail", "", 0, 5, 100), at)
			got, err := s.Prune(s.Context(), minute(1))
			s.said = append(s.said, fmt.Sprint(got, err))
		}
	},
}

// TestPackIntakes takes in each of them with packs and without.
func TestPackIntakes(t *testing.T) { playAll(t, intakes) }

// TestPackMany has more packs than are to wait, and more updates under way than are kept
// account of: what comes then has rows at once, and is no less there.
func TestPackMany(t *testing.T) {
	s := &scene{packer: openPacker(t, newFile(t))}
	for i := range 20 {
		s.begun(wide(fmt.Sprint("INC-", i), 9), 3, 2)
	}
	for i := range 20 {
		s.chunk(fmt.Sprint("INC-", i), 0, wide(fmt.Sprint("INC-", i), 9).Deliveries[2:6]...)
		s.chunk(fmt.Sprint("INC-", i), 1, wide(fmt.Sprint("INC-", i), 9).Deliveries[4:]...)
	}
	for i := range 120 {
		s.take(wide(fmt.Sprint("MORE-", i), 3))
	}
	if n := s.Packs(); n > 100 || n < 50 {
		t.Errorf("%d packs", n)
	}
	claims := s.ask("ann", "mail", "", 0, 5, 10_000)
	if len(claims) != 20*9+120*3 {
		t.Errorf("%d are claimed", len(claims))
	}
	if n := s.deliver(claims, at); n != len(claims) {
		t.Errorf("%d are settled", n)
	}
}

// TestPackUndone has nothing remembered of packs whose acceptance was taken back, and all
// of those that were nearly written out.
func TestPackUndone(t *testing.T) {
	s := &scene{packer: openPacker(t, newFile(t))}
	if _, err := s.Accept(late{context.Background()}, wide("INC-1", 10)); err == nil {
		t.Error("it was accepted")
	}
	s.inPacks(0)
	s.take(wide("INC-1", 10))
	claims := s.ask("ann", "mail", "", 0, 5, 5)
	if _, err := s.Cancel(late{context.Background()}, "INC-1", at); err == nil {
		t.Error("it was cancelled")
	}
	if n := s.deliver(claims, at); n != 5 {
		t.Errorf("%d are settled", n)
	}
	s.inPacks(1)
	s.must(s.RemembersPacks(s.Context()))
}
