package incident_test

import (
	"strings"
	"testing"
	"time"
	_ "time/tzdata"

	"sitrep/incident"
)

func zone(name string) *time.Location {
	loc, err := time.LoadLocation(name)
	if err != nil {
		panic(err)
	}
	return loc
}

func utc(s string) time.Time {
	t, err := time.Parse("2006-01-02 15:04", s)
	if err != nil {
		panic(err)
	}
	return t
}

// known is the world as the tests have it: 19:25 in New York, 22 November 2026.
func known() incident.Known {
	return incident.Known{
		Now: utc("2026-11-23 00:25"),
		Parties: []incident.Party{
			{ID: "enterprise-abc", Name: "Enterprise ABC", Aliases: []string{"ABC"}, Zone: zone("America/New_York")},
			{ID: "globex", Name: "Globex", PublicName: "Globex Corp", Zone: zone("Europe/Berlin")},
		},
	}
}

// write is an update of ABC with the given title time, status and text.
func write(at, status, rest string) string {
	return "### ABC SEV1 outage - " + at + " update\n#### Status: " + status + "\n" + rest
}

func resolve(src string, k incident.Known) (incident.Update, incident.Problems, incident.Problems) {
	d, _ := incident.Parse([]byte(src))
	return d.Resolve(k)
}

// outages returns open incidents of ABC, from eight and two hours before now.
func outages(n int) []incident.Incident {
	return []incident.Incident{
		{ID: "INC-1", Customer: "enterprise-abc", Severity: 2, Started: utc("2026-11-22 16:25"), Status: incident.Identified, Seq: 3, Updated: utc("2026-11-22 23:25")},
		{ID: "INC-2", Customer: "enterprise-abc", Severity: 1, Started: utc("2026-11-22 22:25"), Status: incident.Investigating, Seq: 1, Updated: utc("2026-11-22 23:25")},
	}[:n]
}

func TestResolveWholeUpdate(t *testing.T) {
	u, problems, _ := resolve(string(source(t, "pasted.md")), known())
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	if !u.At.Equal(utc("2026-11-23 00:20")) || !u.Started.Equal(utc("2026-11-22 15:20")) || !u.Next.Equal(utc("2026-11-23 13:00")) {
		t.Errorf("at %s, started %s, next %s", u.At.UTC(), u.Started.UTC(), u.Next.UTC())
	}
	if u.Zone.String() != "America/New_York" || u.Customer != "enterprise-abc" || u.CustomerName != "Enterprise ABC" {
		t.Errorf("zone %s, customer %s %q", u.Zone, u.Customer, u.CustomerName)
	}
	if u.Lines[incident.SectionSummary] != 7 || u.Lines[incident.SectionImpact] != 15 || u.Lines[incident.SectionTechnical] != 20 {
		t.Errorf("lines %v", u.Lines)
	}
	if p := u.Validate(); p != nil {
		t.Error(p)
	}
}

func TestResolveStart(t *testing.T) {
	follow := known()
	follow.Open = outages(1)
	front := func(started, rest string) string { return "---\nstarted: " + started + "\n---\n" + rest }
	for name, c := range map[string]struct {
		src, want, warns string
		k                incident.Known
	}{
		"hours":            {write("19:20 ET", "Identified", "#### Incident Time: 9\nx"), "2026-11-22 15:20", "", known()},
		"days":             {write("19:20 ET", "Identified", "#### Incident Time: 2 days\nx"), "2026-11-21 00:20", "", known()},
		"not given":        {write("19:20 ET", "Identified", "x"), "2026-11-23 00:20", "when the incident began", known()},
		"known":            {write("19:20 ET", "Identified", "x"), "2026-11-22 16:25", "", follow},
		"agrees":           {write("19:20 ET", "Identified", "#### Incident Time: 8.5h\nx"), "2026-11-22 16:25", "", follow},
		"contradicts":      {write("19:20 ET", "Identified", "#### Incident Time: 3 hours\nx"), "2026-11-22 16:25", "earlier updates put it at 22 November 11:25 EST (8 hours ago)", follow},
		"front":            {front("2026-11-22 07:00 ET", write("19:20 ET", "Identified", "x")), "2026-11-22 12:00", "", known()},
		"front, week day":  {front("Sunday 8pm ET", write("19:20 ET", "Identified", "x")), "2026-11-16 01:00", "", known()},
		"front, bare hour": {front("8pm ET", write("19:20 ET", "Identified", "x")), "2026-11-22 01:00", "", known()},
		"front disagrees":  {front("7am ET", write("19:20 ET", "Identified", "#### Incident Time: 2 hours\nx")), "2026-11-22 12:00", "the front matter put it", known()},
	} {
		t.Run(name, func(t *testing.T) {
			c.k.Next = "1h"
			u, problems, warnings := resolve(c.src, c.k)
			if len(problems) > 0 || !u.Started.Equal(utc(c.want)) {
				t.Errorf("problems %v, started %s, want %s", problems, u.Started.UTC(), c.want)
			}
			if (len(warnings) > 0) != (c.warns != "") || !strings.Contains(warnings.Error(), c.warns) {
				t.Errorf("warnings %v, want %q", warnings, c.warns)
			}
		})
	}
}

func TestResolveNext(t *testing.T) {
	const title = "19:20 ET"
	for name, c := range map[string]struct{ src, flag, want string }{
		"section":        {write(title, "Identified", "x\n#### Next Update\n8am ET"), "", "2026-11-23 13:00"},
		"heading":        {write(title, "Identified", "x\n#### Next Update: 8:30pm ET"), "", "2026-11-23 01:30"},
		"section span":   {write(title, "Identified", "x\n#### Next Update\nin 45 minutes"), "", "2026-11-23 01:05"},
		"flag wins":      {write(title, "Identified", "x\n#### Next Update\n8am ET"), "9am ET", "2026-11-23 14:00"},
		"flag from now":  {write(title, "Identified", "x"), "45m", "2026-11-23 01:10"},
		"front":          {"---\nnext_update: 2026-11-23 09:00\n---\n" + write(title, "Identified", "Next update at 8am ET."), "", "2026-11-23 14:00"},
		"front span":     {"---\nnext_update: 2 hours\n---\n" + write(title, "Identified", "x"), "", "2026-11-23 02:20"},
		"shared at":      {write(title, "Identified", "x. Next update will be shared\nat 8amET."), "", "2026-11-23 13:00"},
		"colon":          {write(title, "Identified", "x\nNext update: 8am ET"), "", "2026-11-23 13:00"},
		"in minutes":     {write(title, "Identified", "The next update follows in about 30 minutes."), "", "2026-11-23 00:50"},
		"will update":    {write(title, "Identified", "We will update again by 14:30 UTC."), "", "2026-11-23 14:30"},
		"another":        {write(title, "Identified", "We'll share another status update within the next 2 hours."), "", "2026-11-23 02:20"},
		"time first":     {write(title, "Identified", "At 8 a.m. ET we will send an update."), "", "2026-11-23 13:00"},
		"impact section": {write(title, "Identified", "x\n#### Customer Impact\nNext update at 8am ET"), "", "2026-11-23 13:00"},
		"several times":  {write(title, "Identified", "It failed at 3pm ET. The bridge meets at 7am ET. Next update at 8am ET, sooner if fixed."), "", "2026-11-23 13:00"},
		"tomorrow":       {write(title, "Identified", "Next update tomorrow at 8am."), "", "2026-11-23 13:00"},
		"none":           {write(title, "Identified", "We restarted it at 3pm ET."), "", ""},
		"no more":        {write(title, "Identified", "There will be no further updates before 8am ET."), "", ""},
		"in code":        {write(title, "Identified", "x\n\n```\nnext update at 8am ET\n```"), "", ""},
		"tbd":            {write(title, "Identified", "x\n#### Next Update: TBD"), "", ""},
		"resolved":       {write(title, "Resolved", "x"), "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			k := known()
			k.Next = c.flag
			u, problems, warnings := resolve(c.src, k)
			if len(problems) > 0 {
				t.Fatal(problems)
			}
			if c.want == "" != u.Next.IsZero() || (c.want != "" && !u.Next.Equal(utc(c.want))) {
				t.Errorf("next %s, want %q", u.Next.UTC(), c.want)
			}
			unsaid := c.want == "" && u.Status != incident.Resolved
			if strings.Contains(warnings.Error(), "when the next one comes") != unsaid {
				t.Errorf("warnings %v", warnings)
			}
			k.RequireNext = true
			if _, problems, _ := resolve(c.src, k); (len(problems) > 0) != unsaid {
				t.Errorf("with require_next_update: %v", problems)
			}
		})
	}
}

func TestResolveIncident(t *testing.T) {
	closed := incident.Incident{ID: "INC-0", Customer: "enterprise-abc", Started: utc("2026-11-20 00:00"), Status: incident.Resolved, Seq: 7}
	other := incident.Incident{ID: "INC-9", Customer: "globex", Started: utc("2026-11-20 00:00"), Status: incident.Identified, Seq: 1}
	for name, c := range map[string]struct {
		open        int
		flag, front string
		id          string
		seq         int
		says        string // in problems if id is empty, else in warnings
	}{
		"new":           {0, "", "", "enterprise-abc-20261122-1", 1, ""},
		"the only one":  {1, "", "", "INC-1", 4, ""},
		"two":           {2, "", "", "", 0, "INC-1 (identified, since 22 November 11:25 EST) and INC-2 (investigating, since 22 November 17:25 EST)"},
		"flag":          {2, "INC-2", "", "INC-2", 2, ""},
		"front":         {2, "", "INC-2", "INC-2", 2, ""},
		"flag wins":     {2, "INC-1", "INC-2", "INC-1", 4, ""},
		"case":          {2, "inc-1", "", "INC-1", 4, ""},
		"new one":       {1, "new", "", "enterprise-abc-20261122-1", 1, ""},
		"by own id":     {1, "INC-77", "", "INC-77", 1, "To follow an open one, name INC-1."},
		"reopened":      {0, "INC-0", "", "INC-0", 8, "opens it again"},
		"someone's":     {0, "INC-9", "", "", 0, "INC-9 is Globex's"},
		"impossible id": {0, "", "a b", "", 0, "cannot be the id"},
	} {
		t.Run(name, func(t *testing.T) {
			k := known()
			k.Incident, k.Next = c.flag, "1h"
			k.Open = append(outages(c.open), other)
			k.Find = func(id string) (incident.Incident, bool) {
				return map[string]incident.Incident{"INC-0": closed}[id], id == "INC-0"
			}
			src := write("19:20 ET", "Identified", "#### Incident Time: 5h\nx")
			if c.front != "" {
				src = "---\nincident: " + c.front + "\n---\n" + src
			}
			u, problems, warnings := resolve(src, k)
			if c.id == "" {
				if len(problems) != 1 || !strings.Contains(problems.Error(), c.says) {
					t.Errorf("problems %v, want %q", problems, c.says)
				}
				return
			}
			if len(problems) > 0 || u.Incident != c.id || u.Seq != c.seq || !strings.Contains(warnings.Error(), c.says) {
				t.Errorf("%s seq %d, problems %v, warnings %v", u.Incident, u.Seq, problems, warnings)
			}
		})
	}
}

func TestResolveNewID(t *testing.T) {
	k := known()
	k.Find = func(id string) (incident.Incident, bool) {
		return incident.Incident{ID: id, Status: incident.Resolved}, id == "enterprise-abc-20261122-1"
	}
	src := write("19:20 ET", "Identified", "#### Incident Time: 1h\nx")
	if u, _, _ := resolve(src, k); u.Incident != "enterprise-abc-20261122-2" {
		t.Errorf("id %s, want the second of the day", u.Incident)
	}
	k.NewID = func(customer string, started time.Time) string { return customer + "." + started.UTC().Format("1504") }
	if u, _, _ := resolve(src, k); u.Incident != "enterprise-abc.2320" {
		t.Errorf("id %s, want NewID's", u.Incident)
	}
}

func TestResolveSeverity(t *testing.T) {
	k := known()
	k.Open = outages(1)
	bare := "### ABC outage - 19:20 ET update\n#### Status: Identified\nx"
	if u, _, _ := resolve(bare, k); u.Severity != 2 {
		t.Errorf("severity %d, want the incident's", u.Severity)
	}
	if u, _, _ := resolve(write("19:20 ET", "Identified", "x"), k); u.Severity != 1 {
		t.Errorf("severity %d, want the title's", u.Severity)
	}
	if u, _, _ := resolve("---\nseverity: sev3\n---\n"+bare, k); u.Severity != 3 {
		t.Errorf("severity %d, want the front matter's", u.Severity)
	}
}

// TestResolveProblems holds the messages about the sense of an update.
func TestResolveProblems(t *testing.T) {
	for name, c := range map[string]struct {
		src  string
		line int
		says []string
	}{
		"customer":        {"### Entreprise ABC SEV1 outage - 19:20 UTC update\n#### Status: Identified\nx", 1, []string{`no customer "Entreprise ABC"`, `Did you mean "Enterprise ABC"`}},
		"far customer":    {"### Initech SEV1 outage - 19:20 UTC update\n#### Status: Identified\nx", 1, []string{"Enterprise ABC and Globex"}},
		"two customers":   {"---\ncustomer: Globex\n---\n" + write("19:20 ET", "Identified", "x"), 2, []string{"Enterprise ABC", "Globex", "Keep one"}},
		"status":          {write("19:20 ET", "Fixed", "x"), 2, []string{`"Fixed"`, "Investigating, Identified, Monitoring or Resolved"}},
		"near status":     {write("19:20 ET", "Identifed", "x"), 2, []string{"Did you mean Identified?"}},
		"empty status":    {write("19:20 ET", "", "A longer sentence of summary stands here."), 2, []string{"status is empty"}},
		"zone":            {write("19:20 XT", "Identified", "x"), 1, []string{`no time zone "XT"`}},
		"date":            {write("2026-02-30 19:20", "Identified", "x"), 1, []string{"no date"}},
		"title time":      {write("initial", "Identified", "x"), 1, []string{`"initial" is not a time`}},
		"severity":        {"### ABC SEV9 outage - 19:20 UTC update\n#### Status: Identified\nx", 1, []string{"SEV9", "SEV1 to SEV5"}},
		"two severities":  {"---\nseverity: SEV2\n---\n" + write("19:20 ET", "Identified", "x"), 2, []string{"SEV1", "SEV2"}},
		"elapsed":         {write("19:20 ET", "Identified", "#### Incident Time: ages\nx"), 3, []string{`"ages" is not a length of time`, "9 hours"}},
		"started late":    {"---\nstarted: 2026-11-24 08:00\n---\n" + write("19:20 ET", "Identified", "x"), 2, []string{"cannot have started"}},
		"next":            {write("19:20 ET", "Identified", "x\n#### Next Update: soon"), 4, []string{"When is the next update?", `"soon"`}},
		"next before":     {write("19:20 ET", "Identified", "x\n#### Next Update: 2026-11-22 08:00"), 4, []string{"not after this one"}},
		"nothing said":    {write("19:20 ET", "Identified", "#### Technical Notes\nx"), 0, []string{"says nothing"}},
		"placeholder":     {write("19:20 ET", "Identified", "<summary of incident>"), 3, []string{"placeholder"}},
		"placeholder way": {write("<time>", "Identified", "x"), 1, []string{"placeholder"}},
		"key":             {"---\nkey: a b\n---\n" + write("19:20 ET", "Identified", "x"), 2, []string{"key", "printable"}},
		"form, too":       {"---\nfoo: 1\n---\n" + write("19:20 ET", "Identified", "x"), 2, []string{`"foo"`}},
	} {
		t.Run(name, func(t *testing.T) {
			k := known()
			_, problems, _ := resolve(c.src, k)
			if len(problems) != 1 {
				t.Fatalf("%d problems, want 1:\n%v", len(problems), problems)
			}
			p := problems[0]
			for _, s := range c.says {
				if p.Line != c.line || p.Remedy == "" || !strings.Contains(p.String(), s) {
					t.Errorf("%v; want line %d and %q", p, c.line, s)
				}
			}
		})
	}
}

func TestResolveAllProblemsAtOnce(t *testing.T) {
	src := "---\nfoo: 1\nkey: a b\nincident: \"?\"\n---\n### Nobody SEV7 outage - 25:00 update\n#### Status: Broken\n#### Incident Time: ages\n" +
		"#### Next Update: soon\n#### Technical Notes\ncaf\xe9\n"
	_, problems, _ := resolve(src, known())
	if len(problems) != 11 {
		t.Errorf("%d problems, want 11:\n%v", len(problems), problems)
	}
}

func TestResolveWarnings(t *testing.T) {
	k := known()
	k.Open = outages(1)
	for name, c := range map[string]struct {
		src, says string
		line      int
	}{
		"from the future":  {write("19:50 ET", "Identified", "Next update at 9pm ET."), "25 minutes ahead", 1},
		"out of order":     {write("17:20 ET", "Identified", "Next update at 9pm ET."), "before the incident's last update", 1},
		"season":           {write("7:20pm EDT", "Identified", "Next update at 9pm ET."), "EDT is not in force", 1},
		"promise passed":   {write("18:30 ET", "Identified", "Next update at 7pm ET."), "has passed", 3},
		"skipped by clock": {write("19:20 ET", "Identified", "x\n#### Next Update: 2027-03-14 02:30 ET"), "03:30 EDT (07:30 UTC)", 4},
		"shown twice":      {write("19:20 ET", "Identified", "x\n#### Next Update: 2027-11-07 01:30 ET"), "taken as the earlier", 4},
		"resolved":         {write("19:20 ET", "Resolved", "x\n#### Next Update: 8am ET"), "promises nothing", 4},
		"more than a time": {write("19:20 ET", "Identified", "x\n#### Next Update\n8am ET on the bridge with all teams"), "only the time", 5},
	} {
		t.Run(name, func(t *testing.T) {
			_, problems, warnings := resolve(c.src, k)
			if len(problems) > 0 || len(warnings) != 1 || !strings.Contains(warnings[0].What, c.says) || warnings[0].Line != c.line {
				t.Errorf("problems %v, warnings %v; want %q on line %d", problems, warnings, c.says, c.line)
			}
		})
	}
}
