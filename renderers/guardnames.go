package renderers

import (
	"cmp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"sitrep/incident"
)

// guardName is a name or a phrase to look for, word by word.
type guardName struct {
	kind  FindingKind
	text  string
	words []string // folded
	exact bool     // up to three letters: counts in capitals only
	may   bool     // the audience may read it; it shields what it contains
}

// guardFor makes the policy ready for an update and an audience.
func (p Policy) guardFor(u incident.Update, a incident.Audience) guard {
	g := guard{audience: a, hosts: internalHosts(p.Hosts)}
	own := incident.Party{ID: u.Customer, Name: u.CustomerName, PublicName: u.PublicName}
	for _, party := range p.Parties {
		if party.ID == u.Customer {
			own.Aliases = party.Aliases
			continue
		}
		g.party(party, false)
	}
	if u.Customer != "" || u.CustomerName != "" {
		g.party(own, a == incident.Customer)
	}
	g.name(FoundCustomer, u.PublicName, true)
	for _, c := range p.colleagues() {
		g.name(FoundMention, c, false)
	}
	for _, w := range p.Words {
		g.name(FoundWord, w, false)
	}
	return g
}

// colleagues are the people of the internal lists, by the names they have there; a
// first name alone is too common a word, and who is on an outward list too may be
// named.
func (p Policy) colleagues() []string {
	var ours, theirs []string
	for _, party := range p.Parties {
		for _, l := range party.Lists {
			for _, r := range l.To {
				name := strings.TrimSpace(r.Name)
				switch {
				case !strings.Contains(name, " "):
				case l.Audience == incident.Internal:
					ours = append(ours, name)
				default:
					theirs = append(theirs, name)
				}
			}
		}
	}
	slices.Sort(ours)
	return slices.DeleteFunc(slices.Compact(ours), func(n string) bool { return slices.Contains(theirs, n) })
}

func (g *guard) party(p incident.Party, may bool) {
	for _, n := range append([]string{p.ID, p.Name, p.PublicName}, p.Aliases...) {
		g.name(FoundCustomer, n, may)
	}
}

func (g *guard) name(kind FindingKind, text string, may bool) {
	n := guardName{kind: kind, text: strings.TrimSpace(text), may: may}
	for _, w := range guardWords(guardNormal(text)) {
		n.words = append(n.words, w.folded)
	}
	if len(n.words) == 0 || (kind == FoundCustomer && utf8.RuneCountInString(n.text) < 2) {
		return
	}
	n.exact = kind == FoundCustomer && len(n.text) <= 3
	g.names = append(g.names, n)
}

// guardWord is a run of letters and digits in a normalised text.
type guardWord struct {
	folded   string
	from, to int // bytes
}

// guardWords splits a text into words. Scripts that put no space between words
// give a word for each character.
func guardWords(text string) []guardWord {
	var all []guardWord
	from := -1
	end := func(at int) {
		if from >= 0 {
			all = append(all, guardWord{guardFold(text[from:at]), from, at})
		}
		from = -1
	}
	for i, r := range text {
		switch {
		case unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar):
			end(i)
			from = i
			end(i + utf8.RuneLen(r))
		case unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r):
			if from < 0 {
				from = i
			}
		default:
			end(i)
		}
	}
	end(len(text))
	return all
}

// guardLooks maps letters of other alphabets to the Latin ones they look like.
const guardLooks = "аaвbсcеeнhіiјjкkмmоoрpѕsтtуyхxԁdԛqԝwαaβbεeηnιiκkνvοoρpτtυuχxγyıi"

// guardFold is a word in lower case, without accents, in Latin letters where it
// only looks as if it were.
func guardFold(word string) string {
	ascii := true
	for i := range len(word) {
		ascii = ascii && word[i] < utf8.RuneSelf
	}
	if ascii {
		return strings.ToLower(word)
	}
	looks := []rune(guardLooks)
	return strings.Map(func(r rune) rune {
		if unicode.IsMark(r) {
			return -1
		}
		if r < utf8.RuneSelf {
			return r
		}
		for i := 0; i+1 < len(looks); i += 2 {
			if looks[i] == r {
				return looks[i+1]
			}
		}
		return r
	}, norm.NFKD.String(strings.ToLower(word)))
}

// guardSpan is a place where a name stands.
type guardSpan struct {
	guardName
	from, to int
}

// namesIn looks for every name in a text.
func (g guard) namesIn(view guardView) []hit {
	words := guardWords(view.text)
	starts := map[string][]int{}
	for i, w := range words {
		starts[w.folded] = append(starts[w.folded], i)
	}
	var spans []guardSpan
	for _, n := range g.names {
		spans = append(spans, n.find(view.text, words, starts)...)
	}
	slices.SortStableFunc(spans, func(a, b guardSpan) int { return cmp.Compare(a.from, b.from) })
	var hits []hit
	for i, s := range spans {
		if !s.may && !shielded(i, spans) {
			hits = append(hits, view.hit(s.kind, s.from, s.to, strings.Join(s.words, " ")))
		}
	}
	return hits
}

// shielded reports that a name stands within one that may be read (the customer
// Globex within "Globex Europe", if that is whom the update is for), or within a
// longer one that is found anyway. The spans are in order.
func shielded(i int, spans []guardSpan) bool {
	const longest = 1000
	s := spans[i]
	first := i
	for first > 0 && spans[first-1].from > s.from-longest && i-first < longest {
		first--
	}
	for _, o := range spans[first:] {
		if o.from > s.from {
			return false
		}
		if o.to >= s.to && (o.may || (o.kind == s.kind && o.to-o.from > s.to-s.from)) {
			return true
		}
	}
	return false
}

// find returns where the words of a name follow one another, with at most a few
// characters between them, or run together. Starts says where each word stands.
func (n guardName) find(text string, words []guardWord, starts map[string][]int) []guardSpan {
	var spans []guardSpan
	for _, i := range starts[n.words[0]] {
		if n.follows(words[i:]) {
			spans = n.add(spans, text, words[i].from, words[i+len(n.words)-1].to)
		}
	}
	joined := strings.Join(n.words, "")
	if len(n.words) > 1 && len(joined) >= 6 {
		for _, i := range starts[joined] {
			spans = n.add(spans, text, words[i].from, words[i].to)
		}
	}
	return spans
}

func (n guardName) add(spans []guardSpan, text string, from, to int) []guardSpan {
	if n.exact && text[from:to] != strings.ToUpper(text[from:to]) {
		return spans
	}
	return append(spans, guardSpan{n, from, to})
}

func (n guardName) follows(words []guardWord) bool {
	const gap = 8
	if len(words) < len(n.words) {
		return false
	}
	for i, w := range n.words {
		if words[i].folded != w || (i > 0 && words[i].from-words[i-1].to > gap) {
			return false
		}
	}
	return true
}
