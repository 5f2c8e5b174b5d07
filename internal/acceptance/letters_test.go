package acceptance_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// rendered is a mail as preview shows it: what is sent, byte for byte.
type rendered struct {
	name     string // of the update, and whom the mail is for
	audience string
	text     string
	html     string
}

// update is one update that mails are made of.
type update struct{ name, source string }

// statuses are all the statuses there are, in order.
var statuses = []string{"Investigating", "Identified", "Monitoring", "Resolved"}

// ordinaryUpdates are the updates of one incident as people write them, one for each
// status.
func ordinaryUpdates() []update {
	all := make([]update, len(statuses))
	for i, status := range statuses {
		all[i] = update{strings.ToLower(status), ordinary(status)}
	}
	return all
}

// awkwardUpdates are of the kinds that break layouts.
func awkwardUpdates() []update {
	return []update{
		{"little", brief("Investigating", "We are looking into it. Write to [the support](mailto:support@status.example).", "None.", "None.")},
		{"long words", brief("Identified", awkward[3]+" https://status.example/"+strings.Repeat("path/", 40),
			strings.Repeat("W", 120)+"\n\n- "+strings.Repeat("ab", 90), "`"+strings.Repeat("code", 40)+"`")},
		{"tables", brief("Monitoring", wideTable, wideTable, wideTable)},
		{"code", brief("Identified", "Set `"+strings.Repeat("x=1;", 30)+"`:\n\n```\n"+strings.Repeat("a long line of code ", 12)+"\n\tand a tab\n```",
			"> quoted\n>\n> > and again\n\n1. one\n   - inner\n     - innermost", "```promql\nsum(rate(x[5m]))\n```")},
		{"other scripts", brief("Identified", "الخدمة متوقفة منذ الساعة ٩ مساءً.\n\n影響を調査しています。次の更新は一時間後です。 🚒🔥👩‍👩‍👧‍👦",
			"- לא ניתן להתחבר\n- Нельзя войти\n\n| منطقة | حالة |\n|---|---|\n| شرق | متوقفة |", "किसी को भी")},
		{"hostile", hostile},
	}
}

const wideTable = `| Service | Region | State | Since | Next | Owner | What is being done about it, in some detail |
|:--|:-:|--:|---|---|---|---|
| sign-in | eu-central-1 | **degraded** | 10:04 | 11:00 | platform | the previous version is being restored, site by site |
| unbreakable_name_of_a_service_that_nobody_shortened | us-east-1 | working | | | | nothing |`

func brief(status, summary, impact, notes string) string {
	return "### Enterprise ABC SEV1 outage\n\n#### Status: " + status + "\n\n#### Incident Time: 9 hours\n\n" + summary +
		"\n\nNext update will be shared at 8:30pm ET.\n\n#### Customer Impact\n\n" + impact + "\n\n#### Technical Notes\n\n" + notes + "\n"
}

// ordinary is an update of the length that most have.
func ordinary(status string) string {
	return brief(status, "Sign-in fails for about **40 %** of users since an upgrade of the load balancers this morning. "+
		"The cause is known, and the previous version is being restored [site by site](https://status.example/plan).",
		`- New sessions: four in ten fail with "Service unavailable"; trying again helps.
- Existing sessions and mobile push are **not** affected.

| Site | Working |
|------|---------|
| East | yes     |
| West | half    |`,
		"The new balancer image drops keep-alive on long polls. Rolling back v7.8.6 to v7.8.5, `uat` first, then `prod`.\n\n"+
			"    sum(rate(http_requests_total{instance=~\"$server\",method=\"GET\"}[5m]))\n\n> We saw it in the canary, too.\n")
}

// lettersOf renders updates as mail, to every audience.
func lettersOf(t *testing.T, updates []update) []rendered {
	t.Helper()
	h := newHome(t, `
ledger: sqlite://ledger.db
channels:
  - {id: mail, kind: email, host: "127.0.0.1:1", from: status@status.example}
customers:
  - id: enterprise-abc
    name: Enterprise ABC
    public_name: a large customer
    zone: America/New_York
    lists:
      - {id: war-room, audience: internal, to: [{mail: [ops@status.example]}]}
      - {id: contacts, audience: customer, to: [{mail: [alice@abc.example]}]}
      - {id: public, audience: public, to: [{mail: [all@public.example]}]}
`)
	var all []rendered
	for _, u := range updates {
		h.write(t, "update.md", u.source)
		r := h.sitrep(t, "preview", "--json", "update.md")
		var said struct {
			Renderings []struct{ Audience, Text, HTML string }
		}
		if err := json.Unmarshal([]byte(r.out), &said); err != nil || len(said.Renderings) != 3 {
			t.Fatalf("%s: three renderings wanted: %v %.2000v", u.name, err, r)
		}
		for _, m := range said.Renderings {
			all = append(all, rendered{u.name + " " + m.Audience, m.Audience, m.Text, m.HTML})
		}
	}
	return all
}

// reminders are the mails that remind our own people of a promised update, of which
// there is no preview: the files that the tests of the renderers hold them to.
func reminders(t *testing.T) []rendered {
	t.Helper()
	dir := filepath.Join(root, "renderers", "testdata", "golden", "reminder")
	files, err := filepath.Glob(filepath.Join(dir, "email-*.html"))
	if err != nil || len(files) == 0 {
		t.Fatalf("there are no reminders in %s (%v)", dir, err)
	}
	all := make([]rendered, len(files))
	for i, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".html")
		html, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(strings.TrimSuffix(file, "html") + "txt")
		if err != nil {
			t.Fatal(err)
		}
		all[i] = rendered{strings.Replace(name, "email-", "reminder ", 1), "internal", string(text), string(html)}
	}
	return all
}

// writeLetters puts mails into a folder, each in a file of its own, and returns it.
func writeLetters(t *testing.T, letters []rendered) string {
	t.Helper()
	dir := t.TempDir()
	for _, l := range letters {
		if err := os.WriteFile(filepath.Join(dir, l.file()), []byte(l.html), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func (l rendered) file() string { return strings.ReplaceAll(l.name, " ", "-") + ".html" }
