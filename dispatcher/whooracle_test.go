package dispatcher_test

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"sitrep/dispatcher"
	"sitrep/incident"
)

// oracle says what Who says, plainly: it goes through the lists that join, recipient
// by recipient. It is what Who's classes are held against.
func oracle(p incident.Party, u incident.Update, only []string) (told []dispatcher.Target, left []dispatcher.Left) {
	var all []dispatcher.Target
	at := map[string]int{}
	for _, l := range p.Lists {
		joins, why := l.Joins(u)
		if !joins {
			left = append(left, dispatcher.Left{List: l.ID, Count: len(l.To), Why: why})
			continue
		}
		for _, r := range l.To {
			i, known := at[oraclePlace(r)]
			if !known {
				i = len(all)
				at[oraclePlace(r)] = i
				all = append(all, dispatcher.Target{To: r, Audience: l.Audience})
			}
			oracleMerge(&all[i], l, r)
		}
	}
	out := map[string]int{}
	for _, t := range all {
		if !oracleKeeps(p, t, only) {
			out[t.Reach[0].List]++
			continue
		}
		t.To.Required = oracleRequired(p, t.To)
		told = append(told, t)
	}
	for _, l := range p.Lists {
		if n := out[l.ID]; n > 0 {
			left = append(left, dispatcher.Left{List: l.ID, Count: n, Why: "left out by --only " + strings.Join(only, ",")})
		}
	}
	return told, left
}

func oraclePlace(r incident.Recipient) string {
	return r.Channel + " " + strings.ToLower(strings.TrimSpace(r.Address))
}

func oracleMerge(t *dispatcher.Target, l incident.List, r incident.Recipient) {
	reach := dispatcher.Reach{List: l.ID, Audience: l.Audience, Via: r.Via}
	if slices.Contains(t.Reach, reach) {
		return
	}
	if least := t.Audience.Least(l.Audience); least != t.Audience {
		t.Audience = least
		t.To = oracleFilled(r, t.To)
		t.Reach = append([]dispatcher.Reach{reach}, t.Reach...)
		return
	}
	t.To = oracleFilled(t.To, r)
	t.Reach = append(t.Reach, reach)
}

func oracleFilled(r, other incident.Recipient) incident.Recipient {
	if r.Name == "" {
		r.Name = other.Name
	}
	if r.Locale == "" {
		r.Locale = other.Locale
	}
	if r.Zone == nil {
		r.Zone = other.Zone
	}
	return r
}

// oracleRequired: a contract counts whichever list it is noted in.
func oracleRequired(p incident.Party, to incident.Recipient) bool {
	for _, l := range p.Lists {
		for _, r := range l.To {
			if r.Required && oraclePlace(r) == oraclePlace(to) {
				return true
			}
		}
	}
	return false
}

func oracleKeeps(p incident.Party, t dispatcher.Target, only []string) bool {
	sorts := map[int][]string{}
	for _, w := range only {
		switch {
		case incident.Audience(w).Valid():
			sorts[0] = append(sorts[0], w)
		case slices.ContainsFunc(p.Lists, func(l incident.List) bool { return l.ID == w }):
			sorts[1] = append(sorts[1], w)
		default:
			sorts[2] = append(sorts[2], w)
		}
	}
	for _, words := range sorts {
		if !slices.ContainsFunc(words, func(w string) bool {
			return string(t.Audience) == w || t.To.Channel == w ||
				slices.ContainsFunc(t.Reach, func(r dispatcher.Reach) bool { return r.List == w })
		}) {
			return false
		}
	}
	return true
}

// tangled is a party whose lists overlap in every way, made from a seed.
func tangled(seed uint64, size int) incident.Party {
	r := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // a test that can be repeated
	pick := func(of ...string) string { return of[r.IntN(len(of))] }
	zones := []*time.Location{nil, time.UTC, time.FixedZone("Europe/Berlin", 3600), time.FixedZone("Asia/Tokyo", 9*3600)}
	p := incident.Party{ID: "abc", Name: "ABC Corp", Zone: time.UTC}
	for i := range 1 + r.IntN(5) {
		l := incident.List{ID: fmt.Sprintf("list-%d", i), Audience: incident.Audiences()[r.IntN(3)]}
		if i < 3 && r.IntN(9) == 0 {
			l.ID = []string{"internal", "customer", "public"}[i] // the words of --only have several senses
		}
		if r.IntN(3) == 0 {
			l.Severities = []incident.Severity{incident.Severity(1 + r.IntN(2))}
		}
		for range r.IntN(size + 1) {
			address := fmt.Sprintf("%s%d@x", pick("a", "A", " a"), r.IntN(size))
			l.To = append(l.To, incident.Recipient{
				Channel: pick("mail", "mail", "chat"), Address: address, Name: pick("", "Ann", "Ben"), Locale: pick("", "", "de", "fr"),
				Zone: zones[r.IntN(len(zones))], Via: pick("", "", "everybody"), Required: r.IntN(20) == 0,
			})
		}
		p.Lists = append(p.Lists, l)
	}
	return p
}

func checkWho(t *testing.T, p incident.Party, u incident.Update, only []string) {
	t.Helper()
	told, left, problems := dispatcher.Who(p, u, only)
	if len(problems) > 0 {
		return // a word that this party does not have
	}
	wantTold, wantLeft := oracle(p, u, only)
	if len(told)+len(wantTold) > 0 && !reflect.DeepEqual(told, wantTold) {
		t.Errorf("told:\n got %+v\nwant %+v", told, wantTold)
	}
	if !reflect.DeepEqual(left, wantLeft) {
		t.Errorf("left:\n got %+v\nwant %+v", left, wantLeft)
	}
}

// However lists overlap, and whichever of them join, Who is what going through them
// one by one gives.
func TestWhoAgainstOracle(t *testing.T) {
	words := [][]string{nil, {"internal"}, {"customer", "public"}, {"list-0"}, {"mail"}, {"internal", "mail"}, {"list-1", "list-0", "chat"}}
	for seed := range uint64(600) {
		p := tangled(seed, 1+int(seed%30)) //nolint:gosec // small
		checkWho(t, p, update(incident.Severity(1+seed%3), 0), words[seed%uint64(len(words))])
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func FuzzWho(f *testing.F) {
	f.Add(uint64(1), uint8(10), uint8(1), "")
	f.Add(uint64(2), uint8(40), uint8(2), "internal,mail")
	f.Fuzz(func(t *testing.T, seed uint64, size, severity uint8, only string) {
		var words []string
		if only != "" {
			words = strings.Split(only, ",")
			for i := range words {
				words[i] = strings.TrimSpace(words[i])
			}
		}
		checkWho(t, tangled(seed, int(size)), update(incident.Severity(severity%4), 0), words)
	})
}
