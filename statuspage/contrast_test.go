package statuspage_test

import (
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"sitrep/statuspage"
)

// TestContrast computes WCAG 2.2's contrast ratio (success criterion 1.4.3, level
// AA: 4.5 to 1 for text) for every pair of colours the page uses, light, dark and
// printed.
func TestContrast(t *testing.T) {
	css, err := statuspage.Style()
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile(`(?s):root \{(.*?)\}`).FindAllStringSubmatch(css, -1)
	if len(blocks) != 3 {
		t.Fatalf("%d sets of colours, want light, dark and print", len(blocks))
	}
	light := colours(t, blocks[0][1], nil)
	schemes := map[string]map[string]string{
		"light": light, "dark": colours(t, blocks[1][1], light), "print": colours(t, blocks[2][1], light),
	}
	for name, c := range schemes {
		for _, pair := range pairs() {
			if r := contrast(t, c[pair[0]], c[pair[1]]); r < 4.5 {
				t.Errorf("%s: %s %s on %s %s has %.2f, want 4.5", name, pair[0], c[pair[0]], pair[1], c[pair[1]], r)
			}
		}
	}
}

// pairs are text and background.
func pairs() [][2]string {
	all := [][2]string{
		{"link", "code"},
		{"text", "code"},
		{"muted", "bg"},
		{"muted", "card"},
		{"text", "monitoring-bg"},
		{"text", "identified-bg"},
		{"text", "other-bg"},
		{"link", "monitoring-bg"},
		{"link", "identified-bg"},
	}
	for _, text := range []string{"text", "link"} {
		all = append(all, [2]string{text, "bg"}, [2]string{text, "card"})
	}
	for _, s := range []string{"investigating", "identified", "monitoring", "resolved", "other"} {
		all = append(all, [2]string{s, s + "-bg"}, [2]string{s, "card"})
	}
	return all
}

func colours(t *testing.T, block string, base map[string]string) map[string]string {
	t.Helper()
	found := map[string]string{}
	for k, v := range base {
		found[k] = v
	}
	for _, m := range regexp.MustCompile(`--([a-z-]+): (#[0-9a-f]{6});`).FindAllStringSubmatch(block, -1) {
		found[m[1]] = m[2]
	}
	if n := strings.Count(block, "--"); n == 0 {
		t.Fatal("no colours")
	}
	return found
}

func contrast(t *testing.T, a, b string) float64 {
	t.Helper()
	x, y := luminance(t, a), luminance(t, b)
	return (max(x, y) + .05) / (min(x, y) + .05)
}

// luminance is WCAG 2.2's relative luminance of an sRGB colour.
func luminance(t *testing.T, hex string) float64 {
	t.Helper()
	if len(hex) != 7 {
		t.Fatalf("%q is not a colour", hex)
	}
	sum := 0.0
	for i, weight := range []float64{.2126, .7152, .0722} {
		v, err := strconv.ParseUint(hex[1+2*i:3+2*i], 16, 8)
		if err != nil {
			t.Fatal(err)
		}
		c := float64(v) / 255
		if c <= .04045 {
			c /= 12.92
		} else {
			c = math.Pow((c+.055)/1.055, 2.4)
		}
		sum += weight * c
	}
	return sum
}

// TestOnlyNamedColours holds the test above to the whole style sheet: a colour
// outside the sets would not be seen by it.
func TestOnlyNamedColours(t *testing.T) {
	css, err := statuspage.Style()
	if err != nil {
		t.Fatal(err)
	}
	rest := regexp.MustCompile(`(?s):root \{.*?\}`).ReplaceAllString(css, "")
	for _, m := range regexp.MustCompile(`(?m)\b(color|background)(-color)?:[^;]*#[0-9a-f]{3,8}`).FindAllString(rest, -1) {
		t.Errorf("%q names a colour", m)
	}
	if strings.Contains(css, "http") && strings.Contains(css, "url(") {
		t.Error("the style fetches something")
	}
}
