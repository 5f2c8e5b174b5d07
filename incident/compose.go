package incident

import (
	"fmt"
	"strings"
	"time"
)

// Composition is what [Compose] fills in. Zero fields are left to the author, as
// placeholders that [Draft.Resolve] refuses to send.
type Composition struct {
	Party    Party
	Incident string    // id of the incident to follow; empty for a new one
	Severity Severity  // zero: SEV1
	At       time.Time // when the update will speak
	Started  time.Time // when the incident began
	Status   Status    // of the last update; empty: Investigating
	Next     time.Time // the promise; one that is not after At is left to the author
}

// Compose writes the template for an author to complete. Parse reads it without a
// problem, and its customer, times and status are understood as they were given.
func Compose(c Composition) string {
	var b strings.Builder
	name := c.titleName()
	c.front(&b, name)
	fmt.Fprintf(&b, "### %s %s outage - %s update\n\n", name, c.severity(), c.spoken(c.At))
	fmt.Fprintf(&b, "#### Status: %s\n\n", c.status().Title())
	fmt.Fprintf(&b, "#### Incident Time: %s\n\n", c.elapsed())
	b.WriteString("<summary of incident>\n\n")
	b.WriteString("#### Customer Impact\n\n<summary of customer impact>\n\n")
	b.WriteString("#### Technical Notes\n\n<summary of technical notes>\n\n")
	fmt.Fprintf(&b, "#### Next Update: %s\n", c.promised())
	return b.String()
}

// front writes what the title cannot say.
func (c Composition) front(b *strings.Builder, name string) {
	if c.Incident == "" && name == c.Party.Name {
		return
	}
	b.WriteString("---\n")
	if c.Incident != "" {
		fmt.Fprintf(b, "incident: %q\n", c.Incident)
	}
	if name != c.Party.Name {
		fmt.Fprintf(b, "customer: %q\n", c.Party.ID)
	}
	b.WriteString("---\n\n")
}

// titleName is the customer's name if a title with it reads back as the same, else
// its id; the front matter then names it beyond doubt.
func (c Composition) titleName() string {
	title := "### " + c.Party.Name + " SEV1 outage - 19:20 UTC update\n#### Status: Resolved\n"
	d, problems := Parse([]byte(title))
	if len(problems) == 0 && d.Customer.Text == c.Party.Name && d.Time.Text == "19:20 UTC" {
		return c.Party.Name
	}
	return c.Party.ID
}

func (c Composition) severity() Severity {
	if c.Severity == 0 {
		return 1
	}
	return c.Severity
}

func (c Composition) status() Status {
	if c.Status == "" {
		return Investigating
	}
	return c.Status
}

func (c Composition) elapsed() string {
	if c.Started.IsZero() {
		return "<number of hours since incident began>"
	}
	return Hours(c.At.Sub(c.Started))
}

func (c Composition) promised() string {
	if !c.Next.After(c.At) {
		return "<time of next update>"
	}
	if c.Next.Sub(c.At) < 20*time.Hour {
		return c.spoken(c.Next)
	}
	return c.Next.In(c.zone()).Format("2006-01-02 15:04 ") + c.zone().String()
}

// spoken is an instant as the team says it: "7:20pm ET", "19:20 UTC".
func (c Composition) spoken(t time.Time) string {
	zone := c.zone()
	t = t.In(zone)
	for _, name := range []string{"ET", "CT", "MT", "PT"} {
		if spokenZones[name].iana == zone.String() {
			return strings.Replace(t.Format("3:04pm "), ":00", "", 1) + name
		}
	}
	return t.Format("15:04 ") + zone.String()
}

func (c Composition) zone() *time.Location {
	if c.Party.Zone == nil || !named(c.Party.Zone) || c.Party.Zone == time.Local {
		return time.UTC
	}
	return c.Party.Zone
}
