package email

import (
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"slices"
	"strconv"
	"strings"
	"time"

	"sitrep/channels"
)

// keptIDs is how many of the latest Message-IDs of an incident are kept, besides the
// first; maxID is the longest that is believed.
const (
	keptIDs = 10
	maxID   = 320
)

// thread is what an incident's earlier updates left for one recipient.
type thread struct {
	ids   []string // their Message-IDs, oldest first
	first string   // the Message-ID that the conversation begins with
	began int64    // when that message was made, in Unix seconds
}

// beganMark is in front of the time in what Send leaves in the ledger.
const beganMark = "began="

// parseThread reads what Send left in the ledger, without believing it: what is
// not a Message-ID is left out, and so is self, the message that is being sent, at
// date. A thread that says nothing of its beginning begins with this message.
func parseThread(t channels.Thread, self string, date time.Time) thread {
	got := thread{began: date.Unix()}
	for word := range strings.FieldsSeq(string(t)) {
		if s, ok := strings.CutPrefix(word, beganMark); ok {
			if n, err := strconv.ParseUint(s, 10, 32); err == nil {
				got.began = int64(n)
			}
		}
		if !isMessageID(word) {
			continue
		}
		got.first = cmp.Or(got.first, word)
		if word != self && !slices.Contains(got.ids, word) {
			got.ids = append(got.ids, word)
		}
	}
	got.first = cmp.Or(got.first, self)
	if n := len(got.ids); n > keptIDs+1 {
		got.ids = slices.Delete(got.ids, 1, n-keptIDs)
	}
	return got
}

// with is the thread as the incident's next update is to find it.
func (t thread) with(id string) channels.Thread {
	ids := t.ids
	if len(ids) > keptIDs {
		ids = slices.Concat(ids[:1], ids[len(ids)-keptIDs+1:])
	}
	dst := strconv.AppendInt(append(make([]byte, 0, 256), beganMark...), t.began, 10)
	for _, earlier := range ids {
		dst = append(append(dst, ' '), earlier...)
	}
	return channels.Thread(append(append(dst, ' '), id...))
}

// appendIndex appends the Thread-Index of all messages of the thread: the header block
// of PidTagConversationIndex ([MS-OXOMSG] section 2.2.1.3), which is 0x01, the upper 40
// bits of a FILETIME, and a GUID. Where Exchange tracks a conversation by it, the GUID
// alone is the conversation (section 2.2.1.2). It is made from the first Message-ID,
// which every message of the thread shows anyway, so it tells nobody anything. There are
// no child blocks: every update stands beside the others.
func (t thread) appendIndex(dst []byte) []byte {
	const toUnix = 11_644_473_600                   // seconds from 1601, where a FILETIME begins, to 1970
	filetime := uint64(t.began+toUnix) * 10_000_000 // no message was made before 1601
	name := append(append(make([]byte, 0, 512), "sitrep conversation\x00"...), t.first...)
	guid := sha256.Sum256(name)
	block := binary.BigEndian.AppendUint64(append(make([]byte, 0, 22), 0x01), filetime)
	return base64.StdEncoding.AppendEncode(dst, append(block[:6], guid[:16]...))
}

// topicOf is the Thread-Topic of a subject: what is left without the square brackets it
// begins with, as RFC 5256 section 2.1 (subj-blob) takes them off, unless nothing is
// left.
func topicOf(subject string) string {
	for strings.HasPrefix(subject, "[") {
		end := strings.IndexAny(subject[1:], "[]") + 1
		if end == 0 || subject[end] == '[' {
			break
		}
		rest := strings.TrimLeft(subject[end+1:], " \t")
		if rest == "" {
			break
		}
		subject = rest
	}
	return subject
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
