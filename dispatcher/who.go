package dispatcher

import (
	"fmt"
	"slices"
	"strings"

	"sitrep/incident"
)

// Target is one recipient of an update, however many lists reached it.
type Target struct {
	To incident.Recipient

	// Audience is the least privileged of the lists' audiences: it decides what
	// the recipient sees.
	Audience incident.Audience

	// Reach is every list that reached it; the first is the one it is served as.
	Reach []Reach
}

// Reach is one way an update reaches a recipient.
type Reach struct {
	List     string
	Audience incident.Audience
	Via      string // the included list or file, or empty
}

// Left is a list, or recipients of a list, that are not told, and why.
type Left struct {
	List  string
	Count int    // recipients
	Why   string // in plain words
}

// Who says who is told of u, by which lists, and who is not and why. It is the first
// half of a plan, and it is pure. The targets come in the order of the lists.
//
// Each word of only is an audience, a list or a channel and keeps the recipients it
// names; words of different sorts must all hold (internal, mail: the internal
// recipients by mail), of words of the same sort one. A word that is nothing of
// these is a problem that names the choices. No words keep everybody.
func Who(p incident.Party, u incident.Update, only []string) ([]Target, []Left, incident.Problems) {
	all, left := reached(p, u)
	keep, problems := filterOf(p, only)
	if len(problems) > 0 {
		return nil, left, problems
	}
	var told []Target
	out := map[string]int{}
	for _, t := range all {
		if keep.keeps(t) {
			told = append(told, t)
		} else {
			out[t.Reach[0].List]++
		}
	}
	for _, l := range p.Lists {
		if n := out[l.ID]; n > 0 {
			left = append(left, Left{List: l.ID, Count: n, Why: "left out by --only " + strings.Join(only, ",")})
		}
	}
	return told, left, nil
}

// reached joins the lists and merges what they have in common.
func reached(p incident.Party, u incident.Update) ([]Target, []Left) {
	var all []Target
	var left []Left
	at := map[place]int{}
	for _, l := range p.Lists {
		joins, why := l.Joins(u)
		if !joins {
			left = append(left, Left{List: l.ID, Count: len(l.To), Why: why})
			continue
		}
		for _, r := range l.To {
			where := placeOf(r.Channel, r.Address)
			i, known := at[where]
			if !known {
				i = len(all)
				at[where] = i
				all = append(all, Target{To: r, Audience: l.Audience})
			}
			all[i].merge(l, r)
		}
	}
	return all, left
}

// place is a recipient, whichever way the address was capitalised: the same person
// twice must not be told twice, nor told more by one spelling than by the other.
type place struct{ channel, address string }

func placeOf(channel, address string) place {
	return place{channel, strings.ToLower(strings.TrimSpace(address))}
}

// merge adds a list that reaches t. The least privileged audience wins, and with it
// that list's own details of the recipient.
func (t *Target) merge(l incident.List, r incident.Recipient) {
	reach := Reach{List: l.ID, Audience: l.Audience, Via: r.Via}
	if slices.Contains(t.Reach, reach) {
		return
	}
	if least := t.Audience.Least(l.Audience); least != t.Audience {
		t.Audience = least
		t.To = filledFrom(r, t.To)
		t.Reach = append([]Reach{reach}, t.Reach...)
		return
	}
	t.To = filledFrom(t.To, r)
	t.Reach = append(t.Reach, reach)
}

func filledFrom(r, other incident.Recipient) incident.Recipient {
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

// filter is what --only says: for each sort of word that is used, the words.
type filter map[sort][]string

type sort int

const (
	byAudience sort = iota
	byList
	byChannel
)

func filterOf(p incident.Party, only []string) (filter, incident.Problems) {
	f := filter{}
	var problems incident.Problems
	for _, word := range only {
		word = strings.TrimSpace(word)
		switch s, ok := sortOf(p, word); {
		case ok:
			f[s] = append(f[s], word)
		default:
			problems = append(problems, incident.Problem{
				What:   fmt.Sprintf("%q (--only) is no audience, and no list or channel of %s.", word, p.ID),
				Remedy: "Write one of: " + strings.Join(choices(p), ", ") + ".",
			})
		}
	}
	return f, problems
}

func sortOf(p incident.Party, word string) (sort, bool) {
	switch {
	case incident.Audience(word).Valid():
		return byAudience, true
	case slices.ContainsFunc(p.Lists, func(l incident.List) bool { return l.ID == word }):
		return byList, true
	case slices.Contains(channelsOf(p), word):
		return byChannel, true
	default:
		return 0, false
	}
}

func channelsOf(p incident.Party) []string {
	var ids []string
	for _, l := range p.Lists {
		for _, r := range l.To {
			if !slices.Contains(ids, r.Channel) {
				ids = append(ids, r.Channel)
			}
		}
	}
	return ids
}

func choices(p incident.Party) []string {
	words := []string{string(incident.Internal), string(incident.Customer), string(incident.Public)}
	for _, l := range p.Lists {
		words = append(words, l.ID)
	}
	words = append(words, channelsOf(p)...)
	var once []string
	for _, w := range words {
		if !slices.Contains(once, w) {
			once = append(once, w)
		}
	}
	return once
}

func (f filter) keeps(t Target) bool {
	for _, words := range f {
		if !slices.ContainsFunc(words, t.answers) {
			return false
		}
	}
	return true
}

// answers reports whether word means t in any of its senses: a list may be called
// like an audience.
func (t Target) answers(word string) bool {
	return string(t.Audience) == word || t.To.Channel == word ||
		slices.ContainsFunc(t.Reach, func(r Reach) bool { return r.List == word })
}
