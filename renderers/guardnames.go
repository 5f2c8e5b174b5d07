package renderers

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

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
	spans := g.spans(view.text)
	var hits []hit
	for i, s := range spans {
		if !s.may && !shielded(i, spans) {
			hits = append(hits, view.hit(s.kind, s.from, s.to, strings.Join(s.words, " ")))
		}
	}
	return hits
}

// spans is every place of a text where a name stands, in order: where its words
// follow one another, with at most a few characters between them, or run together.
func (g guard) spans(text string) []guardSpan {
	words := guardWords(text)
	var spans []guardSpan
	for i, w := range words {
		for _, n := range g.first(w.folded) {
			if n.follows(words[i:]) {
				spans = n.span(spans, text, w.from, words[i+len(n.words)-1].to)
			}
		}
		for _, n := range g.joined(w.folded) {
			spans = n.span(spans, text, w.from, w.to)
		}
	}
	return spans
}

// span adds a place where a name stands, if it counts there.
func (n guardName) span(spans []guardSpan, text string, from, to int) []guardSpan {
	if n.exact && text[from:to] != strings.ToUpper(text[from:to]) {
		return spans
	}
	return append(spans, guardSpan{n, from, to})
}

// first is the names that begin with a word, joined those that are one run together.
func (g guard) first(word string) []guardName {
	return g.choose(g.names.first[word], g.own.first[word])
}

func (g guard) joined(word string) []guardName {
	return g.choose(g.names.joined[word], g.own.joined[word])
}

// choose leaves out what the book says of the update's own customer: it is looked for
// as the update names it.
func (g guard) choose(all, own []guardName) []guardName {
	if len(all) == 0 {
		return own
	}
	chosen := slices.Clone(own)
	for _, n := range all {
		if n.party == "" || n.party != g.customer {
			chosen = append(chosen, n)
		}
	}
	return chosen
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
