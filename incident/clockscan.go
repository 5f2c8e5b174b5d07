package incident

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

const (
	monthNames = `(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)(?:uary|ruary|ch|il|e|y|ust|t|tember|ober|ember)?\b\.?`
	ordinal    = `(\d{1,2})(?:st|nd|rd|th)?`
)

var (
	halfDay  = regexp.MustCompile(`(?i)([ap])\.[ ]?m\b\.?`)
	spaces   = regexp.MustCompile(`[\s\x{a0}\x{202f}]+`)
	leadWord = regexp.MustCompile(`(?i)^(?:at|by|on|around|about|approximately|approx\.?|before|no later than|not later than|until|the|~|@)[ ]*`)
	isoDate  = regexp.MustCompile(`^(\d{4})-(\d{1,2})-(\d{1,2})(?:[Tt]|\b)`)
	monthDay = regexp.MustCompile(`(?i)^` + monthNames + `[ ]+` + ordinal + `(?:,?[ ]+(\d{4})\b)?\b`)
	dayMonth = regexp.MustCompile(`(?i)^` + ordinal + `[ ]+(?:of[ ]+)?` + monthNames + `(?:,?[ ]+(\d{4})\b)?`)
	dayWord  = regexp.MustCompile(`(?i)^(today|tonight|tomorrow|yesterday)\b`)
	weekWord = regexp.MustCompile(`(?i)^(?:next[ ]|this[ ])?(sun|mon|tue|wed|thu|fri|sat)(?:day|s?day|sday|nesday|rsday|r|rs|urday)?\b\.?`)
	noonWord = regexp.MustCompile(`(?i)^(?:12[ ]?(?::00[ ]?)?)?(noon|midday|midnight)\b`)
	clock12  = regexp.MustCompile(`(?i)^(\d{1,2})(?:[:.](\d{2}))?(?::(\d{2}))?[ ]?(am|pm)`)
	clock24  = regexp.MustCompile(`^(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,]\d+)?)?`)
	letters  = regexp.MustCompile(`^[A-Za-z/_]+`)
	zoneWord = regexp.MustCompile(`(?i)^\(?((?:UTC|GMT)?[ ]?[+\-−]\d{1,2}(?::?\d{2})?|[a-z][a-z0-9_+\-/]*)((?:[ ](?:standard|daylight|summer))?[ ]time)?\b\)?`)
)

// normalTime makes the spellings of a time alike: plain spaces, no dots in a.m.
func normalTime(text string) string {
	t := spaces.ReplaceAllString(strings.TrimSpace(text), " ")
	return halfDay.ReplaceAllString(t, "${1}m")
}

// scanClock reads as much of a normalised text as is a time, and how many bytes
// that is. An error is a time that cannot be, such as 25:00.
func scanClock(t string) (c Clock, n int, err error) {
	for at := 0; at < len(t); {
		if t[at] == ' ' || t[at] == ',' {
			at++
			continue
		}
		if m := leadWord.FindString(t[at:]); m != "" {
			at += len(m)
			continue
		}
		used, err := c.token(t[at:])
		if err != nil {
			return c, n, err
		}
		if used == 0 {
			break
		}
		at += used
		n = at
	}
	return c, n, nil
}

// token takes one part of a time off the beginning of t; 0 if there is none.
func (c *Clock) token(t string) (int, error) {
	steps := []func(string) (int, error){c.takeDate, c.takeTime, c.takeDay, c.takeZone}
	for _, step := range steps {
		if n, err := step(t); n > 0 || err != nil {
			return n, err
		}
	}
	return 0, nil
}

func (c *Clock) takeDate(t string) (int, error) {
	if c.hasDate {
		return 0, nil
	}
	var y, d string
	var month int
	m := isoDate.FindStringSubmatch(t)
	if m != nil {
		y, d = m[1], m[3]
		month = number(m[2])
	} else if m = monthDay.FindStringSubmatch(t); m != nil {
		month, d, y = monthNumber(m[1]), m[2], m[3]
	} else if m = dayMonth.FindStringSubmatch(t); m != nil {
		d, month, y = m[1], monthNumber(m[2]), m[3]
	} else {
		return 0, nil
	}
	return len(m[0]), c.setDate(number(y), month, number(d), m[0])
}

// setDate takes a date if there is such a day.
func (c *Clock) setDate(y, month, d int, text string) error {
	const leap = 2024
	check := y
	if y == 0 {
		check = leap
	}
	t := time.Date(check, time.Month(month), d, 0, 0, 0, 0, time.UTC)
	if t.Day() != d || int(t.Month()) != month || (y != 0 && (y < 1970 || y > 9998)) {
		return &refusal{fmt.Sprintf("There is no date %q.", strings.Trim(text, " tT")), "Write the date as 2026-11-22."}
	}
	c.hasDate, c.year, c.month, c.day = true, y, time.Month(month), d
	return nil
}

func (c *Clock) takeTime(t string) (int, error) {
	if c.hasTime {
		return 0, nil
	}
	if m := noonWord.FindStringSubmatch(t); m != nil {
		c.hasTime = true
		if !strings.EqualFold(m[1], "midnight") {
			c.hour = 12
		}
		return len(m[0]), nil
	}
	if m := clock12.FindStringSubmatch(t); m != nil && endsHalf(t[len(m[0]):]) {
		return len(m[0]), c.setTime(m[0], number(m[1]), number(m[2]), number(m[3]), strings.ToLower(m[4]))
	}
	if m := clock24.FindStringSubmatch(t); m != nil {
		return len(m[0]), c.setTime(m[0], number(m[1]), number(m[2]), number(m[3]), "")
	}
	return 0, nil
}

// endsHalf reports whether am or pm can end before rest: in "7:20pmET" it does, in
// "19:20 America/New_York" it does not.
func endsHalf(rest string) bool {
	word := letters.FindString(rest)
	if word == "" {
		return true
	}
	_, _, err := parseZone(word)
	return err == nil
}

// setTime takes a time of day if a clock can show it.
func (c *Clock) setTime(text string, h, m, s int, half string) error {
	ok := h < 24 && m < 60 && s < 60
	if half != "" {
		ok = h >= 1 && h <= 12 && m < 60 && s < 60
		h %= 12
	}
	if !ok {
		return &refusal{fmt.Sprintf("No clock shows %q.", strings.TrimSpace(text)), "Write 7:20pm or 19:20."}
	}
	if half == "pm" {
		h += 12
	}
	c.hasTime, c.hour, c.minute, c.second = true, h, m, s
	return nil
}

func (c *Clock) takeDay(t string) (int, error) {
	if m := dayWord.FindStringSubmatch(t); m != nil && !c.hasShift {
		c.hasShift = true
		c.shift = map[string]int{"tomorrow": 1, "yesterday": -1}[strings.ToLower(m[1])]
		return len(m[0]), nil
	}
	if m := weekWord.FindStringSubmatch(t); m != nil && !c.hasWeek {
		c.hasWeek = true
		c.weekday = time.Weekday(strings.Index("sunmontuewedthufrisat", strings.ToLower(m[1])) / 3)
		return len(m[0]), nil
	}
	return 0, nil
}

// takeZone takes a zone that follows the time. A word that is no zone is left.
func (c *Clock) takeZone(t string) (int, error) {
	m := zoneWord.FindStringSubmatch(t)
	if m == nil || c.zone != nil || !c.hasTime {
		return 0, nil
	}
	first, _, several := strings.Cut(m[1], "/")
	if loc, h, err := parseZone(m[1] + m[2]); err == nil {
		c.zone, c.half, c.zoneText = loc, h, m[1]
		return len(m[0]), nil
	} else if loc, h, err = parseZone(first); err == nil && several { // "8am ET/1pm UTC"
		c.zone, c.half, c.zoneText = loc, h, first
		return strings.Index(t, first) + len(first), nil
	}
	return 0, nil
}

// number is the value of up to four digits that a pattern found; none is 0.
func number(digits string) int {
	n, err := strconv.Atoi(digits)
	if err != nil {
		return 0
	}
	return n
}

func monthNumber(name string) int {
	return strings.Index("janfebmaraprmayjunjulaugsepoctnovdec", strings.ToLower(name))/3 + 1
}
