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
	r := newRoster(p)
	c, left, problems := r.choose(u, only)
	if len(problems) > 0 {
		return nil, left, problems
	}
	servings := r.serve(&c)
	left = append(left, r.leftOut(&c, servings, only)...)
	var places []int
	for n, class := range r.class {
		if servings[class].told {
			places = append(places, n)
		}
	}
	slices.SortStableFunc(places, func(a, b int) int { return compareEntries(r.firstOf(a, &c), r.firstOf(b, &c)) })
	told := make([]Target, len(places))
	for i, n := range places {
		told[i] = r.target(n, &c, servings[r.class[n]])
	}
	return told, left, nil
}

// choose says which lists join u, and which recipients of theirs are meant.
func (r *roster) choose(u incident.Update, only []string) (choice, []Left, incident.Problems) {
	var c choice
	var left []Left
	for _, l := range r.party.Lists {
		joins, why := l.Joins(u)
		c.Lists = append(c.Lists, listed{ID: l.ID, Audience: l.Audience, Told: joins})
		if !joins {
			left = append(left, Left{List: l.ID, Count: len(l.To), Why: why})
		}
	}
	var problems incident.Problems
	c.Only, problems = r.filter(only)
	return c, left, problems
}

// serve decides about every class.
func (r *roster) serve(c *choice) []serving {
	servings := make([]serving, len(r.classes))
	for i, class := range r.classes {
		servings[i] = c.serve(class)
	}
	return servings
}

// leftOut counts whom --only leaves out, by the list they would be served as.
func (r *roster) leftOut(c *choice, servings []serving, only []string) []Left {
	out := make([]int, len(c.Lists))
	for i, v := range servings {
		if v.reached && !v.told {
			out[r.classes[i].mentions[v.order[0]].list] += r.count[i]
		}
	}
	var left []Left
	for i, n := range out {
		if n > 0 {
			left = append(left, Left{List: c.Lists[i].ID, Count: n, Why: "left out by --only " + strings.Join(only, ",")})
		}
	}
	return left
}

// filter is what --only says: for each sort of word that is used, the words.
func (r *roster) filter(only []string) ([][]string, incident.Problems) {
	var sorts [3][]string
	var problems incident.Problems
	for _, word := range only {
		word = strings.TrimSpace(word)
		s, ok := r.sortOf(word)
		if !ok {
			problems = append(problems, incident.Problem{
				What:   fmt.Sprintf("%q (--only) is no audience, and no list or channel of %s.", word, r.party.ID),
				Remedy: "Write one of: " + strings.Join(r.choices(), ", ") + ".",
			})
			continue
		}
		sorts[s] = append(sorts[s], word)
	}
	return slices.DeleteFunc(sorts[:], func(words []string) bool { return len(words) == 0 }), problems
}

// sortOf is 0 for an audience, 1 for a list and 2 for a channel.
func (r *roster) sortOf(word string) (int, bool) {
	switch {
	case incident.Audience(word).Valid():
		return 0, true
	case slices.ContainsFunc(r.party.Lists, func(l incident.List) bool { return l.ID == word }):
		return 1, true
	case slices.Contains(r.channels(), word):
		return 2, true
	default:
		return 0, false
	}
}

func (r *roster) choices() []string {
	words := []string{string(incident.Internal), string(incident.Customer), string(incident.Public)}
	for _, l := range r.party.Lists {
		words = append(words, l.ID)
	}
	words = append(words, r.channels()...)
	var once []string
	for _, w := range words {
		if !slices.Contains(once, w) {
			once = append(once, w)
		}
	}
	return once
}
