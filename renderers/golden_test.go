package renderers_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"sitrep/channels"
	"sitrep/incident"
	"sitrep/renderers"
)

var update = flag.Bool("update", false, "write the golden files anew")

// zone fails the test if the machine has no time zones.
func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	z, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

// sample is an update as the team writes it, with everything a section can hold.
func sample(t testing.TB, status incident.Status) incident.Update {
	at := time.Date(2026, 11, 23, 0, 20, 0, 0, time.UTC)
	u := incident.Update{
		Key: "k", Incident: "enterprise-abc-20261122-1", Customer: "enterprise-abc",
		CustomerName: "Enterprise ABC", Severity: 1, Seq: 3, Status: status,
		At: at, Started: at.Add(-9 * time.Hour), Next: at.Add(12*time.Hour + 40*time.Minute),
		Zone: zone(t, "America/New_York"),
		Summary: "Engineering found the cause: a **certificate** of the session store had expired, and\n" +
			"the proxies refuse to talk to it. See [the plan](https://wiki.example.com/plan_(v2)?a=1&b=2).\n\n" +
			"Next update will be shared at 8am ET.\nThanks to @jane and *everybody* on the bridge, @channel!\n\n" +
			"1. east is done\n2. west is under way\n   - db-1\n   - db-2, which took far longer than anybody who planned this had expected it to take\n3. ~~north~~ is cancelled\n\n" +
			"- [x] tell the customer\n- [ ] tell the world\n",
		CustomerImpact: "Nobody in *Enterprise ABC* can sign in. Their director of operations, John Smith, decided:\n\n" +
			"> We can live with a read-only console until noon.\n>\n> > And not longer.\n\n" +
			"| Region | Users | State since |\n|:--|--:|---|\n| east | 1,204 | back, `7:05 pm` |\n| west \\| south | 987 | down, 10:20 am; we expect the first of them to be back within the hour |\n",
		TechnicalNotes: "The proxies log `x509: certificate has expired`. The query we watch is\n" +
			"sum(rate(http_requests_total{instance=~\"$server\",method=\"GET\"}[5m])) and this:\n\n" +
			"```promql\nmax by (job) (probe_ssl_earliest_cert_expiry{job=~\"a|b\"}) - time() < 86400\n```\n\n" +
			"#### Plan\n\n* dev, uat: v7.8.6 now\n* prod: after approval in https://chat.example.com/ops/pl/x1y2 by ops@example.com\n\n" +
			"<b>not bold</b> & 1 < 2\n",
		PublicSummary: "Some users cannot sign in. We have found the cause and are restoring the service.",
		Other:         []incident.Section{{Heading: "Lessons", Body: "Watch *all* certificates.", Line: 40}},
		Lines:         map[string]int{incident.SectionSummary: 7, incident.SectionTechnical: 20},
	}
	if status == incident.Resolved {
		u.Next = time.Time{}
	}
	return u
}

func render(t testing.TB, r renderers.Request) channels.Message {
	t.Helper()
	got, err := renderers.Builtin().Render(r)
	if err != nil {
		t.Fatalf("Render: %v", err)
	}
	if got.Fallback != nil {
		t.Fatalf("Fallback: %v", got.Fallback)
	}
	return got.Message
}

func TestGolden(t *testing.T) {
	for _, status := range incident.Statuses() {
		for _, audience := range incident.Audiences() {
			for _, format := range formats() {
				name := filepath.Join(string(format), string(status)+"-"+string(audience))
				t.Run(name, func(t *testing.T) {
					m := render(t, renderers.Request{Update: sample(t, status), Format: format, Audience: audience})
					compare(t, name, m)
				})
			}
		}
	}
}

func formats() []channels.Format {
	return []channels.Format{
		channels.FormatText, channels.FormatEmail, channels.FormatMattermost, channels.FormatPage, channels.FormatChat,
	}
}

func compare(t *testing.T, name string, m channels.Message) {
	t.Helper()
	if m.Text != "" {
		text := m.Text
		if m.Subject != "" {
			text = "Subject: " + m.Subject + "\n\n" + text
		}
		golden(t, name+".txt", []byte(text))
	}
	if m.HTML != "" {
		golden(t, name+".html", []byte(m.HTML))
	}
	if m.Payload != nil {
		var pretty bytes.Buffer
		if err := json.Indent(&pretty, m.Payload, "", "  "); err != nil {
			t.Fatal(err)
		}
		pretty.WriteByte('\n')
		golden(t, name+".json", pretty.Bytes())
	}
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", "golden", name)
	if *update {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s differs (%v; go test -update writes it anew); got:\n%s", file, err, got)
	}
}
