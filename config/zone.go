package config

import (
	"strings"
	"time"
)

// zone is the time zone with that IANA name, or nil after saying at its spot what
// is wrong with it.
func (d *decoder) zone(name string, at spot) *time.Location {
	if name == "EST" || name == "MST" {
		w := at
		w.out = d.warnings
		w.problem("is "+name+", which never has daylight saving time.", "Is "+spoken[name[:1]+"T"]+" meant?")
	}
	if name != "" && name != "Local" {
		if z, err := time.LoadLocation(name); err == nil {
			return z
		}
	}
	at.problem("must be a time zone, and "+at.shown+" is none.", zoneRemedy(name))
	return nil
}

// spoken are the zones people say, with the one they most probably mean.
var spoken = map[string]string{
	"ET": "America/New_York", "EDT": "America/New_York", "EASTERN": "America/New_York",
	"CT": "America/Chicago", "CST": "America/Chicago", "CDT": "America/Chicago",
	"MT": "America/Denver", "MDT": "America/Denver",
	"PT": "America/Los_Angeles", "PST": "America/Los_Angeles", "PDT": "America/Los_Angeles",
	"BST": "Europe/London", "CEST": "Europe/Berlin", "IST": "Asia/Kolkata", "JST": "Asia/Tokyo",
	"SGT": "Asia/Singapore", "AEST": "Australia/Sydney", "AEDT": "Australia/Sydney", "Z": "UTC",
}

func zoneRemedy(name string) string {
	if iana, ok := spoken[strings.ToUpper(name)]; ok {
		return "Did you mean `" + iana + "`?"
	}
	if guess := tidyZone(name); guess != name {
		if z, err := time.LoadLocation(guess); err == nil && guess != "Local" && guess != "" {
			return "Did you mean `" + z.String() + "`?"
		}
	}
	return "Write an IANA name such as America/New_York or Europe/Berlin."
}

// tidyZone spells "america/new york" as the time zone database does.
func tidyZone(name string) string {
	if strings.EqualFold(name, "utc") || strings.EqualFold(name, "gmt") {
		return strings.ToUpper(name)
	}
	words := strings.FieldsFunc(strings.ToLower(name), func(r rune) bool { return r == ' ' || r == '_' })
	for i, w := range words {
		parts := strings.Split(w, "/")
		for j, p := range parts {
			if p != "" {
				parts[j] = strings.ToUpper(p[:1]) + p[1:]
			}
		}
		words[i] = strings.Join(parts, "/")
	}
	return strings.Join(words, "_")
}
