package renderers_test

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"sitrep/channels"
	"sitrep/incident"
	"sitrep/renderers"
)

func guardPolicy() renderers.Policy {
	return renderers.Policy{
		Hosts: []string{"corp.example.com", "*.ops.example"},
		Words: []string{"Project Falcon", "blame"},
		Parties: []incident.Party{
			{ID: "enterprise-abc", Name: "Enterprise ABC", Aliases: []string{"ABC"}, Zone: time.UTC},
			{ID: "globex", Name: "Globex Industries", PublicName: "Globex Group", Aliases: []string{"Globex", "GX"}, Zone: time.UTC},
			{ID: "it", Name: "IT", Zone: time.UTC},
			{ID: "matsu", Name: "松下電器", Zone: time.UTC},
			{ID: "abc-north", Name: "Enterprise ABC North", Zone: time.UTC},
		},
	}
}

// guarded is an update of Enterprise ABC whose summary begins on line 10 and whose
// customer impact begins on line 20.
func guarded(summary, impact string) incident.Update {
	at := time.Date(2026, 11, 22, 19, 20, 0, 0, time.UTC)
	return incident.Update{
		Key: "k", Incident: "INC-1", Customer: "enterprise-abc", CustomerName: "Enterprise ABC", Severity: 1, Seq: 1,
		At: at, Started: at.Add(-9 * time.Hour), Next: at.Add(time.Hour), Zone: time.UTC, Status: incident.Identified,
		Summary: summary, CustomerImpact: impact, TechnicalNotes: "Ask @ops, see http://wiki/ and rm -rf /var/lib/x.",
		Lines: map[string]int{incident.SectionSummary: 10, incident.SectionImpact: 20},
	}
}

func guardFormats() []channels.Format {
	return []channels.Format{channels.FormatText, channels.FormatEmail, channels.FormatMattermost, channels.FormatChat, channels.FormatPage}
}

// guardSet is safe for concurrent use and takes a while to make.
var guardSet = sync.OnceValue(renderers.Builtin)

func guardRender(t testing.TB, u incident.Update, a incident.Audience, f channels.Format) channels.Message {
	t.Helper()
	r, err := guardSet().Render(renderers.Request{Update: u, Format: f, Audience: a})
	if err != nil {
		t.Fatal(err)
	}
	return r.Message
}

// TestGuardSample is what the guard is for: an update as the team writes it, in
// every format.
func TestGuardSample(t *testing.T) {
	src, err := os.ReadFile("testdata/guard-sample.md")
	if err != nil {
		t.Fatal(err)
	}
	d, _ := incident.Parse(src)
	u, problems, _ := d.Resolve(incident.Known{Now: time.Date(2026, 11, 23, 0, 25, 0, 0, time.UTC), Parties: guardPolicy().Parties})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	want := []string{
		"7 Summary mention @mkessler", "11 Summary host https://chat.corp.example.com/eng/pl/9xk3",
		"16 Customer Impact customer Globex", "17 Customer Impact address priya.nair@abc.example",
		`20 Customer Impact query sum(rate(http_requests_total{instance=~"$server",method="GET"}[5m]))`,
	}
	for _, f := range guardFormats() {
		var got []string
		for _, x := range guardPolicy().Guard(u, incident.Customer, guardRender(t, u, incident.Customer, f)) {
			got = append(got, strings.TrimSpace(strings.Join([]string{strconv.Itoa(x.Line), x.Section, string(x.Kind), x.Text}, " ")))
			if x.Why == "" || x.Remedy == "" || x.Audience != incident.Customer {
				t.Errorf("%s: %+v lacks a reason, a remedy or its audience", f, x)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s:\n got %s\nwant %s", f, strings.Join(got, "\n     "), strings.Join(want, "\n     "))
		}
		if found := guardPolicy().Guard(u, incident.Internal, guardRender(t, u, incident.Internal, f)); found != nil {
			t.Errorf("%s: internal readers may read everything, but: %v", f, found)
		}
	}
}

// TestGuardFinds tries to leak, in every format.
func TestGuardFinds(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		kind renderers.FindingKind
	}{
		"mention":                {"Thanks to @dana for this.", renderers.FoundMention},
		"mention at the end":     {"Thanks @dana.reyes-2.", renderers.FoundMention},
		"mass mention":           {"Attention @channel: done.", renderers.FoundMention},
		"zero width":             {"Thanks @\u200bdana and all.", renderers.FoundMention},
		"zero width in name":     {"Thanks @da\u200cna and all.", renderers.FoundMention},
		"soft hyphen":            {"Thanks @\u00addana and all.", renderers.FoundMention},
		"full width":             {"Thanks ＠dana and all.", renderers.FoundMention},
		"small at":               {"Thanks ﹫dana and all.", renderers.FoundMention},
		"entity":                 {"Thanks &#64;dana and all.", renderers.FoundMention},
		"entity twice":           {"Thanks &amp;#64;dana and all.", renderers.FoundMention},
		"named entity":           {"Thanks &commat;dana and all.", renderers.FoundMention},
		"escape":                 {"Thanks \\@dana and all.", renderers.FoundMention},
		"emphasis":               {"Thanks @**dana** and all.", renderers.FoundMention},
		"emphasis around":        {"Thanks _@dana_ and all.", renderers.FoundMention},
		"in brackets":            {"Thanks (@dana).", renderers.FoundMention},
		"in a link":              {"Thanks [@dana](https://example.com/).", renderers.FoundMention},
		"in a table":             {"| Who |\n|---|\n| @dana |", renderers.FoundMention},
		"in a list":              {"- one\n  - @dana", renderers.FoundMention},
		"in a quote":             {"> @dana said so", renderers.FoundMention},
		"cyrillic name":          {"Спасибо @дана за это.", renderers.FoundMention},
		"address":                {"Write to dana@abc.example today.", renderers.FoundAddress},
		"address link":           {"Write to [Dana](mailto:dana@abc.example).", renderers.FoundAddress},
		"address autolink":       {"Write to <dana@abc.example>.", renderers.FoundAddress},
		"address without dot":    {"Write to root@db1 today.", renderers.FoundAddress},
		"address with IP":        {"Log in as root@10.1.2.3 today.", renderers.FoundAddress},
		"address, plus":          {"Write to dana+x@abc.example today.", renderers.FoundAddress},
		"address, full width":    {"Write to dana＠abc．example today.", renderers.FoundAddress},
		"address, zero width":    {"Write to dana\u200b@\u200babc\u2060.example today.", renderers.FoundAddress},
		"address, odd dot":       {"Write to dana@abc。example today.", renderers.FoundAddress},
		"address in words":       {"Write to dana [at] abc [dot] example today.", renderers.FoundAddress},
		"address, umlaut":        {"Write to jörg@bücher.example today.", renderers.FoundAddress},
		"host":                   {"See https://wiki.corp.example.com/x for more.", renderers.FoundHost},
		"host itself":            {"See https://corp.example.com/ for more.", renderers.FoundHost},
		"host by wildcard":       {"See https://a.ops.example/ for more.", renderers.FoundHost},
		"host, capitals":         {"See HTTPS://WIKI.CORP.EXAMPLE.COM/x for more.", renderers.FoundHost},
		"host, bare":             {"See wiki.corp.example.com for more.", renderers.FoundHost},
		"host, bare page":        {"See wiki.corp.example.com/x/y for more.", renderers.FoundHost},
		"host behind a label":    {"See [the page](https://wiki.corp.example.com/x).", renderers.FoundHost},
		"host with port":         {"See https://wiki.corp.example.com:8443/x now.", renderers.FoundHost},
		"host with user":         {"See https://example.com@wiki.corp.example.com/x now.", renderers.FoundHost},
		"host without dot, user": {"See https://example.com@wiki/x for more.", renderers.FoundHost},
		"host, trailing dot":     {"See https://wiki.corp.example.com./x now.", renderers.FoundHost},
		"host, odd dots":         {"See https://wiki。corp．example․com/x now.", renderers.FoundHost},
		"host, zero width":       {"See wiki.corp\u200b.example.com now.", renderers.FoundHost},
		"host without dot":       {"See http://wiki/x for more.", renderers.FoundHost},
		"host other scheme":      {"See ssh://db.corp.example.com for more.", renderers.FoundHost},
		"image":                  {"![chart](https://grafana.corp.example.com/x.png)", renderers.FoundHost},
		"reference link":         {"See [the page][1].\n\n[1]: https://wiki.corp.example.com/x", renderers.FoundHost},
		"private address":        {"See http://10.1.2.3/x for more.", renderers.FoundHost},
		"private, bare":          {"The node 192.168.7.9 is back.", renderers.FoundHost},
		"private, 172":           {"The node 172.20.0.1 is back.", renderers.FoundHost},
		"loopback":               {"See http://127.0.0.1:3000 for more.", renderers.FoundHost},
		"link-local":             {"See http://169.254.169.254/latest for more.", renderers.FoundHost},
		"IPv6":                   {"See http://[fd12:3456::1]/ for more.", renderers.FoundHost},
		"IPv6 bare":              {"The node fe80::1ff:fe23:4567:890a is back.", renderers.FoundHost},
		"number":                 {"See http://2130706433/ for more.", renderers.FoundHost},
		"hexadecimal":            {"See http://0x7f.0.0.0x1/ for more.", renderers.FoundHost},
		"localhost":              {"It runs on localhost:8080 again.", renderers.FoundHost},
		".local":                 {"The node db1.local is back.", renderers.FoundHost},
		".internal":              {"See https://db.prod.internal/ for more.", renderers.FoundHost},
		".lan":                   {"The node db1.lan is back.", renderers.FoundHost},
		"customer":               {"Globex Industries has the same trouble.", renderers.FoundCustomer},
		"customer alias":         {"The same at Globex.", renderers.FoundCustomer},
		"customer's public":      {"The same at Globex Group.", renderers.FoundCustomer},
		"customer, case":         {"The same at gLOBEX's site.", renderers.FoundCustomer},
		"customer, emphasis":     {"The same at Glo**bex** now.", renderers.FoundCustomer},
		"customer, hyphen":       {"The same at globex-industries now.", renderers.FoundCustomer},
		"customer, wrapped":      {"The very same thing that we see here today was seen last week at Globex\nIndustries.", renderers.FoundCustomer},
		"customer, zero width":   {"The same at Glob\u200bex now.", renderers.FoundCustomer},
		"customer, cyrillic":     {"The same at Glоbех now.", renderers.FoundCustomer},
		"customer, accent":       {"The same at Glöbex now.", renderers.FoundCustomer},
		"customer, full width":   {"The same at Ｇｌｏｂｅｘ now.", renderers.FoundCustomer},
		"customer, joined":       {"The same at GlobexIndustries now.", renderers.FoundCustomer},
		"customer, identifier":   {"The cluster globex_prod is back.", renderers.FoundCustomer},
		"customer, short":        {"The same at GX now.", renderers.FoundCustomer},
		"customer, Japanese":     {"同じ問題は松下電器でも起きました。", renderers.FoundCustomer},
		"customer in a link":     {"See https://globex.example.com/ for more.", renderers.FoundCustomer},
		"customer like ours":     {"The same at Enterprise ABC North.", renderers.FoundCustomer},
		"fence":                  {"It was:\n\n```\nretry twice\n```", renderers.FoundCode},
		"indented":               {"It was:\n\n    retry twice", renderers.FoundCode},
		"span":                   {"We set `pool.size = 5` then.", renderers.FoundCode},
		"command":                {"We ran kubectl rollout restart then.", renderers.FoundCode},
		"Java trace":             {"It said\n\n  at com.acme.Pool.get(Pool.java:42)", renderers.FoundCode},
		"exception":              {"It threw a java.lang.NullPointerException then.", renderers.FoundCode},
		"Python trace":           {"Traceback (most recent call last) was seen.", renderers.FoundCode},
		"Go trace":               {"goroutine 17 [running] was seen.", renderers.FoundCode},
		"path":                   {"The disk of /var/lib/postgres is full.", renderers.FoundCode},
		"statement":              {"The line is pool.close(); now.", renderers.FoundCode},
		"PromQL":                 {`It is sum(rate(http_requests_total{instance=~"$server",method="GET"}[5m])) now.`, renderers.FoundQuery},
		"PromQL, curly quotes":   {"It is errors_total{job=“api”} now.", renderers.FoundQuery},
		"PromQL, bare":           {"It is rate(errors_total) now.", renderers.FoundQuery},
		"PromQL, by":             {"It is sum by (job) (errors) now.", renderers.FoundQuery},
		"LogQL":                  {`It is {app="api"} |= "timeout" now.`, renderers.FoundQuery},
		"SQL":                    {"We ran SELECT id FROM orders then.", renderers.FoundQuery},
		"SQL, lower case":        {"We ran select * from orders then.", renderers.FoundQuery},
		"SQL, where":             {"We ran select name from orders where id = 5 then.", renderers.FoundQuery},
		"SQL, wrapped":           {"We looked for them in the database by this one, which is SELECT id,\nname FROM\norders then.", renderers.FoundQuery},
		"SQL, update":            {"We ran update orders set state = 5 then.", renderers.FoundQuery},
		"word":                   {"There is no blame here.", renderers.FoundWord},
		"word, case":             {"There is no BLAME here.", renderers.FoundWord},
		"phrase":                 {"This is due to project\nfalcon as planned.", renderers.FoundWord},
		"phrase, emphasis":       {"This is due to _Project_ **Falcon** now.", renderers.FoundWord},
	} {
		t.Run(name, func(t *testing.T) {
			for _, f := range guardFormats() {
				u := guarded("All is well.\n\n"+c.text, "Nothing.")
				found := guardPolicy().Guard(u, incident.Customer, guardRender(t, u, incident.Customer, f))
				at := slices.IndexFunc(found, func(x renderers.Finding) bool { return x.Kind == c.kind })
				if at < 0 {
					t.Errorf("%s: nothing of kind %s in %+v", f, c.kind, found)
				} else if found[at].Line < 12 || found[at].Line > 15 || found[at].Section != incident.SectionSummary {
					t.Errorf("%s: placed at line %d of %q", f, found[at].Line, found[at].Section)
				}
				if len(found) > 1 {
					t.Errorf("%s: more than one finding: %+v", f, found)
				}
			}
		})
	}
}

// TestGuardLets holds what must not be held back, for a guard that cries wolf is
// overridden.
func TestGuardLets(t *testing.T) {
	for _, text := range []string{
		"Meet at 5pm @ the bridge.", "The bridge meets @7pm and @ 19:20.", "We work 24/7 on this.", "Version v7.8.6 is out, and so is 10.2.",
		"We run version 10.0.4.1 now.", "Since 19:20 UTC (2:20pm ET) it works again.", "See https://status.example.com/x?y=1#z for more.",
		"See [our page](https://www.example.com/).", "Select a date from the calendar, then save.", "You can select customers from Europe.",
		"Please select the items you need from our list, and update the form.", "We count (at least) 5 of them; the sum (in total) is 7.",
		"Press `Save` and open `Settings`; `v7.8.6` has it.", "It works for it and for us.", "Logins fail for about 50 % of users.",
		"- one\n- two\n  - three", "> quoted\n> text", "| a | b |\n|---|---|\n| 1 | 2 |", "Enterprise ABC and ABC see this.", "We restarted it (twice); it helped.",
		"The index is rebuilt, the table is full, and a rate (of 5 per minute) is normal.", "Use Chrome/Firefox; e.g. on Windows 11, i.e. the newest.",
		"A fix (at noon) was applied.", "The blameless review follows.", "The max (2 users) is fine.", "Order #42 & co. cost $5 – 10.", "C'est la vie: l'équipe est là.", "Next update at 8am ET.",
	} {
		for _, f := range guardFormats() {
			u := guarded(text, text)
			if found := guardPolicy().Guard(u, incident.Customer, guardRender(t, u, incident.Customer, f)); len(found) > 0 {
				t.Errorf("%s: %q: %+v", f, text, found)
			}
		}
	}
}
