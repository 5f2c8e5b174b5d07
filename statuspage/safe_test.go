package statuspage_test

import (
	"strings"
	"testing"
	"unicode"

	"golang.org/x/net/html"

	"sitrep/statuspage"
)

func TestSafe(t *testing.T) {
	tests := []struct{ name, body, want string }{
		{"plain", "<p>a <strong>b</strong></p>", "<p>a <strong>b</strong></p>"},
		{"script", "<p>a</p><script>alert(1)</script>", "<p>a</p>"},
		{"handler", `<p onclick="x" style="position:fixed" class="top" id="main">a</p>`, "<p>a</p>"},
		{"unclosed", "<p>a <s>b", "<p>a <s>b</s></p>"},
		{"unclosed link", `<a href="https://x.example">all of it`, `<a href="https://x.example" rel="nofollow noreferrer">all of it</a>`},
		{"closing too much", "</div></li></main>a", "a"},
		{"javascript", `<a href="javascript:x">a</a><a href=" jaVaScript&#58;x">b</a>`, "ab"},
		{"data", `<a href="data:text/html,x">a</a>`, "a"},
		{"relative", `<a href="/c/x">a</a>`, "a"},
		{"mail", `<a href="mailto:a@b.example">a</a>`, `<a href="mailto:a@b.example" rel="nofollow noreferrer">a</a>`},
		{"image", `<p>a<img src="https://x.example/1.gif"></p>`, "<p>a</p>"},
		{"svg", `<svg><style><img src=x onerror=alert(1)></style></svg>`, ""},
		{"form", `<form action="https://x.example"><input name="password"></form>`, ""},
		{"frame", `<iframe srcdoc="<script>x</script>"></iframe>`, ""},
		{"base", `<base href="https://x.example"><meta http-equiv="refresh" content="0">`, ""},
		{"headings", "<h1>a</h1><h4>b</h4>", "<h5>a</h5><h5>b</h5>"},
		{"turned", "<p>a\u202eb</p>", "<p>ab</p>"},
		{"code", "<pre><code>a</code></pre>", `<pre role="group" aria-label="Code" tabindex="0"><code>a</code></pre>`},
		{"code with more", `<pre tabindex="5" role="alert" aria-label="x">a</pre>`, `<pre role="group" aria-label="Code" tabindex="0">a</pre>`},
		{
			"table", "<table><thead><tr><th align=\"right\">a</th></tr></thead></table><p>b</p>",
			`<div class="scroll" role="group" aria-label="Table" tabindex="0"><table><thead><tr><th align="right">a</th></tr></thead></table></div><p>b</p>`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := statuspage.Safe(tt.body, "", 4); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestSafeFallsBackToText(t *testing.T) {
	deep := strings.Repeat("<blockquote>", 5000) + "x"
	got := statuspage.Safe(deep, "what was <said>", 4)
	if len(got) > 1<<20 || strings.Contains(got, "<said>") {
		t.Errorf("%d bytes: %.200s", len(got), got)
	}
}

// harmless is everything that may be in a body.
const harmless = " p br hr strong b em i s del code pre blockquote ul ol li dl dt dd h5 table thead tbody tr th td a div "

func FuzzSafe(f *testing.F) {
	for _, seed := range []string{
		"<p>a</p>", "<s>", "</table></div>", "<a href='https://x.example'>", "<table><td><table><h1>", "<svg><p><style><!--</style><img src=x>",
		"<math><mtext><table><mglyph><style><!--</style>", "<p>\x00\u202e", "<!--><script>", "<a href=\"j\tavascript:x\">", "<b><a><b></a>",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		got := statuspage.Safe(body, body, 4)
		z := html.NewTokenizer(strings.NewReader(got))
		var open []string
		for kind := z.Next(); kind != html.ErrorToken; kind = z.Next() {
			token := z.Token()
			switch kind {
			case html.CommentToken, html.DoctypeToken:
				t.Fatalf("%v in %q", kind, got)
			case html.StartTagToken, html.SelfClosingTagToken:
				checkTag(t, token, got)
				if token.Data != "br" && token.Data != "hr" {
					open = append(open, token.Data)
				}
			case html.EndTagToken:
				if len(open) == 0 || open[len(open)-1] != token.Data {
					t.Fatalf("</%s> closes %v in %q", token.Data, open, got)
				}
				open = open[:len(open)-1]
			default:
			}
		}
		if len(open) != 0 {
			t.Fatalf("%v left open in %q", open, got)
		}
	})
}

func checkTag(t *testing.T, token html.Token, got string) {
	t.Helper()
	if !strings.Contains(harmless, " "+token.Data+" ") {
		t.Fatalf("<%s> in %q", token.Data, got)
	}
	for _, a := range token.Attr {
		switch a.Key {
		case "href":
			v := strings.ToLower(a.Val)
			if !strings.HasPrefix(v, "http:") && !strings.HasPrefix(v, "https:") && !strings.HasPrefix(v, "mailto:") {
				t.Fatalf("a link to %q in %q", a.Val, got)
			}
		case "rel", "align", "start", "class", "role", "aria-label", "tabindex":
		default:
			t.Fatalf("the attribute %s in %q", a.Key, got)
		}
	}
}

func FuzzLine(f *testing.F) {
	for _, seed := range []string{"a b", "a\r\nb", "\u202ea\u2069", "\x00\u2028", "ä\u200d🙂"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, r := range statuspage.Line(s) {
			if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || r == '\u202e' {
				t.Fatalf("%q has %U", statuspage.Line(s), r)
			}
		}
	})
}
