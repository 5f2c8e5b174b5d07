package renderers

import (
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// guardView is a normalised text, and where its lines end.
type guardView struct {
	text string
	ends []int
}

// guardViews is a text as it is, and with the marks of emphasis taken out, for they
// may stand within a word (Glo**bex**). Underscores join words or emphasise them.
// Offsets differ between the views, lines do not.
func guardViews(text string) []guardView {
	views := []guardView{newGuardView(text)}
	for _, marks := range []string{"*~`", "*~`_"} {
		if strings.ContainsAny(text, marks) {
			views = append(views, newGuardView(strings.Map(func(r rune) rune {
				if strings.ContainsRune(marks, r) {
					return -1
				}
				return r
			}, text)))
		}
	}
	return views
}

func newGuardView(text string) guardView {
	v := guardView{text: text}
	for i := range len(text) {
		if text[i] == '\n' {
			v.ends = append(v.ends, i)
		}
	}
	return v
}

func (v guardView) hit(kind FindingKind, from, to int, key string) hit {
	line, _ := slices.BinarySearch(v.ends, from)
	return hit{kind, v.text[from:to], key, line}
}

// scan finds everything that must not be in a normalised text but what only its
// Markdown shows.
func (g guard) scan(text string) []hit {
	var hits []hit
	for _, view := range guardViews(text) {
		hits = append(hits, g.namesIn(view)...)
		hits = append(hits, g.addresses(view)...)
		hits = append(hits, g.hostsIn(view)...)
		hits = append(hits, guardCodeIn(view)...)
	}
	return hits
}

var (
	guardAt     = regexp.MustCompile(`([\p{L}\p{N}._%+'-]*)@([\p{L}\p{N}_][\p{L}\p{N}._-]*)`)
	guardAtWord = newGuardPattern("at],at),at>,at},at ", `(?i)[\p{L}\p{N}._%+-]+\s*[\[({<]\s*at\s*[\])}>]\s*[\p{L}\p{N}-]+(?:(?:\s*[\[({<]\s*dot\s*[\])}>]\s*|\.)[\p{L}\p{N}-]+)+`)
	guardHour   = regexp.MustCompile(`(?i)^\d{1,2}(?:[:.]\d\d)?(?:am|pm)?$`)
	guardNumber = regexp.MustCompile(`(?i)^v?\d+(?:\.\d+)*$`)
)

// addresses finds mentions and e-mail addresses. Each @ is one or the other, but in
// a link to an internal host, which is found as such.
func (g guard) addresses(v guardView) []hit {
	var hits []hit
	view := v.text
	if !strings.Contains(view, "@") {
		return guardSpelledOut(v)
	}
	for _, m := range guardAt.FindAllStringSubmatchIndex(view, -1) {
		local := strings.Trim(view[m[2]:m[3]], "._%+'-")
		name := strings.Trim(view[m[4]:m[5]], "._-")
		ip, err := netip.ParseAddr(name)
		switch {
		case name == "":
		case local == "" && (guardHour.MatchString(name) || (m[0] > 0 && view[m[0]-1] == '/')):
		case local == "":
			hits = append(hits, v.hit(FoundMention, m[4]-1, m[5]-trailing(view[m[4]:m[5]]), strings.ToLower(name)))
		case strings.HasSuffix(view[:m[2]], "//") && g.internal(strings.ToLower(name), true):
		case guardNumber.MatchString(name) && (err != nil || !ip.IsValid()):
		case guardHour.MatchString(local) && !strings.Contains(name, "."):
		default:
			hits = append(hits, v.hit(FoundAddress, m[2], m[5]-trailing(view[m[4]:m[5]]), strings.ToLower(local+"@"+name)))
		}
	}
	return append(hits, guardSpelledOut(v)...)
}

// guardSpelledOut finds addresses written as "dana [at] example [dot] com".
func guardSpelledOut(v guardView) []hit {
	var hits []hit
	for _, m := range guardAtWord.find(v.text, strings.ToLower(v.text)) {
		hits = append(hits, v.hit(FoundAddress, m[0], m[1], strings.ToLower(v.text[m[0]:m[1]])))
	}
	return hits
}

// trailing is how many bytes of punctuation end a name.
func trailing(name string) int { return len(name) - len(strings.TrimRight(name, "._-")) }

var (
	guardURL     = regexp.MustCompile(`(?i)\b[a-z][a-z0-9+.-]{1,20}:[/\\]{2,3}([^\s<>"'\x60|^{}]+)`)
	guardIPv6    = regexp.MustCompile(`(?i)(?:^|[^\w:])((?:fe80|f[cd][0-9a-f]{2}):[0-9a-f:]*:[0-9a-f:]*|::1)(?:$|[^\w:])`)
	guardBare    = regexp.MustCompile(`[\p{L}\p{N}_-]+(?:\.[\p{L}\p{N}_-]+)+|(?i:\blocalhost\b)`)
	guardVersion = regexp.MustCompile(`(?i)\b(?:versions?|releases?|build|ver\.?|v\.?)[ ]*$`)
	guardSpelt   = regexp.MustCompile(`(?i)^(?:0x[0-9a-f]+|\d+)$`)
)

// privateSuffixes are names that no public resolver knows (RFC 6762, RFC 8375, the
// reserved .internal) or that companies use as if.
func privateSuffixes() []string {
	return []string{"local", "localdomain", "localhost", "internal", "intranet", "intra", "corp", "lan", "home", "private", "home.arpa", "svc", "cluster.local"}
}

// hostsIn finds internal hosts: in links of any scheme, and as bare names and
// addresses. The part behind an @ is the business of addresses.
func (g guard) hostsIn(v guardView) []hit {
	var hits []hit
	view := v.text
	var links [][]int
	for _, m := range guardURL.FindAllStringSubmatchIndex(view, -1) {
		links = append(links, m)
		if host := guardHostOf(view[m[2]:m[3]]); g.internal(host, true) {
			to := m[0] + len(strings.TrimRight(view[m[0]:m[1]], ".,;:!?)]*_~"))
			hits = append(hits, v.hit(FoundHost, m[0], to, host))
		}
	}
	for _, m := range guardBare.FindAllStringIndex(view, -1) {
		if within(m[0], m[1], links) || (m[0] > 0 && view[m[0]-1] == '@') || (m[1] < len(view) && view[m[1]] == '@') || guardVersion.MatchString(view[max(0, m[0]-20):m[0]]) {
			continue
		}
		if host := strings.ToLower(view[m[0]:m[1]]); g.internal(host, false) {
			hits = append(hits, v.hit(FoundHost, m[0], m[1], host))
		}
	}
	for _, m := range guardIPv6.FindAllStringSubmatchIndex(view, -1) {
		if !within(m[2], m[3], links) {
			hits = append(hits, v.hit(FoundHost, m[2], m[3], strings.ToLower(view[m[2]:m[3]])))
		}
	}
	return hits
}

// within reports whether a span lies in one of spans, which are in order.
func within(from, to int, spans [][]int) bool {
	i, found := slices.BinarySearchFunc(spans, from, func(s []int, from int) int { return s[0] - from })
	if !found {
		i--
	}
	return i >= 0 && to <= spans[i][1]
}

// guardHostOf is the host of what follows "://".
func guardHostOf(rest string) string {
	if at := strings.IndexAny(rest, "/?#\\"); at >= 0 {
		rest = rest[:at]
	}
	if plain, err := url.PathUnescape(rest); err == nil {
		rest = guardNormal(plain)
	}
	rest = rest[strings.LastIndex(rest, "@")+1:]
	if strings.HasPrefix(rest, "[") {
		rest, _, _ = strings.Cut(rest[1:], "]")
		return strings.ToLower(rest)
	}
	rest, _, _ = strings.Cut(rest, ":")
	return strings.ToLower(strings.Trim(rest, ".,;!?)(]*_~ "))
}

// internal reports whether a host is one of ours. In a link, a name without a dot
// and an address spelt oddly are; in running text they are just words and numbers.
func (g guard) internal(host string, link bool) bool {
	if host == "" {
		return false
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		return privateIP(ip.Unmap().WithZone(""))
	}
	labels := strings.Split(host, ".")
	if link && (len(labels) == 1 || guardSpelt.MatchString(labels[len(labels)-1])) {
		return true
	}
	for _, s := range g.hosts {
		whole := host == s && (link || strings.Contains(s, ".") || s == "localhost")
		if whole || (len(host) > len(s) && strings.HasSuffix(host, s) && host[len(host)-len(s)-1] == '.') {
			return true
		}
	}
	return false
}

// internalHosts are the names and suffixes of internal hosts, in one spelling.
func internalHosts(own []string) []string {
	all := privateSuffixes()
	for _, h := range own {
		if h = strings.ToLower(strings.Trim(guardNormal(h), "*. ")); h != "" {
			all = append(all, h)
		}
	}
	return all
}

// privateIP reports addresses that are nobody else's business: private, loopback,
// link-local, unspecified, and carriers' shared space (RFC 6598).
func privateIP(ip netip.Addr) bool {
	shared := netip.PrefixFrom(netip.AddrFrom4([4]byte{100, 64}), 10)
	return ip.IsPrivate() || ip.IsLoopback() || ip.IsLinkLocalUnicast() || ip.IsUnspecified() || shared.Contains(ip)
}
