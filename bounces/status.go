package bounces

import (
	"regexp"
	"strings"

	"sitrep/channels"
)

// status is an enhanced status code (RFC 3463): class, subject, detail.
type status string

// known reports whether s says more than that something failed.
func (s status) known() bool { return s != "" && !strings.HasSuffix(string(s), ".0.0") }

// noAddress are the codes by which there is no such address, by RFC 3463 section 3.2
// and the IANA registry "SMTP Enhanced Status Codes":
//
//	5.1.0   other address status
//	5.1.1   bad destination mailbox address
//	5.1.2   bad destination system address
//	5.1.3   bad destination mailbox address syntax
//	5.1.6   destination mailbox has moved, no forwarding address
//	5.1.10  recipient address has null MX (RFC 7505)
//
// Not among them, though about addresses: 5.1.4 (ambiguous), 5.1.5 (valid), 5.1.7 and
// 5.1.8 (the sender's), 5.1.9 (relayed to a non-compliant mailer).
func noAddress() []status {
	return []status{"5.1.0", "5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10"}
}

func (s status) noAddress(words string) bool {
	if s == "5.1.0" && ofSender.MatchString(words) {
		return false
	}
	for _, x := range noAddress() {
		if s == x {
			return true
		}
	}
	return false
}

var (
	ofSender = regexp.MustCompile(`(?i)\bsender\b`)
	ofPolicy = regexp.MustCompile(`(?i)\bspam|\bblock|black ?list|block ?list|\bdeny|denied|\bpolicy|reputation|\brelay|dmarc|\bspf\b|\bdkim\b|\bquota|mailbox (?:is )?full|over ?quota|too (?:large|big|many|much)`)
	unknown  = regexp.MustCompile(`(?i)(?:user|recipient|mailbox|account|address)(?: name| address)? (?:is )?(?:unknown|not known|not found|invalid)|` +
		`unknown (?:user|recipient|mailbox|account|local.?part|address)|no such (?:user|recipient|mailbox|account|address|person)|no mailbox here|` +
		`(?:user|recipient|mailbox|account|address)[^.\n]{0,60}(?:does(?:n['’]t| not) exist|(?:couldn['’]t|could not|cannot|can['’]t) be found|wasn['’]t found|was not found|isn['’]t known)|` +
		`invalid (?:recipient|mailbox)|recipnotfound|host(?:name)? (?:or domain name )?(?:not found|unknown)|unrouteable address|unroutable address`)
	noHost = regexp.MustCompile(`(?i)host(?:name)? |domain`)
	basic  = regexp.MustCompile(`(?:^|[^\d.])([245])(\d\d)(?:[^\d.]|\.\s|$)`)
	inText = regexp.MustCompile(`[245]\.\d{1,3}\.\d{1,3}`)
)

// class is what a status and the remote side's words mean.
type class struct {
	status status
	fault  channels.Fault
	gone   bool // there is no such address
}

// classify decides what a failure means, from the report's status field and the words of
// whoever refused:
//
//	5.1.0 (but for the sender), 5.1.1, 5.1.2, 5.1.3, 5.1.6, 5.1.10  NoRecipient, suppress
//	4.x.x: given up after trying for long                            Unavailable
//	any other: 5.2.1 disabled, 5.2.2 full, 5.3.x system, 5.4.x
//	routing, 5.5.x protocol, 5.6.x content, 5.7.x policy             Rejected
//
// Where the field and the words give different codes, both must say that there is no
// such address. Without a code that says anything, the words decide: those of an unknown
// user suppress, unless they also speak of policy. That a host is not known does not, for
// it may be the name server's trouble.
func classify(field, words string) class {
	own, said := status(field), firstStatus(words)
	c := class{status: own, fault: channels.Rejected}
	if !own.known() && said != "" {
		c.status = said
	}
	switch {
	case own.known() && said.known():
		c.gone = own.noAddress(words) && said.noAddress(words)
	case c.status.known():
		c.gone = c.status.noAddress(words)
	default:
		c.gone = saysUnknown(words)
	}
	switch {
	case c.gone:
		c.fault = channels.NoRecipient
	case temporary(c.status, words):
		c.fault = channels.Unavailable
	}
	return c
}

func saysUnknown(words string) bool {
	hit := unknown.FindString(words)
	if hit == "" || noHost.MatchString(hit) || ofPolicy.MatchString(words) || ofSender.MatchString(words) {
		return false
	}
	code := basic.FindStringSubmatch(words)
	return code == nil || code[1] == "5" && code[2] != "52"
}

func temporary(s status, words string) bool {
	if s != "" {
		return s[0] == '4'
	}
	code := basic.FindStringSubmatch(words)
	return code != nil && code[1] == "4"
}

// firstStatus is the first enhanced status in a text that says something, or else the
// first. Parts of IP addresses and version numbers are none.
func firstStatus(words string) status {
	var first status
	for _, at := range inText.FindAllStringIndex(words, 20) {
		if !alone(words, at[0], at[1]) {
			continue
		}
		s := status(words[at[0]:at[1]])
		if s.known() {
			return s
		}
		if first == "" {
			first = s
		}
	}
	return first
}

// alone reports whether the number in words[from:to] is not part of a longer one.
func alone(words string, from, to int) bool {
	if from > 0 && strings.ContainsRune("0123456789.-", rune(words[from-1])) {
		return false
	}
	if to >= len(words) {
		return true
	}
	if c := words[to]; c >= '0' && c <= '9' {
		return false
	} else if c != '.' {
		return true
	}
	return to+1 >= len(words) || words[to+1] < '0' || words[to+1] > '9'
}

var oneStatus = regexp.MustCompile(`^[245]\.\d{1,3}\.\d{1,3}`)

// readStatusField is the code in a Status field, which may have a comment behind it.
func readStatusField(s string) string { return oneStatus.FindString(strings.TrimSpace(s)) }
