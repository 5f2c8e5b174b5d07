package renderers

import (
	"strings"

	"sitrep/incident"
)

// VisibleSection is a section an audience may see.
type VisibleSection struct {
	Name    string // incident.SectionSummary, …, or the heading of one of Update.Other
	Heading string // what a reader sees above it
	Body    string // Markdown as the author wrote it: hostile text
	Line    int    // 1-based source line where the body begins, 0 if unknown
}

// Visible is the audience firewall, the only place that decides what an audience
// sees:
//
//   - [incident.Internal] sees every section, those of unknown name included;
//   - [incident.Customer] and [incident.Public] see the customer impact, and the
//     public summary or, only where there is none, the summary;
//   - anything that is not an audience sees nothing.
//
// Sections without text are left out. The order is the order of reading.
func Visible(u incident.Update, a incident.Audience) []VisibleSection {
	switch a {
	case incident.Internal:
		return present(append(known(u), other(u)...))
	case incident.Customer, incident.Public:
		return present([]VisibleSection{outward(u), impact(u)})
	default:
		return nil
	}
}

func known(u incident.Update) []VisibleSection {
	return []VisibleSection{
		section(u, incident.SectionSummary, u.Summary),
		impact(u),
		section(u, incident.SectionTechnical, u.TechnicalNotes),
		section(u, incident.SectionPublic, u.PublicSummary),
	}
}

func other(u incident.Update) []VisibleSection {
	var all []VisibleSection
	for _, s := range u.Other {
		line := u.Lines[s.Heading]
		if line == 0 && s.Line > 0 {
			line = s.Line + 1
		}
		all = append(all, VisibleSection{Name: s.Heading, Heading: s.Heading, Body: s.Body, Line: line})
	}
	return all
}

// outward is the summary for everybody outside. Readers outside do not learn that
// there are two summaries.
func outward(u incident.Update) VisibleSection {
	if strings.TrimSpace(u.PublicSummary) == "" {
		return section(u, incident.SectionSummary, u.Summary)
	}
	s := section(u, incident.SectionPublic, u.PublicSummary)
	s.Heading = incident.SectionSummary
	return s
}

func impact(u incident.Update) VisibleSection {
	return section(u, incident.SectionImpact, u.CustomerImpact)
}

func section(u incident.Update, name, body string) VisibleSection {
	return VisibleSection{Name: name, Heading: name, Body: body, Line: u.Lines[name]}
}

func present(all []VisibleSection) []VisibleSection {
	var some []VisibleSection
	for _, s := range all {
		if strings.TrimSpace(s.Body) != "" {
			some = append(some, s)
		}
	}
	return some
}
