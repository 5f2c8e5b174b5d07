package incident

import (
	"regexp"
	"strings"
	"time"
)

var (
	promiseWord = regexp.MustCompile(`(?i)\b(?:(?:next|another|further|following|subsequent|new)[ ](?:\w+[ ]){0,2}?(?:updates?|communication|report)|` +
		`(?:will|shall|'ll|’ll|to)[ ](?:\w+[ ]){0,3}?(?:update|report back|write)(?:[ ](?:you|everyone|all|customers?))?(?:[ ]again)?|` +
		`(?:post|send|share|provide|give|issue)[ ](?:\w+[ ]){0,2}?updates?|updates?[ ](?:to follow|will (?:follow|be|come)))\b`)
	noPromise = regexp.MustCompile(`(?i)\b(?:no (?:further|more|next)|was (?:due|planned|promised|shared|sent))\b`)
	undecided = regexp.MustCompile(`(?i)^(?:tb[dac]|n/?a|none|no|unknown|not (?:planned|known|yet known)|to be (?:announced|determined|confirmed)|[-–—]+)\.?$`)
	spanWord  = regexp.MustCompile(`(?i)^(?:in|within|after)[ ]+`)
	wordStart = regexp.MustCompile(`(?:^|[ (,~@])[a-zA-Z0-9~@]`)
)

// nearby is how far from the words of a promise, in bytes, its time is looked for.
const nearby = 300

// promise is when the next update is due, as it was written: a clock or a span
// counted from the update.
type promise struct {
	clock  Clock
	span   time.Duration
	isSpan bool
	whole  bool // the text says nothing else
}

// parsePromise reads the text of a Next Update section, of next_update and of
// --next.
func parsePromise(text string) (promise, error) {
	t := normalTime(strings.Trim(text, "*_ \t\n"))
	plain := spanWord.ReplaceAllString(t, "")
	if d, n, ok := scanDuration(plain); ok && strings.Trim(plain[n:], " .") == "" && d > 0 && d <= maxElapsed {
		return promise{span: d, isSpan: true, whole: true}, nil
	}
	c, err := ParseClock(text)
	if err == nil {
		return promise{clock: c, whole: true}, nil
	}
	if p, ok := findTime(t); ok && len(strings.Fields(t)) > 3 {
		return p, nil
	}
	return promise{}, err
}

// at is the instant promised by an update that speaks at ref.
func (p promise) at(ref time.Time, zone *time.Location) (time.Time, hint) {
	if p.isSpan {
		return ref.Add(p.span), hint{}
	}
	return p.clock.after(ref, zone)
}

// findPromise looks for a sentence that says when the next update comes, and its
// line. Code is not read.
func findPromise(f Field) (promise, int, bool) {
	var code fence
	from := 0
	lines := strings.Split(f.Text, "\n")
	for i, l := range lines {
		fenced := code.step(l, i)
		if !fenced && !blank(l) && i < len(lines)-1 {
			continue
		}
		to := i
		if !fenced && !blank(l) {
			to = i + 1
		}
		if p, line, ok := promiseIn(lines[from:to]); ok {
			return p, f.Line + from + line, true
		}
		from = i + 1
	}
	return promise{}, 0, false
}

// promiseIn looks through the sentences of a paragraph.
func promiseIn(lines []string) (promise, int, bool) {
	text := normalTime(strings.Join(lines, " "))
	for _, s := range sentences(text) {
		word := promiseWord.FindStringIndex(s)
		if word == nil || noPromise.MatchString(s) {
			continue
		}
		p, ok := findTime(s[word[1]:min(len(s), word[1]+nearby)])
		if !ok {
			p, ok = findTime(s[max(0, word[0]-nearby):word[0]])
		}
		if ok {
			return p, lineOf(lines, s[word[0]:word[1]]), true
		}
	}
	return promise{}, 0, false
}

// sentences splits at full stops, exclamation and question marks that end a word.
func sentences(text string) []string {
	var out []string
	from := 0
	for i := range text {
		ends := strings.IndexByte(".!?;", text[i]) >= 0 && (i+1 == len(text) || text[i+1] == ' ')
		if ends {
			out = append(out, text[from:i])
			from = i + 1
		}
	}
	return append(out, text[from:])
}

// lineOf is the index of the line on which the first word of a phrase stands.
func lineOf(lines []string, phrase string) int {
	first, _, _ := strings.Cut(phrase, " ")
	for i, l := range lines {
		if strings.Contains(l, phrase) || (i+1 < len(lines) && strings.HasSuffix(strings.TrimSpace(l), first)) {
			return i
		}
	}
	return 0
}

// findTime finds the first time, or span with a word before it, in running text.
func findTime(t string) (promise, bool) {
	for _, at := range wordStart.FindAllStringIndex(t, -1) {
		rest := t[at[1]-1:]
		if m := spanWord.FindString(rest); m != "" {
			span := aboutWord.ReplaceAllString(strings.TrimPrefix(rest[len(m):], "the next "), "")
			if d, _, ok := scanDuration(span); ok && d > 0 && d <= maxElapsed {
				return promise{span: d, isSpan: true}, true
			}
			continue
		}
		if c, n, err := scanClock(rest); err == nil && n > 0 && c.hasTime {
			return promise{clock: c}, true
		}
	}
	return promise{}, false
}
