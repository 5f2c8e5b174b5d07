package bounces

import (
	"regexp"
	"strings"

	"sitrep/channels"
)

// form is one of the ways to say it in words.
type form struct {
	name string
	kind Kind
	says *regexp.Regexp // what comes before the recipients
}

// forms are tried in order: a delay says that something could not be delivered, too.
var forms = []form{
	{"exim", Delay, regexp.MustCompile(`has\s+not\s+been\s+delivered\s+to\s+(?:(?:one\s+or\s+more|all)\s+of\s+its\s+)?recipients?\s+after\s+more\s+than[^\n]*`)},
	{"postfix", Delay, regexp.MustCompile(`THIS IS A WARNING ONLY|[Yy]our\s+message\s+could\s+not\s+be\s+delivered\s+for\s+more\s+than[^\n]*`)},
	{"sendmail", Delay, regexp.MustCompile(`----- The following addresses had (?:transient non-fatal errors|delivery problems) -----|Warning: could not send message for past [^\n]*`)},
	{"exchange", Delay, regexp.MustCompile(`(?i)delivery is delayed to these recipients or (?:groups|distribution lists)`)},
	{"gmail", Delay, regexp.MustCompile(`Delivery to the following recipients? has been delayed|[Tt]here was a temporary problem (?:while )?delivering your message to`)},
	{"qmail", Failure, regexp.MustCompile(`Hi\. (?:This is the|The) qmail-send program`)},
	{"exim", Failure, regexp.MustCompile(`could\s+not\s+be\s+delivered\s+to\s+(?:(?:one\s+or\s+more|all)\s+of\s+its\s+)recipients`)},
	{"postfix", Failure, regexp.MustCompile(`message\s+could\s+not\s+be\s+delivered\s+to\s+one\s+or\s+more\s+recipients`)},
	{"sendmail", Failure, regexp.MustCompile(`----- The following addresses had (?:permanent (?:fatal|delivery) errors|permanent fatal errors) -----`)},
	{"exchange", Failure, regexp.MustCompile(`(?i)delivery has failed to these recipients or (?:groups|distribution lists)|the following recipient\(s\) (?:could not|cannot) be reached|did not reach (?:some or all of )?the (?:intended|following) recipient(?:s|\(s\))`)},
	{"gmail", Failure, regexp.MustCompile(`Delivery to the following recipients? failed permanently|Your message (?:wasn['’]t|couldn['’]t be) delivered to`)},
	{"yahoo", Failure, regexp.MustCompile(`(?i)(?:sorry, )?we were unable to deliver your message to the following address`)},
}

var (
	daemons  = regexp.MustCompile(`(?i)mailer-?daemon|mail delivery (?:sub)?system|postmaster@|mdaemon@|microsoftexchange[0-9a-f]*@|mail administrator|mail-?delivery@`)
	failing  = regexp.MustCompile(`(?i)undeliver|returned mail|delivery (?:status )?notification|delivery (?:has )?fail|mail delivery fail|failure notice|delivery failure|could not be delivered|non.?deliver|message not delivered`)
	delaying = regexp.MustCompile(`(?i)delay|warning|incomplete|still being retried|temporar`)
)

// readText reads a report in words, and reports whether it is one: from a mail server,
// or with the field by which Exim and Gmail name the recipients.
func readText(m entity) (Report, bool) {
	failed := failedField(m.header)
	subject := m.header.words("subject")
	ofServer := daemons.MatchString(m.header.words("from")) || len(failed) > 0
	if !ofServer && strings.TrimSpace(m.header.get("return-path")) != "<>" {
		return Report{}, false
	}
	text := m.text()
	for _, f := range forms {
		if at := f.says.FindStringIndex(text); at != nil {
			return saying(f.name, f.kind, findRecipients(text[at[1]:]), failed, text), true
		}
	}
	if !ofServer || len(failed) == 0 && !failing.MatchString(subject) {
		return Report{}, false
	}
	kind := Failure
	if delaying.MatchString(subject) {
		kind = Delay
	}
	return saying("words", kind, findRecipients(text), failed, text), true
}

func failedField(h header) []string {
	var all []string
	for _, value := range h["x-failed-recipients"] {
		for _, a := range anyAddress.FindAllString(value, maxRecipients) {
			if len(a) <= maxAddress && len(all) < maxRecipients {
				all = append(all, a)
			}
		}
	}
	return all
}

// said is a recipient and what is written under the address.
type said struct {
	address string
	words   []string
}

// saying makes the report. Those whom a field names are the ones, whomever the text
// mentions; without any address the report is of one recipient, whoever that is.
func saying(name string, kind Kind, found []said, failed []string, text string) Report {
	if len(failed) > 0 {
		named := make([]said, 0, len(failed))
		for _, a := range failed {
			named = append(named, said{a, wordsFor(a, found)})
		}
		found = named
	}
	if len(found) == 0 {
		found = []said{{}}
	}
	rep := Report{Kind: kind, Form: name}
	for _, s := range found {
		words := strings.Join(s.words, " ")
		if strings.TrimSpace(words) == "" {
			words = refusal(text)
		}
		words = brief(words)
		r := Recipient{Kind: kind, Address: s.address, Fault: channels.Unavailable}
		if kind == Failure {
			c := classify("", words)
			r.Status, r.Fault, r.Gone = string(c.status), c.fault, c.gone
		}
		r.Detail = inWords(r, words, "", "")
		rep.Recipients = append(rep.Recipients, r)
	}
	return rep
}

func wordsFor(address string, found []said) []string {
	for _, s := range found {
		if same(s.address, address) {
			return s.words
		}
	}
	if len(found) == 1 {
		return found[0].words
	}
	return nil
}

const addressPattern = `[^\s<>()\[\]",;:@\\]+@[\pL\pN][\pL\pN._-]*[\pL\pN]`

var (
	// alone on its line, with a colon or the reason in parentheses behind it at most.
	heading = regexp.MustCompile(`^[ \t*]*[<(]?(` + addressPattern + `)[>)]?(?:<mailto:[^>]*>)?[ \t]*(?:[:(](.*)|)$`)
	// "Alice Example (alice@example.com)" and the like.
	named = regexp.MustCompile(`^[ \t*]*['"]?[^<>()@:]{1,80}['"]?[ \t]*[<(](` + addressPattern + `)[>)](?:<mailto:[^>]*>)?[ \t]*$`)
	// the title of another part of the report.
	title = regexp.MustCompile(`^\s*-{3,}.*-{3,}\s*$`)
	// what comes before the returned message, or after the reasons.
	ending = regexp.MustCompile(`(?i)^\s*(?:-{2,}.*(?:copy|below this line|original message|unsent message|returned message|message headers|header).*|original message headers:?|diagnostic information for administrators:?.*|begin forwarded message:?|(?:reporting-mta|received|return-path|message-id|dkim-signature|from): .*|-{2,} ?message header.*)\s*$`)
)

// findRecipients finds addresses with what is written under them.
func findRecipients(text string) []said {
	var all []said
	lines := 0
	for line := range strings.Lines(text) {
		line = strings.TrimRight(clean(line), " ")
		if lines++; lines > maxFields || ending.MatchString(line) || len(all) >= maxRecipients {
			break
		}
		address, rest, ok := headed(line)
		if !ok && len(all) == 0 {
			address, rest = anyAddress.FindString(line), line
			ok = address != ""
		}
		switch {
		case ok && ofDaemon(address): // whom to ask
		case ok && len(address) <= maxAddress:
			all = append(all, said{address, []string{rest}})
		case len(all) > 0 && !title.MatchString(line):
			s := &all[len(all)-1]
			s.words = append(s.words, line)
		}
	}
	return all
}

func headed(line string) (address, rest string, ok bool) {
	if m := heading.FindStringSubmatch(line); m != nil {
		return m[1], m[2], true
	}
	if m := named.FindStringSubmatch(line); m != nil {
		return m[1], "", true
	}
	return "", "", false
}

func ofDaemon(address string) bool {
	local, _, _ := strings.Cut(strings.ToLower(address), "@")
	return local == "postmaster" || local == "mailer-daemon"
}

// refusal is the first line that holds a refusal's code.
func refusal(text string) string {
	lines := 0
	for line := range strings.Lines(text) {
		if lines++; lines > maxFields {
			break
		}
		if basic.MatchString(line) || firstStatus(line) != "" {
			return line
		}
	}
	return ""
}
