package config

import (
	"slices"
	"strings"
)

// didYouMean is the remedy for a word that is none of those allowed: the closest
// one, or all of them when none is close.
func didYouMean(word string, allowed []string) string {
	if c := closest(word, allowed); c != "" {
		return "Did you mean `" + c + "`?"
	}
	return known(allowed)
}

// known lists what may be written.
func known(allowed []string) string {
	const most = 25
	switch {
	case len(allowed) == 0:
		return ""
	case len(allowed) > most:
		return "Known are " + strings.Join(allowed[:most], ", ") + ", …."
	case len(allowed) == 1:
		return "Known is only " + allowed[0] + "."
	}
	return "Known are " + strings.Join(allowed, ", ") + "."
}

// closest is the allowed word that word was probably meant to be, or "". Case is
// no difference; more than a third of the letters wrong is no misspelling.
func closest(word string, allowed []string) string {
	const longest = 100 // a longer word is no misspelling, and distance is quadratic
	word = strings.ToLower(word)
	if len(word) > longest {
		return ""
	}
	best, bestDistance := "", len(word)/3+1
	for _, a := range allowed {
		if len(a) > longest {
			continue
		}
		if d := distance(word, strings.ToLower(a)); d < bestDistance {
			best, bestDistance = a, d
		}
	}
	return best
}

// distance counts the letters to insert, delete, replace or swap with their
// neighbour (optimal string alignment).
func distance(a, b string) int {
	before, last := []int(nil), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		row := slices.Clone(last)
		row[0] = i + 1
		for j := range len(b) {
			change := last[j]
			if a[i] != b[j] {
				change++
			}
			row[j+1] = min(change, last[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}
