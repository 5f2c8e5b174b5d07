package incident

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// half says which half of the year a zone's name speaks of: "EST" is standard
// time, "EDT" daylight saving time, "ET" whichever is in force.
type half int

const (
	either half = iota
	standard
	daylight
)

// zoneName is a spoken name of a zone. Where a name is used in several parts of
// the world (CST, IST, BST) the table holds one reading, always the same.
type zoneName struct {
	iana string
	half half
}

// zoneNames are the names that ParseZone knows beside IANA's, in upper case.
func zoneNames() map[string]zoneName {
	names := map[string]zoneName{
		"UTC": {"UTC", either}, "Z": {"UTC", either}, "ZULU": {"UTC", either}, "GMT": {"GMT", either},
		"UK": {"Europe/London", either}, "BST": {"Europe/London", daylight}, "LONDON": {"Europe/London", either},
		"MSK": {"Europe/Moscow", either}, "TRT": {"Europe/Istanbul", either}, "SAST": {"Africa/Johannesburg", either},
		"GST": {"Asia/Dubai", either},
		"IST": {"Asia/Kolkata", either}, "PKT": {"Asia/Karachi", either}, "SGT": {"Asia/Singapore", either},
		"HKT": {"Asia/Hong_Kong", either}, "JST": {"Asia/Tokyo", either}, "KST": {"Asia/Seoul", either},
		"PHT": {"Asia/Manila", either}, "WIB": {"Asia/Jakarta", either}, "AWST": {"Australia/Perth", either},
		"BRT": {"America/Sao_Paulo", either}, "HST": {"Pacific/Honolulu", either}, "AST": {"America/Halifax", standard},
		"ADT": {"America/Halifax", daylight},
	}
	for prefix, iana := range map[string]string{
		"E": "America/New_York", "C": "America/Chicago", "M": "America/Denver", "P": "America/Los_Angeles",
		"AK": "America/Anchorage", "WE": "Europe/Lisbon", "CE": "Europe/Berlin", "EE": "Europe/Athens",
		"AE": "Australia/Sydney", "AC": "Australia/Adelaide", "NZ": "Pacific/Auckland",
	} {
		names[prefix+"T"] = zoneName{iana, either}
		names[prefix+"ST"] = zoneName{iana, standard}
		names[prefix+"DT"] = zoneName{iana, daylight}
	}
	// Central European names say "summer time": CET is standard and yet the usual
	// name all year round.
	for _, p := range []string{"WE", "CE", "EE"} {
		names[p+"ST"] = zoneName{names[p+"T"].iana, daylight}
	}
	for word, iana := range map[string]string{
		"EASTERN": "ET", "CENTRAL": "CT", "MOUNTAIN": "MT", "PACIFIC": "PT", "ALASKA": "AKT", "ATLANTIC": "AST", "HAWAII": "HST",
	} {
		names[word] = zoneName{names[iana].iana, either}
	}
	return names
}

var (
	spokenZones = zoneNames() // never written to after this
	zoneOffset  = regexp.MustCompile(`^(?:UTC|GMT)?[ ]?([+\-−])(\d{1,2})(?::?(\d{2}))?$`)
	zoneForm    = regexp.MustCompile(`^[A-Za-z0-9_+\-]+(?:/[A-Za-z0-9_+\-]+){1,2}$`)
	zoneTail    = regexp.MustCompile(`(?i)[ ](?:(standard|daylight|summer)[ ])?time$`)
)

// ParseZone reads the name of a time zone: an IANA name (America/New_York, in any
// case), a name as people say it (ET, EST, PT, Eastern Time, CET, UK, UTC) or an
// offset (UTC+2, +05:30). Names with a daylight saving rule become the place they
// stand for, so that ET means New York's clock on whatever day it is used.
//
// GMT is the clock of Greenwich all year; UK is London's. CST and IST are read as
// in Chicago and in India.
func ParseZone(text string) (*time.Location, error) {
	loc, _, err := parseZone(text)
	return loc, err
}

func parseZone(text string) (*time.Location, half, error) {
	t := strings.Trim(strings.ToUpper(text), " ()\u00a0")
	h := either
	if m := zoneTail.FindStringSubmatch(t); m != nil {
		t = strings.TrimSuffix(t, m[0])
		h = map[string]half{"STANDARD": standard, "DAYLIGHT": daylight, "SUMMER": daylight}[m[1]]
	}
	if z, ok := spokenZones[t]; ok {
		loc, err := time.LoadLocation(z.iana)
		if err != nil {
			return nil, either, &refusal{fmt.Sprintf("This machine has no time zone data for %s (%s).", short(text), z.iana), "Install tzdata."}
		}
		return loc, max(z.half, h), nil
	}
	if loc := fixedZone(t); loc != nil {
		return loc, either, nil
	}
	loc, err := ianaZone(strings.Trim(text, " ()\u00a0"))
	return loc, either, err
}

// fixedZone is the zone of an offset such as UTC+2, or nil. No place is further
// than 14 hours from UTC.
func fixedZone(t string) *time.Location {
	m := zoneOffset.FindStringSubmatch(t)
	if m == nil {
		return nil
	}
	hours, _ := strconv.Atoi(m[2])   // two digits
	minutes, _ := strconv.Atoi(m[3]) // none or two digits
	seconds := hours*3600 + minutes*60
	if seconds > 14*3600 || minutes > 59 {
		return nil
	}
	if seconds == 0 {
		return time.UTC
	}
	sign := "+"
	if m[1] != "+" {
		seconds, sign = -seconds, "-"
	}
	return time.FixedZone(fmt.Sprintf("UTC%s%02d:%02d", sign, hours, minutes), seconds)
}

// ianaZone loads a zone by IANA's name, in the case it was written in or in
// IANA's own.
func ianaZone(name string) (*time.Location, error) {
	if zoneForm.MatchString(name) && len(name) <= 64 {
		for _, n := range []string{name, titleCase(name)} {
			if loc, err := time.LoadLocation(n); err == nil {
				return loc, nil
			}
		}
	}
	return nil, &refusal{fmt.Sprintf("There is no time zone %q.", short(name)), suggestZone(name)}
}

// titleCase spells america/new_york as IANA does.
func titleCase(name string) string {
	out := []byte(strings.ToLower(name))
	for i := range out {
		if (i == 0 || strings.IndexByte("/_-", out[i-1]) >= 0) && out[i] >= 'a' && out[i] <= 'z' {
			out[i] -= 'a' - 'A'
		}
	}
	return string(out)
}

// suggestZone is the remedy for an unknown zone.
func suggestZone(name string) string {
	var all []string
	for n, z := range spokenZones {
		all = append(all, n, z.iana)
	}
	slices.Sort(all)
	near := closest(name, slices.Compact(all))
	remedy := "Write a zone such as ET, PT, CET, UTC or America/New_York."
	if len(near) > 0 {
		remedy = "Did you mean " + list(near, "or") + "? " + remedy
	}
	return remedy
}

// place puts a reading of the clock on the line of time. Where the clock skipped
// it in spring, the reading is taken as by a clock that was not put forward (02:30
// is 03:30); where the clock showed it twice in autumn, the earlier is meant,
// unless the zone's name says which (EST, EDT).
func place(y int, mo time.Month, d, h, mi, s int, loc *time.Location, say half) time.Time {
	naive := time.Date(y, mo, d, h, mi, s, 0, time.UTC)
	before, after := readings(naive, loc)
	switch {
	case !shows(after, naive):
		return before // also the reading that a spring gap skipped
	case !shows(before, naive):
		return after
	case say == standard && before.IsDST() != after.IsDST():
		return map[bool]time.Time{true: after, false: before}[before.IsDST()]
	case say == daylight && before.IsDST() != after.IsDST():
		return map[bool]time.Time{true: before, false: after}[before.IsDST()]
	}
	return before // the earlier of two, or the only one
}

// readings are the instants at which a clock in loc shows the time of day of naive,
// a reading given as if it were UTC, by the offsets in force shortly before and
// shortly after it: mostly the same instant.
func readings(naive time.Time, loc *time.Location) (before, after time.Time) {
	before = naive.Add(-offset(naive.Add(-36*time.Hour), loc)).In(loc)
	after = naive.Add(-offset(naive.Add(36*time.Hour), loc)).In(loc)
	return before, after
}

// shows reports whether the clock at t, in its own zone, reads naive.
func shows(t, naive time.Time) bool {
	return t.Hour() == naive.Hour() && t.Minute() == naive.Minute() && t.Day() == naive.Day()
}

func offset(t time.Time, loc *time.Location) time.Duration {
	_, seconds := t.In(loc).Zone()
	return time.Duration(seconds) * time.Second
}
