package server

import (
	"slices"
	"strings"

	"sitrep/incident"
)

// How many addresses are proposed, and how many slips of the hand one may be away.
const (
	mostNear  = 3
	mostSlips = 2
)

// near are the addresses that lists have on a channel and that may have been meant:
// those a slip or two away first, then those that are the same but for what follows the
// last @.
func near(parties []incident.Party, channel, address string) []string {
	address = strings.ToLower(address)
	byFar := make([][]string, mostSlips+2)
	seen := map[string]bool{}
	for _, p := range parties {
		for _, l := range p.Lists {
			for _, r := range l.To {
				low := strings.ToLower(r.Address)
				if r.Channel != channel || seen[low] {
					continue
				}
				seen[low] = true
				if far := slips(address, low); far < len(byFar) {
					byFar[far] = append(byFar[far], r.Address)
				}
			}
		}
	}
	all := slices.Concat(byFar...)
	return all[:min(len(all), mostNear)]
}

// slips is how far an address is from another: the letters that are wrong, one more than
// the most that count for the same name elsewhere, and two more for anything else.
func slips(a, b string) int {
	if n := len(a) - len(b); n <= mostSlips && n >= -mostSlips && len(a) > mostSlips*2 {
		if far := incident.Distance(a, b); far <= mostSlips {
			return far
		}
	}
	if i := strings.LastIndexByte(a, '@'); i > 0 && strings.HasPrefix(b, a[:i+1]) {
		return mostSlips + 1
	}
	return mostSlips + 2
}
