package email

import (
	"slices"
	"strings"

	"sitrep/channels"
)

// keptIDs is how many of the latest Message-IDs of an incident are kept, besides the
// first; maxID is the longest that is believed.
const (
	keptIDs = 10
	maxID   = 320
)

// thread is the Message-IDs, oldest first, that an incident's earlier updates had for
// one recipient.
type thread []string

// parseThread reads what Send left in the ledger, without believing it: what is
// not a Message-ID is left out, and so is self, the message that is being sent.
func parseThread(t channels.Thread, self string) thread {
	var ids thread
	for id := range strings.FieldsSeq(string(t)) {
		if id != self && isMessageID(id) && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	if len(ids) > keptIDs+1 {
		ids = slices.Delete(ids, 1, len(ids)-keptIDs)
	}
	return ids
}

// with is the thread as the incident's next update is to find it.
func (t thread) with(id string) channels.Thread {
	if len(t) > keptIDs {
		t = slices.Concat(t[:1], t[len(t)-keptIDs+1:])
	}
	if len(t) == 0 {
		return channels.Thread(id)
	}
	return channels.Thread(strings.Join(t, " ") + " " + id)
}

// isMessageID reports whether s is <left@right> of printable ASCII and nothing else.
func isMessageID(s string) bool {
	if len(s) < 5 || len(s) > maxID || s[0] != '<' || s[len(s)-1] != '>' {
		return false
	}
	inner := s[1 : len(s)-1]
	left, right, ok := strings.Cut(inner, "@")
	return ok && left != "" && right != "" && !strings.Contains(right, "@") &&
		!strings.ContainsFunc(inner, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(`<>()[]\,;:"`, r) })
}
