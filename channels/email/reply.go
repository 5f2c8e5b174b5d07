package email

import (
	"errors"
	"fmt"
	"net/textproto"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/emersion/go-smtp"
)

// reply is what a relay answered: the basic code (RFC 5321 section 4.2.3), the enhanced
// one (RFC 3463) or zeros, and its words.
type reply struct {
	code     int
	enhanced [3]int
	text     string
}

func (r reply) Error() string {
	if r.enhanced[0] == 0 {
		return strings.TrimSpace(fmt.Sprintf("%d %s", r.code, r.text))
	}
	return strings.TrimSpace(fmt.Sprintf("%d %d.%d.%d %s", r.code, r.enhanced[0], r.enhanced[1], r.enhanced[2], r.text))
}

// replyOf finds the relay's answer in err.
func replyOf(err error) (reply, bool) {
	if r, ok := errors.AsType[reply](err); ok {
		return r, true
	}
	if e, ok := errors.AsType[*smtp.SMTPError](err); ok {
		r := reply{code: e.Code, text: e.Message}
		if class := e.EnhancedCode[0]; class == 2 || class == 4 || class == 5 {
			r.enhanced = e.EnhancedCode
			return r, true
		}
		// The library does not see an enhanced code with no words after it.
		r.enhanced, r.text = cutEnhanced(r.text)
		return r, true
	}
	if e, ok := errors.AsType[*textproto.Error](err); ok {
		r := reply{code: e.Code}
		r.enhanced, r.text = cutEnhanced(e.Msg)
		return r, true
	}
	return reply{}, false
}

// cut is r with the enhanced code taken off its words.
func (r reply) cut() reply {
	r.enhanced, r.text = cutEnhanced(r.text)
	return r
}

// cutEnhanced takes the enhanced status code (RFC 3463 section 2) off a text. It is by
// hand because every message's answer comes here.
func cutEnhanced(text string) (code [3]int, rest string) {
	end := strings.IndexAny(text, " \t\r\n\f")
	if end < 0 {
		end = len(text)
	}
	class, more, _ := strings.Cut(text[:end], ".")
	subject, detail, _ := strings.Cut(more, ".")
	for i, digits := range [...]string{class, subject, detail} {
		n, err := strconv.ParseUint(digits, 10, 16)
		if err != nil || len(digits) > 3 {
			return [3]int{}, text
		}
		code[i] = int(n)
	}
	if len(class) != 1 || code[0] != 2 && code[0] != 4 && code[0] != 5 {
		return [3]int{}, text
	}
	return code, strings.TrimSpace(text[end:])
}

// class is 4 for "not now" and 5 for "never", by the enhanced code where it
// says either.
func (r reply) class() int {
	if c := r.enhanced[0]; c == 4 || c == 5 {
		return c
	}
	return r.code / 100
}

// is reports whether the enhanced code has this subject and detail, whatever its class.
func (r reply) is(subject, detail int) bool {
	return r.enhanced[0] >= 4 && r.enhanced[1] == subject && r.enhanced[2] == detail
}

// unspecific reports that the enhanced code is absent or says no more than its class.
func (r reply) unspecific() bool { return r.enhanced[0] < 4 || r.is(0, 0) }

var (
	waitUnits = regexp.MustCompile(`(?i)\b(?:in|after|for|wait|=)\s*(\d{1,6})\s*(seconds?|secs?|s|minutes?|mins?|m|hours?|h)\b`)
	waitClock = regexp.MustCompile(`(?i)\b(?:in|after|for|wait)\s+(\d{1,2}):(\d\d):(\d\d)\b`)
)

// longestWait is as much of a relay's wish as is granted.
const longestWait = time.Hour

// asked is how long the relay wants us to wait, zero if it does not say. There is no
// code for it; these are the words of postgrey, milter-greylist and the big providers.
func (r reply) asked() time.Duration {
	if m := waitUnits.FindStringSubmatch(r.text); m != nil {
		n, _ := strconv.Atoi(m[1]) // at most six digits
		unit := map[byte]time.Duration{'s': time.Second, 'm': time.Minute, 'h': time.Hour}[strings.ToLower(m[2])[0]]
		return min(time.Duration(n)*unit, longestWait)
	}
	if m := waitClock.FindStringSubmatch(r.text); m != nil {
		d, err := time.ParseDuration(m[1] + "h" + m[2] + "m" + m[3] + "s")
		if err == nil {
			return min(d, longestWait)
		}
	}
	return 0
}

// queueForms are the ways in which relays name the message they have queued, besides
// queuedAs: Exim, Exchange, Sendmail, Amazon SES and Gmail.
var queueForms = []*regexp.Regexp{
	regexp.MustCompile(`(?i)\bid=([\w.+-]+)`),
	regexp.MustCompile(`InternalId=(\d+)`),
	regexp.MustCompile(`^(\w+) Message accepted for delivery`),
	regexp.MustCompile(`(?i)^ok:? +(?:\d{10} +)?([\w.-]{10,})(?: - gsmtp)?$`),
}

// queueID is the relay's name for the message, or its whole answer where no name is
// recognised: with either, the relay's operator finds it in the log.
func queueID(answer string) string {
	_, text := cutEnhanced(answer)
	if id, ok := queuedAs(text); ok {
		return id
	}
	for _, form := range queueForms {
		if m := form.FindStringSubmatch(text); m != nil {
			return m[1]
		}
	}
	return text
}

// queuedAs is what follows "queued as", which is how Postfix and go-smtp say it. It is by
// hand because every message's answer comes here.
func queuedAs(text string) (id string, ok bool) {
	const mark = "queued as "
	for i := 0; i+len(mark) < len(text); i++ {
		if text[i]|0x20 != 'q' || !strings.EqualFold(text[i:i+len(mark)], mark) {
			continue
		}
		id = text[i+len(mark):]
		if end := strings.IndexFunc(id, notQueueID); end >= 0 {
			id = id[:end]
		}
		if id != "" {
			return id, true
		}
	}
	return "", false
}

func notQueueID(r rune) bool {
	return r >= utf8.RuneSelf || notKey(unicode.ToLower(r)) && !strings.ContainsRune("_.+-", r)
}

// maxShown is how much of what a relay says is repeated, in bytes.
const maxShown = 400

// show makes what a relay said fit to be shown: no credentials, one line, not long.
func (e *endpoint) show(text string) string { return clip(clean(e.credentials.redact(text))) }

// clip shortens s, at a rune, with a mark.
func clip(s string) string {
	if len(s) <= maxShown {
		return s
	}
	return strings.ToValidUTF8(s[:maxShown], "") + "…"
}
