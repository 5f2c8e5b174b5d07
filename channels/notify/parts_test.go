package notify

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestSplit(t *testing.T) {
	tests := []struct {
		text  string
		limit int
		want  string // parts, divided by |
	}{
		{"", 5, ""},
		{"short", 5, "short"},
		{"any length", 0, "any length"},
		{"one two\n\nthree four", 12, "one two|three four"},
		{"one two\nthree four", 12, "one two|three four"},
		{"one two three", 8, "one two|three"},
		{"äöüäöüäöü", 4, "äöüä|öüäö|ü"},
		{"a\n\nbcdefghij klm", 10, "a\n\nbcdefgh|ij klm"}, // not after "a": that would be a tiny part
		{strings.Repeat(" ", 20), 5, ""},
	}
	for _, tt := range tests {
		if got := strings.Join(split(tt.text, tt.limit), "|"); got != tt.want {
			t.Errorf("split(%q, %d) = %q, want %q", tt.text, tt.limit, got, tt.want)
		}
	}
}

func FuzzSplit(f *testing.F) {
	f.Add("one two\n\nthree four", 7)
	f.Add("äöü\n", 1)
	f.Add("\xff\xfe a", 2)
	f.Fuzz(func(t *testing.T, text string, limit int) {
		limit = limit%200 + 1
		if limit < 1 {
			return
		}
		parts := split(text, limit)
		for _, p := range parts {
			if utf8.RuneCountInString(p) > limit {
				t.Errorf("%q has more than %d runes", p, limit)
			}
		}
		bare := func(s string) string { return strings.NewReplacer(" ", "", "\n", "").Replace(s) }
		if bare(strings.Join(parts, "")) != bare(text) {
			t.Errorf("%q became %q", text, parts)
		}
	})
}
