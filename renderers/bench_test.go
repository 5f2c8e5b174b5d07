package renderers_test

import (
	"bytes"
	"testing"

	"sitrep/incident"
	"sitrep/renderers"
)

// BenchmarkRender renders the sample for each format. Goldmark alone, which only
// turns the same sections into HTML, is the yardstick.
func BenchmarkRender(b *testing.B) {
	set, u := renderers.Builtin(), sample(b, incident.Identified)
	for _, f := range formats() {
		b.Run(string(f), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := set.Render(renderers.Request{Update: u, Format: f, Audience: incident.Internal}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("goldmark alone", func(b *testing.B) {
		b.ReportAllocs()
		md := gfm()
		for b.Loop() {
			for _, s := range renderers.Visible(u, incident.Internal) {
				var out bytes.Buffer
				if err := md.Convert([]byte(s.Body), &out); err != nil {
					b.Fatal(err)
				}
			}
		}
	})
}
