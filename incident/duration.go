package incident

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// maxElapsed is the longest time an incident is believed to last.
const maxElapsed = 366 * 24 * time.Hour

var (
	aboutWord = regexp.MustCompile(`(?i)^(?:about|around|approximately|approx\.?|roughly|nearly|almost|over|more than|ca\.?|~|≈|>)[ ]*`)
	amount    = regexp.MustCompile(`(?i)^(\d{1,5}(?:[.,]\d{1,4})?|an?|half an?|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve)(\+?)[ ]?` +
		`(minutes?|mins?|hours?|hrs?|days?|weeks?|[mhdw])\b\.?`)
	compact    = regexp.MustCompile(`(?i)^(\d{1,5})(h|d)(\d)`)
	bareNumber = regexp.MustCompile(`^(\d{1,5}(?:[.,]\d{1,4})?)\+?$`)
	joint      = regexp.MustCompile(`(?i)^(?:[ ]*(?:,|and|&)?[ ]*)`)
	tailWord   = regexp.MustCompile(`(?i)^[ ]*(?:since it began|so far|elapsed|and counting)?[ .]*$`)
)

// ParseElapsed reads how long something has lasted: "9 hours", "1.5h", "2 days",
// "90 minutes", "1 day 3 hours", "1h30m", and a bare number as hours, as the
// template asks for it. Errors are sentences for the author.
func ParseElapsed(text string) (time.Duration, error) {
	t := aboutWord.ReplaceAllString(normalTime(text), "")
	d, n, ok := scanDuration(t)
	if m := bareNumber.FindStringSubmatch(strings.TrimSpace(t)); m != nil {
		d, n, ok = scale(m[1], time.Hour), len(t), true
	}
	if !ok || !tailWord.MatchString(t[n:]) {
		return 0, &refusal{fmt.Sprintf("%q is not a length of time.", short(text)), "Write it as `9 hours`, `1.5h`, `2 days` or `90 minutes`."}
	}
	if d > maxElapsed {
		return 0, &refusal{fmt.Sprintf("%q is longer than a year.", short(text)), "Write how long the incident has lasted, such as `9 hours`."}
	}
	return d, nil
}

// scanDuration reads as much of a normalised text as is a length of time, and how
// many bytes that is.
func scanDuration(t string) (d time.Duration, n int, ok bool) {
	for at := 0; at < len(t); {
		used, add := takeAmount(t[at:])
		if used == 0 {
			break
		}
		d, ok = min(d+add, 2*maxElapsed), true
		at += used
		n = at
		at += len(joint.FindString(t[at:]))
	}
	return d, n, ok
}

func takeAmount(t string) (int, time.Duration) {
	if m := compact.FindStringSubmatch(t); m != nil {
		return len(m[0]) - 1, scale(m[1], unit(m[2]))
	}
	m := amount.FindStringSubmatch(t)
	if m == nil {
		return 0, 0
	}
	return len(m[0]), scale(m[1], unit(m[3]))
}

func unit(name string) time.Duration {
	switch strings.ToLower(name)[0] {
	case 'm':
		return time.Minute
	case 'h':
		return time.Hour
	case 'd':
		return 24 * time.Hour
	}
	return 7 * 24 * time.Hour
}

// scale is a number of units, the number in digits or as a word.
func scale(n string, unit time.Duration) time.Duration {
	n = strings.ToLower(n)
	if strings.HasPrefix(n, "half") {
		return unit / 2
	}
	words := strings.Fields("one two three four five six seven eight nine ten eleven twelve")
	for i, w := range words {
		if n == w || (i == 0 && (n == "a" || n == "an")) {
			return time.Duration(i+1) * unit
		}
	}
	f, err := strconv.ParseFloat(strings.Replace(n, ",", ".", 1), 64)
	if err != nil {
		return 0
	}
	return time.Duration(min(f*float64(unit), float64(2*maxElapsed))).Round(time.Second)
}
