package renderers

import (
	"strings"

	"sitrep/incident"
)

// The subject of an e-mail is "[Identified SEV1] Enterprise ABC outage (abc-1)": what
// changes from one update to the next in one pair of square brackets at the beginning,
// and after it the topic, which does not change. RFC 5256 section 2.1 takes what is in
// brackets there off before an IMAP server compares subjects, and Gmail is reported to
// ignore it (getsentry/sentry#4374, TwiN/gatus#1563): the status does not divide a
// thread. For the same reason the incident's id, which keeps two incidents of a customer
// apart, stands in round brackets.

// topicRunes is the most characters of the customer's name in a subject, and of the
// incident's id. Each is cut by itself, so that a topic never depends on the status; with
// the longest tag a subject stays within the 255 characters that Exchange compares
// ([MS-OXOMSG] section 2.2.1.2).
const topicRunes = 100

// tag is what a subject says in brackets. There are none in it.
func tag(u incident.Update) string {
	return unbracket(strings.TrimSpace(statusLook(u.Status).Word + " " + u.Severity.String()))
}

// topic is the same in all updates of an incident, as an audience may know it: it is
// made of the customer's name and the incident's id. So it changes only if somebody
// renames the customer in the configuration meanwhile. The public is told no id, so two
// incidents of one name have one topic there.
func topic(u incident.Update, a incident.Audience) string {
	s := "Service outage"
	if name := customerName(u, a); name != "" {
		s = excerpt(name, topicRunes) + " outage"
	}
	if id := incidentID(u, a); id != "" {
		s += " (" + excerpt(id, topicRunes) + ")"
	}
	return unbracket(s)
}

// unbracket leaves a subject one pair of square brackets, the one that encloses the tag.
func unbracket(s string) string { return strings.NewReplacer("[", "(", "]", ")").Replace(s) }
