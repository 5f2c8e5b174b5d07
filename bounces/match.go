package bounces

import (
	"slices"
	"strings"
)

// matched is a delivery that a report may be about.
type matched struct {
	key    string
	proven bool // by the MAC of the return path
}

// mostKeys is how many return paths of one message are looked at.
const mostKeys = 10

// Takes reports whether mail for an address is for us: the bounce address, or a return
// path with a right MAC.
func (r *Receiver) Takes(address string) bool {
	if _, ok := r.returnPath(address); ok {
		return true
	}
	return r.o.Address != "" && folded(trim(address)) == folded(r.o.Address)
}

// looksLike reports whether an address is made as our return paths are, right or wrong:
// the bounce address with something added.
func (r *Receiver) looksLike(address string) bool {
	local, domain, ok := strings.Cut(folded(r.o.Address), "@")
	has, of, _ := strings.Cut(folded(trim(address)), "@")
	return ok && of == domain && len(has) > len(local) && strings.HasPrefix(has, local) && strings.ContainsRune("+-=", rune(has[len(local)]))
}

func (r *Receiver) returnPath(address string) (key string, ok bool) {
	if r.o.ReadReturnPath == nil {
		return "", false
	}
	return r.o.ReadReturnPath(trim(address))
}

func trim(address string) string { return strings.Trim(strings.TrimSpace(address), "<>") }

// match finds whose report it is that came to some addresses, or says why it is nobody's.
func (r *Receiver) match(rep Report, to []string, trusted bool) (found []matched, verdict Verdict, why string) {
	for _, address := range to {
		if key, ok := r.returnPath(address); ok && len(found) < mostKeys && !slices.Contains(found, matched{key, true}) {
			found = append(found, matched{key, true})
		}
	}
	switch {
	case len(found) > 0:
		return found, "", ""
	case slices.ContainsFunc(to, r.looksLike):
		return nil, Forged, "it came to a return path that we have not made"
	case r.o.ReadReturnPath != nil:
		return nil, Unmatched, "it came to no return path"
	case !trusted:
		return nil, Unmatched, "nothing proves that it is a report: whoever handed it over is not in trust"
	}
	key, why := r.named(rep)
	if why != "" {
		return nil, Unmatched, why
	}
	return []matched{{key, false}}, "", ""
}

// named is the delivery that a report names.
func (r *Receiver) named(rep Report) (key, why string) {
	byID := ""
	if r.o.ReadMessageID != nil && rep.MessageID != "" {
		byID, _ = r.o.ReadMessageID(rep.MessageID)
	}
	key = rep.EnvelopeID
	switch {
	case key == "" && byID == "":
		return "", "it names no delivery"
	case key == "":
		return byID, ""
	case byID != "" && byID != key:
		return "", "it names two deliveries"
	}
	return key, ""
}

// pick is what a report says of an address: what it says of exactly that one, or else the
// worst of what it says of others or of nobody. Own is whether it names the address, and
// sure whether it says nothing about another one.
func pick(rep Report, address string) (chosen Recipient, own, sure bool) {
	for _, r := range rep.Recipients {
		names := same(r.Address, address) || same(r.Original, address)
		if chosen.Kind == "" || names && !own || names == own && rank(r.Kind) > rank(chosen.Kind) {
			chosen, own = r, names
		}
	}
	nobody := chosen.Address == "" && chosen.Original == ""
	sure = nobody || same(chosen.Address, address) || own && chosen.Address == ""
	return chosen, own, sure
}

func rank(k Kind) int {
	return slices.Index([]Kind{Other, Delay, Failure}, k)
}
