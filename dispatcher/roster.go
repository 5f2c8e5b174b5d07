package dispatcher

import (
	"cmp"
	"encoding/binary"
	"slices"
	"time"

	"sitrep/incident"
)

// roster is a party's recipients, each place once, as an index of a few bytes a place
// into the party's lists. It is made once for a configuration and never changes.
//
// Everything that is the same for many is decided class by class, so that a plan
// costs as much for a hundred thousand places as for a hundred.
type roster struct {
	party    incident.Party
	classes  []class
	count    []int    // places of each class
	class    []uint32 // of each place, in the order in which the lists first name them
	first    []uint32 // of each place, where its entries begin; one more at the end
	entries  []entry
	zones    map[string]*time.Location
	required map[place]bool // places that some list requires
	digest   string         // of the chunks; empty: too few places for them
}

// entry is a recipient in a list.
type entry struct{ list, at uint32 }

// expandAbove is how many deliveries are still written down at once.
const expandAbove = 500

func newRoster(p incident.Party) *roster {
	r := &roster{party: p, zones: map[string]*time.Location{}, required: map[place]bool{}}
	if p.Zone != nil {
		r.zones[p.Zone.String()] = p.Zone
	}
	r.gather()
	r.classify()
	if r.places() > expandAbove {
		r.digest = r.sum()
	}
	return r
}

func (r *roster) places() int { return len(r.class) }

func (r *roster) recipient(e entry) *incident.Recipient { return &r.party.Lists[e.list].To[e.at] }

// gather finds the places and sorts the entries by them.
func (r *roster) gather() {
	total := 0
	for _, l := range r.party.Lists {
		total += len(l.To)
	}
	at := make(map[place]uint32, total)
	all, of := make([]entry, 0, total), make([]uint32, 0, total)
	for i, l := range r.party.Lists {
		for k, to := range l.To {
			where := placeOf(to.Channel, to.Address)
			n, known := at[where]
			if !known {
				n = uint32(len(at)) //nolint:gosec // far fewer fit into memory
				at[where] = n
			}
			if to.Required {
				r.required[where] = true
			}
			all, of = append(all, entry{uint32(i), uint32(k)}), append(of, n) //nolint:gosec // as above
		}
	}
	r.class = make([]uint32, len(at))
	r.sortEntries(all, of)
}

// sortEntries sorts by the place of each, and leaves the order within a place.
func (r *roster) sortEntries(all []entry, of []uint32) {
	r.first = make([]uint32, r.places()+1)
	for _, n := range of {
		r.first[n+1]++
	}
	for n := range r.places() {
		r.first[n+1] += r.first[n]
	}
	next := slices.Clone(r.first)
	r.entries = make([]entry, len(all))
	for i, e := range all {
		r.entries[next[of[i]]] = e
		next[of[i]]++
	}
}

// classify finds the class of every place, and drops entries that say nothing new.
func (r *roster) classify() {
	known := map[string]uint32{}
	var key []byte
	kept, begin := uint32(0), uint32(0)
	for n := range r.places() {
		end := r.first[n+1]
		mine := r.entries[kept:kept] // never overtakes what is still to be read
		for _, e := range r.entries[begin:end] {
			if !slices.ContainsFunc(mine, func(x entry) bool { return r.sameWay(x, e) }) {
				mine = append(mine, e)
			}
		}
		r.first[n], begin = kept, end
		kept += uint32(len(mine)) //nolint:gosec // see gather
		key = r.classKey(key[:0], mine)
		c, ok := known[string(key)]
		if !ok {
			c = uint32(len(r.classes)) //nolint:gosec // see gather
			known[string(key)] = c
			r.classes, r.count = append(r.classes, r.classOf(mine)), append(r.count, 0)
		}
		r.class[n] = c
		r.count[c]++
	}
	r.first[r.places()] = kept
	r.entries = r.entries[:kept]
}

func (r *roster) sameWay(a, b entry) bool {
	return a.list == b.list && r.recipient(a).Via == r.recipient(b).Via
}

func (r *roster) classKey(b []byte, mine []entry) []byte {
	to := r.recipient(mine[0])
	b = appendWord(b, to.Channel)
	if r.required[placeOf(to.Channel, to.Address)] {
		b = append(b, '!')
	}
	for _, e := range mine {
		to := r.recipient(e)
		b = binary.AppendUvarint(b, uint64(e.list))
		b = appendWord(appendWord(appendWord(b, to.Via), to.Locale), zoneName(to.Zone))
	}
	return b
}

func (r *roster) classOf(mine []entry) class {
	to := r.recipient(mine[0])
	c := class{channel: to.Channel, required: r.required[placeOf(to.Channel, to.Address)]}
	for _, e := range mine {
		to := r.recipient(e)
		zone := zoneName(to.Zone)
		if zone != "" {
			r.zones[zone] = to.Zone
		}
		c.mentions = append(c.mentions, mention{list: int(e.list), via: to.Via, locale: to.Locale, zone: zone})
	}
	return c
}

func zoneName(z *time.Location) string {
	if z == nil {
		return ""
	}
	return z.String()
}

// seat is a place by its number. Its contacts are good until the next one's are
// written over them.
func (r *roster) seat(n int, contacts []contact) seat {
	for _, e := range r.entries[r.first[n]:r.first[n+1]] {
		to := r.recipient(e)
		contacts = append(contacts, contact{to.Address, to.Name})
	}
	return seat{class: int(r.class[n]), contacts: contacts}
}

// firstOf is the entry by which a choice first comes to a place, to sort by.
func (r *roster) firstOf(n int, c *choice) entry {
	for _, e := range r.entries[r.first[n]:r.first[n+1]] {
		if c.Lists[e.list].Told {
			return e
		}
	}
	return entry{}
}

func compareEntries(a, b entry) int {
	return cmp.Or(cmp.Compare(a.list, b.list), cmp.Compare(a.at, b.at))
}

// channels are those that the lists name, in their order.
func (r *roster) channels() []string {
	var ids []string
	for _, c := range r.classes {
		if !slices.Contains(ids, c.channel) {
			ids = append(ids, c.channel)
		}
	}
	return ids
}

// target is a place as it is served.
func (r *roster) target(n int, c *choice, v serving) Target {
	mine := r.entries[r.first[n]:r.first[n+1]]
	to := *r.recipient(mine[v.order[0]])
	for _, i := range v.order[1:] {
		to.Name = or(to.Name, r.recipient(mine[i]).Name)
	}
	of := r.classes[r.class[n]]
	to.Locale, to.Zone, to.Required = v.locale, r.zones[v.zone], of.required
	return Target{To: to, Audience: v.audience, Reach: c.reach(of, v)}
}
