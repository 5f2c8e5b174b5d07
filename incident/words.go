package incident

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// list says words as people do: "a, b and c".
func list(of []string, last string) string {
	if len(of) < 2 {
		return strings.Join(of, "")
	}
	n := len(of) - 1
	return strings.Join(of[:n], ", ") + " " + last + " " + of[n]
}

// suggest is a remedy for an unknown word: the closest known ones if any is close,
// else all of them, introduced by intro.
func suggest(word string, known []string, intro string) string {
	if near := closest(word, known); len(near) > 0 {
		return "Did you mean " + list(quoted(near), "or") + "?"
	}
	const most = 12
	if len(known) > most {
		return fmt.Sprintf("%s %s and %d more.", intro, strings.Join(known[:most], ", "), len(known)-most)
	}
	return intro + " " + list(known, "and") + "."
}

func quoted(of []string) []string {
	q := make([]string, len(of))
	for i, w := range of {
		q[i] = fmt.Sprintf("%q", w)
	}
	return q
}

// closest returns up to three of known that a slip of the hand could have turned
// into word, or that begin with it; nearest first.
func closest(word string, known []string) []string {
	type scored struct {
		word string
		far  int
	}
	word = strings.ToLower(strings.TrimSpace(word))
	if n := utf8.RuneCountInString(word); n == 0 || n > 200 {
		return nil
	}
	var near []scored
	for _, k := range known {
		low := strings.ToLower(k)
		far := Distance(word, low)
		if strings.HasPrefix(low, word) && len(word) >= 3 {
			far = min(far, 1)
		}
		if far <= max(1, utf8.RuneCountInString(low)/3) {
			near = append(near, scored{k, far})
		}
	}
	slices.SortStableFunc(near, func(a, b scored) int { return cmp.Compare(a.far, b.far) })
	var out []string
	for _, n := range near {
		if !slices.Contains(out, n.word) && len(out) < 3 {
			out = append(out, n.word)
		}
	}
	return out
}

// Distance is the Levenshtein distance in runes: how many of them to insert, remove or
// replace to make b of a.
func Distance(a, b string) int {
	x, y := []rune(a), []rune(b)
	row := make([]int, len(y)+1)
	for j := range row {
		row[j] = j
	}
	for i, r := range x {
		last := row[0]
		row[0] = i + 1
		for j, s := range y {
			step := last
			if r != s {
				step = 1 + min(last, row[j], row[j+1])
			}
			last, row[j+1] = row[j+1], step
		}
	}
	return row[len(y)]
}
