package dispatcher

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"testing"
	"time"

	"sitrep/incident"
)

// listsOf is a party with n recipients, every tenth on two lists.
func listsOf(n int) incident.Party {
	p := incident.Party{ID: "abc", Zone: time.UTC, Lists: []incident.List{
		{ID: "in", Audience: incident.Internal}, {ID: "out", Audience: incident.Customer},
	}}
	for i := range n {
		to := incident.Recipient{Channel: "mail", Address: fmt.Sprintf("user%d@x", i), Name: fmt.Sprint("Näme ", i), Locale: "de", Required: i%7 == 0}
		p.Lists[1].To = append(p.Lists[1].To, to)
		if i%10 == 0 {
			p.Lists[0].To = append(p.Lists[0].To, incident.Recipient{Channel: "mail", Address: fmt.Sprintf("USER%d@x", i), Zone: time.UTC, Via: "everybody"})
		}
	}
	return p
}

// The chunks of a roster hold every place once, in order, as the roster has it.
func TestChunksRead(t *testing.T) {
	for _, n := range []int{0, 1, 255, 256, 257, 768, 769, 3000} {
		r := newRoster(listsOf(n))
		place := 0
		for b := range r.encoded() {
			c, err := decodeChunk(b, 2)
			if err != nil {
				t.Fatalf("%d places: %v", n, err)
			}
			for _, got := range c.seats {
				want := r.seat(place, nil)
				if !slices.Equal(got.contacts, want.contacts) || !reflect.DeepEqual(c.classes[got.class], r.classes[want.class]) {
					t.Fatalf("place %d of %d: %+v of %+v, want %+v", place, n, got, c.classes[got.class], want)
				}
				place++
			}
		}
		if place != n || (r.digest != "") != (n > expandAbove) {
			t.Errorf("%d places read of %d, digest %q", place, n, r.digest)
		}
	}
}

// The same recipients have the same digest wherever they are read from, and others
// another.
func TestDigest(t *testing.T) {
	p := listsOf(2000)
	first := newRoster(p).digest
	if again := newRoster(listsOf(2000)).digest; again != first {
		t.Error("the same recipients have two digests")
	}
	for name, change := range map[string]func(r *incident.Recipient){
		"address":  func(r *incident.Recipient) { r.Address = "other@x" },
		"name":     func(r *incident.Recipient) { r.Name = "Other" },
		"required": func(r *incident.Recipient) { r.Required = !r.Required },
		"zone":     func(r *incident.Recipient) { r.Zone = time.UTC },
	} {
		p := listsOf(2000)
		change(&p.Lists[1].To[1999])
		if newRoster(p).digest == first {
			t.Errorf("another %s, the same digest", name)
		}
	}
}

// What is kept in the ledger may have been damaged, or made by anybody: it is read or
// refused, and makes no delivery that was not decided on.
func FuzzDecodeChunk(f *testing.F) {
	r := newRoster(listsOf(40))
	good := r.encode(nil, 0)
	f.Add(good, 2)
	f.Add(good[:len(good)/2], 2)
	f.Add(good, 1)
	f.Add(good, 0)
	f.Add([]byte{chunkVersion, 0xff, 0xff, 0xff, 0xff, 0x0f}, 2)
	f.Add([]byte{}, math.MaxInt)
	f.Fuzz(func(t *testing.T, b []byte, lists int) {
		lists = min(max(lists, 0), 4)
		c, err := decodeChunk(b, lists)
		if err != nil {
			if !errors.Is(err, errChunk) {
				t.Errorf("%v", err)
			}
			return
		}
		s := &selection{Update: "u", Renderings: []request{{"mail", incident.Customer, "", ""}}}
		for i := range lists {
			s.Lists = append(s.Lists, listed{ID: fmt.Sprint(i), Audience: incident.Audiences()[i%3], Told: true})
		}
		m, err := s.maker(c.classes, nil)
		if err != nil {
			return
		}
		for _, x := range c.seats {
			if p, told := m.planned(x); told && (p.Audience != string(incident.Customer) || p.Channel != "mail" || p.Rendering != 0) {
				t.Errorf("%+v", p)
			}
		}
	})
}

func FuzzReadSelection(f *testing.F) {
	f.Add(`{"lists":[{"id":"a","audience":"internal","told":true}],"update":"u","renderings":[{"channel":"mail","audience":"internal"}],"expire":{}}`)
	f.Add(`{"lists":[{"id":"a","audience":"boss"}],"update":"u","renderings":[{}]}`)
	f.Add(`null`)
	c := []class{{channel: "mail", mentions: []mention{{list: 0}}}}
	f.Fuzz(func(t *testing.T, plan string) {
		s, err := readSelection([]byte(plan))
		if err != nil || len(s.Lists) == 0 {
			return
		}
		m, err := s.maker(c, nil)
		if err != nil {
			return
		}
		if p, told := m.planned(seat{contacts: []contact{{"a@x", ""}}}); told && p.Rendering >= len(s.Renderings) {
			t.Errorf("%+v", p)
		}
	})
}

// A class that is told and for which nothing was decided makes an error, and nobody
// is told by guess.
func TestNothingByGuess(t *testing.T) {
	s := &selection{Update: "u", Renderings: []request{{"mail", incident.Internal, "", ""}}}
	s.Lists = []listed{{"out", incident.Customer, true}}
	of := []class{{channel: "mail", mentions: []mention{{list: 0}}}}
	if _, err := s.maker(of, nil); !errors.Is(err, errSelection) {
		t.Errorf("%v, want a refusal", err)
	}
	s.None = []request{{"mail", incident.Customer, "", ""}}
	m, err := s.maker(of, nil)
	if err != nil {
		t.Fatal(err)
	}
	if p, told := m.planned(seat{contacts: []contact{{"a@x", ""}}}); told {
		t.Errorf("told: %+v", p)
	}
}
