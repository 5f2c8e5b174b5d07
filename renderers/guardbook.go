package renderers

import (
	"slices"
	"strings"
	"unicode/utf8"

	"sitrep/incident"
)

// guardName is a name or a phrase to look for, word by word.
type guardName struct {
	kind  FindingKind
	text  string
	party string   // the customer whose name it is, if it is one's
	words []string // folded
	exact bool     // up to three letters: counts in capitals only
	may   bool     // the audience may read it; it shields what it contains
}

// guardIndex holds names by what a text must have for one of them to stand in it: its
// first word, or all its words run together.
type guardIndex struct{ first, joined map[string][]guardName }

func newGuardIndex() guardIndex {
	return guardIndex{map[string][]guardName{}, map[string][]guardName{}}
}

// guardBook is what a policy knows of names and hosts, ready to be looked up. It does
// not change once it is made.
type guardBook struct {
	hosts   []string
	aliases map[string][]string // of each customer
	names   guardIndex
}

// book gathers what p knows.
func (p Policy) book() *guardBook {
	b := &guardBook{hosts: internalHosts(p.Hosts), aliases: map[string][]string{}, names: newGuardIndex()}
	for _, party := range p.Parties {
		b.aliases[party.ID] = party.Aliases
		b.names.party(party, false)
	}
	for _, c := range p.colleagues() {
		b.names.add(guardName{kind: FoundMention, text: c})
	}
	for _, w := range p.Words {
		b.names.add(guardName{kind: FoundWord, text: w})
	}
	return b
}

// guardFor makes the policy ready for an update and an audience.
func (p Policy) guardFor(u incident.Update, a incident.Audience) guard {
	b := p.ready
	if b == nil {
		b = p.book()
	}
	g := guard{guardBook: b, audience: a, customer: u.Customer, own: newGuardIndex()}
	if u.Customer != "" || u.CustomerName != "" {
		own := incident.Party{ID: u.Customer, Name: u.CustomerName, PublicName: u.PublicName, Aliases: b.aliases[u.Customer]}
		g.own.party(own, a == incident.Customer)
	}
	g.own.add(guardName{kind: FoundCustomer, text: u.PublicName, party: u.Customer, may: true})
	return g
}

// colleagues are the people of the internal lists, by the names they have there; a
// first name alone is too common a word, and who is on an outward list too may be
// named.
func (p Policy) colleagues() []string {
	ours, theirs := map[string]bool{}, map[string]bool{}
	for _, party := range p.Parties {
		for _, l := range party.Lists {
			into := theirs
			if l.Audience == incident.Internal {
				into = ours
			}
			for _, r := range l.To {
				if name := strings.TrimSpace(r.Name); strings.Contains(name, " ") {
					into[name] = true
				}
			}
		}
	}
	var names []string
	for n := range ours {
		if !theirs[n] {
			names = append(names, n)
		}
	}
	slices.Sort(names)
	return names
}

func (x guardIndex) party(p incident.Party, may bool) {
	for _, n := range append([]string{p.ID, p.Name, p.PublicName}, p.Aliases...) {
		x.add(guardName{kind: FoundCustomer, text: n, party: p.ID, may: may})
	}
}

// add takes a name in, if there is anything in it to look for.
func (x guardIndex) add(n guardName) {
	n.text = strings.TrimSpace(n.text)
	for _, w := range guardWords(guardNormal(n.text)) {
		n.words = append(n.words, w.folded)
	}
	if len(n.words) == 0 || (n.kind == FoundCustomer && utf8.RuneCountInString(n.text) < 2) {
		return
	}
	n.exact = n.kind == FoundCustomer && len(n.text) <= 3
	x.first[n.words[0]] = append(x.first[n.words[0]], n)
	if joined := strings.Join(n.words, ""); len(n.words) > 1 && len(joined) >= 6 {
		x.joined[joined] = append(x.joined[joined], n)
	}
}
