package renderers_test

import (
	"strings"
	"testing"

	"sitrep/incident"
	"sitrep/renderers"
)

func TestVisible(t *testing.T) {
	full := incident.Update{
		Summary: "s", CustomerImpact: "i", TechnicalNotes: "t", PublicSummary: "p",
		Other: []incident.Section{{Heading: "Lessons", Body: "o", Line: 30}},
		Lines: map[string]int{incident.SectionPublic: 9},
	}
	inner := full
	inner.PublicSummary = " \n"
	for _, c := range []struct {
		update   incident.Update
		audience incident.Audience
		want     string
	}{
		{full, incident.Internal, "Summary=s Customer Impact=i Technical Notes=t Public Summary=p Lessons=o"},
		{full, incident.Customer, "Summary=p Customer Impact=i"},
		{full, incident.Public, "Summary=p Customer Impact=i"},
		{inner, incident.Customer, "Summary=s Customer Impact=i"},
		{inner, incident.Public, "Summary=s Customer Impact=i"},
		{full, "", ""},
		{full, "Internal", ""},
		{incident.Update{TechnicalNotes: "t"}, incident.Public, ""},
	} {
		var got []string
		for _, s := range renderers.Visible(c.update, c.audience) {
			got = append(got, s.Heading+"="+s.Body)
		}
		if g := strings.Join(got, " "); g != c.want {
			t.Errorf("%s sees %q, want %q", c.audience, g, c.want)
		}
	}
	if s := renderers.Visible(full, incident.Customer)[0]; s.Name != incident.SectionPublic || s.Line != 9 {
		t.Errorf("the outward summary is %+v", s)
	}
	if s := renderers.Visible(full, incident.Internal)[4]; s.Line != 31 {
		t.Errorf("the other section is %+v", s)
	}
}

func TestRenderRefuses(t *testing.T) {
	good := renderers.Request{Update: sample(t, incident.Identified), Format: "text", Audience: incident.Internal}
	for name, spoil := range map[string]func(*renderers.Request){
		"audience": func(r *renderers.Request) { r.Audience = "" },
		"format":   func(r *renderers.Request) { r.Format = "fax" },
		"status":   func(r *renderers.Request) { r.Update.Status = "unknown" },
	} {
		r := good
		spoil(&r)
		if _, err := renderers.Builtin().Render(r); err == nil || !strings.Contains(err.Error(), name) && name != "format" {
			t.Errorf("%s: %v", name, err)
		}
	}
}
