package dispatcher

import (
	"slices"

	"sitrep/incident"
)

// class is what decides how a place is served: on which channel it is, which lists
// name it, and in which language and zone. Places of a class differ in nothing but
// addresses and names, and there are few classes however many places.
type class struct {
	channel  string
	required bool // some list says so
	mentions []mention
}

// mention is one way in which the lists reach a place. They are in the order of the
// lists; the same list names a place twice only by different ways.
type mention struct {
	list              int // its number
	via, locale, zone string
}

// listed is a list as an update finds it.
type listed struct {
	ID       string            `json:"id"`
	Audience incident.Audience `json:"audience"`
	Told     bool              `json:"told,omitempty"` // it joins the update
}

// choice says which places of a party are told of an update. It is a part of a
// [selection], and plain.
type choice struct {
	Lists []listed `json:"lists"` // all of the party's, by number

	// Only is what --only says: of each group one word must name the recipient.
	Only [][]string `json:"only,omitempty"`

	// Inside leaves out whoever is on a list for others, whether or not that list
	// is told.
	Inside bool `json:"inside,omitempty"`
}

// serving is what a choice makes of a class.
type serving struct {
	reached  bool // by a list that is told
	told     bool
	audience incident.Audience

	// order is the mentions that count, by number. The first is the one the place
	// is served as, and each leaves open only what those before it do not say.
	order        []int
	locale, zone string
	rendering    int // index; -1: there is none for it, and it is not told
}

// serve decides. The least privileged audience wins, and with it that list's own
// details of the recipient.
func (c *choice) serve(of class) serving {
	v := serving{}
	outside := false
	for i, m := range of.mentions {
		l := c.Lists[m.list]
		outside = outside || l.Audience != incident.Internal
		switch {
		case !l.Told:
		case !v.reached:
			v.reached, v.audience, v.order = true, l.Audience, []int{i}
		case v.audience.Least(l.Audience) != v.audience:
			v.audience, v.order = v.audience.Least(l.Audience), append([]int{i}, v.order...)
		default:
			v.order = append(v.order, i)
		}
	}
	for _, i := range v.order {
		v.locale = or(v.locale, of.mentions[i].locale)
		v.zone = or(v.zone, of.mentions[i].zone)
	}
	v.told = v.reached && c.keeps(of, v) && (!c.Inside || !outside)
	return v
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

func (c *choice) keeps(of class, v serving) bool {
	for _, group := range c.Only {
		if !slices.ContainsFunc(group, func(word string) bool { return c.answers(of, v, word) }) {
			return false
		}
	}
	return true
}

// answers reports whether word means the recipient in any of its senses: a list may
// be called like an audience.
func (c *choice) answers(of class, v serving, word string) bool {
	return string(v.audience) == word || of.channel == word ||
		slices.ContainsFunc(v.order, func(i int) bool { return c.Lists[of.mentions[i].list].ID == word })
}

// reach is every list that reaches the class, as it is served.
func (c *choice) reach(of class, v serving) []Reach {
	all := make([]Reach, len(v.order))
	for n, i := range v.order {
		l := c.Lists[of.mentions[i].list]
		all[n] = Reach{List: l.ID, Audience: l.Audience, Via: of.mentions[i].via}
	}
	return all
}

// contact is what differs among the places of a class, for one of their mentions.
type contact struct{ address, name string }

// seat is one place: its class, by number, and a contact for each mention.
type seat struct {
	class    int
	contacts []contact
}

// name is the recipient's as it is served.
func (v *serving) name(contacts []contact) string {
	for _, i := range v.order {
		if n := contacts[i].name; n != "" {
			return n
		}
	}
	return ""
}
