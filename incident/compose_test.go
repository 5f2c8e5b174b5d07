package incident_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"strings"
	"testing"
	"time"

	"sitrep/incident"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func TestComposeGolden(t *testing.T) {
	got := []byte(incident.Compose(incident.Composition{
		Party: known().Parties[0], Incident: "INC-1", Severity: 1, At: utc("2026-11-23 00:20"), Started: utc("2026-11-22 15:20"),
		Status: incident.Identified, Next: utc("2026-11-23 13:00"),
	}))
	const file = "testdata/composed.golden.md"
	if *update {
		if err := os.WriteFile(file, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s differs (%v); got:\n%s", file, err, got)
	}
}

// TestComposeReadsBack: whatever the customer is called, the template that new
// prints is read without a problem, refuses to be sent unfilled, and means what
// was put in once it is filled in.
func TestComposeReadsBack(t *testing.T) {
	at := utc("2026-11-23 00:20")
	for _, name := range []string{"Enterprise ABC", "A - B", "SEV1 Corp", "Outage Inc", "Status", "**Bold**", "Ünïcode: AG", "#1 Shop", "---", "update"} {
		for _, z := range []string{"America/New_York", "Europe/Madrid", "UTC"} {
			k := known()
			k.Parties = []incident.Party{{ID: "the-id", Name: name, Zone: zone(z)}}
			c := incident.Composition{Party: k.Parties[0], Incident: "INC-1", At: at, Started: at.Add(-9 * time.Hour), Status: incident.Monitoring, Next: at.Add(12 * time.Hour)}
			src := incident.Compose(c)
			d, problems := incident.Parse([]byte(src))
			if len(problems) > 0 {
				t.Fatalf("%s in %s: %v\n%s", name, z, problems, src)
			}
			if _, problems, _ := d.Resolve(k); len(problems) != 3 {
				t.Errorf("%s in %s: unfilled, it has problems %v", name, z, problems)
			}
			d, _ = incident.Parse([]byte(strings.NewReplacer("<summary of incident>", "x", "<summary of customer impact>", "y", "<summary of technical notes>", "z").Replace(src)))
			u, problems, _ := d.Resolve(k)
			if len(problems) > 0 || u.Customer != "the-id" || u.Incident != "INC-1" || u.Status != incident.Monitoring ||
				!u.At.Equal(at) || !u.Started.Equal(c.Started) || !u.Next.Equal(c.Next) {
				t.Errorf("%s in %s: problems %v, update %+v\n%s", name, z, problems, u, src)
			}
		}
	}
}

func TestComposeBare(t *testing.T) {
	src := incident.Compose(incident.Composition{Party: incident.Party{ID: "x", Name: "X"}, At: utc("2026-11-23 00:20")})
	for _, part := range []string{"### X SEV1 outage - 00:20 UTC update", "Status: Investigating", "<number of hours since incident began>", "<time of next update>"} {
		if !strings.Contains(src, part) {
			t.Errorf("no %q in:\n%s", part, src)
		}
	}
	if _, problems := incident.Parse([]byte(src)); len(problems) > 0 {
		t.Error(problems)
	}
}

// TestUpdateJSON: the record keeps everything, the zone too.
func TestUpdateJSON(t *testing.T) {
	u, problems, _ := resolve(string(source(t, "pasted.md")), known())
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	data, err := json.Marshal(u)
	if err != nil {
		t.Fatal(err)
	}
	var back incident.Update
	if err := json.Unmarshal(data, &back); err != nil {
		t.Fatal(err)
	}
	again, err := json.Marshal(back)
	if err != nil || !bytes.Equal(data, again) || back.Zone.String() != "America/New_York" || !back.At.Equal(u.At) {
		t.Errorf("%v: %s\nbecame %s", err, data, again)
	}
	if err := json.Unmarshal([]byte(`{"Zone":"Nowhere/Land"}`), &back); err == nil {
		t.Error("an unknown zone was accepted")
	}
}

func TestValidate(t *testing.T) {
	good := incident.Update{
		Key: "k", Incident: "INC-1", Customer: "c", Seq: 1, Status: incident.Identified, Summary: "x",
		At: utc("2026-11-22 10:00"), Started: utc("2026-11-22 09:00"), Zone: time.UTC,
	}
	if p := good.Validate(); p.Err() != nil {
		t.Fatal(p)
	}
	for name, spoil := range map[string]func(*incident.Update){
		"key":        func(u *incident.Update) { u.Key = "a\nb" },
		"incident":   func(u *incident.Update) { u.Incident = "../x" },
		"customer":   func(u *incident.Update) { u.Customer = "" },
		"severity":   func(u *incident.Update) { u.Severity = 6 },
		"seq":        func(u *incident.Update) { u.Seq = 0 },
		"status":     func(u *incident.Update) { u.Status = "fixed" },
		"says none":  func(u *incident.Update) { u.Summary = " \n" },
		"no time":    func(u *incident.Update) { u.At = time.Time{} },
		"no start":   func(u *incident.Update) { u.Started = time.Time{} },
		"start late": func(u *incident.Update) { u.Started = u.At.Add(time.Hour) },
		"next early": func(u *incident.Update) { u.Next = u.At },
		"zone":       func(u *incident.Update) { u.Zone = nil },
		"nul":        func(u *incident.Update) { u.TechnicalNotes = "a\x00" },
		"not utf8":   func(u *incident.Update) { u.Other = []incident.Section{{Heading: "\xff"}} },
	} {
		bad := good
		spoil(&bad)
		if p := bad.Validate(); len(p) != 1 {
			t.Errorf("%s: %v, want one problem", name, p)
		}
	}
}
