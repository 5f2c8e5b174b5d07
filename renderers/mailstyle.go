package renderers

import (
	"html/template"
	"strconv"
	"strings"
	"unicode/utf8"
)

// mailAttrs is what the elements of a section get in e-mail. Every style is written
// in the element, because many mail programs drop style sheets; the class only lets
// the style sheet of those that keep it change colours for a dark ground.
func mailAttrs() map[string]string {
	head := ` class="ink" style="margin:22px 0 8px;color:#131a26;font-size:16px;line-height:24px"`
	list := ` style="margin:0 0 16px;padding:0 0 0 24px"`
	return map[string]string{
		"p":  ` style="margin:0 0 16px"`,
		"h3": head, "h4": head, "h5": head, "h6": head,
		"ul": list, "ol": list,
		"nested":     ` style="margin:6px 0 0;padding:0 0 0 22px"`, // a list in a list
		"li":         ` style="margin:0 0 6px"`,
		"a":          ` class="link" style="color:#175cd3;text-decoration:underline"`,
		"hr":         ` class="edge" style="margin:22px 0;border:0;border-top:1px solid #dde2ea"`,
		"blockquote": ` class="soft edge" style="margin:0 0 16px;padding:0 0 0 14px;border-left:3px solid #dde2ea;color:#4a5568"`,
		"code":       ` class="fill" style="padding:1px 4px;background-color:#eef1f5;border-radius:4px;color:#131a26;font-family:Consolas,Menlo,monospace;font-size:14px"`,
		"pre":        ` class="fill edge" style="margin:0 0 16px;padding:12px 14px;background-color:#eef1f5;border:1px solid #dde2ea;border-radius:8px;color:#131a26;font-family:Consolas,Menlo,monospace;font-size:13px;line-height:20px;white-space:pre-wrap;word-break:break-word"`,
		"table":      ` width="100%" cellpadding="0" cellspacing="0" border="0" style="margin:0 0 16px;border-collapse:collapse;font-size:14px;line-height:20px"`,
		"div":        ` style="overflow-x:auto"`,
		"th":         ` class="cell fill edge" style="padding:8px 10px;word-break:normal;overflow-wrap:break-word;background-color:#eef1f5;border:1px solid #dde2ea;color:#131a26"`,
		"td":         ` class="cell edge" style="padding:8px 10px;word-break:normal;overflow-wrap:break-word;border:1px solid #dde2ea;vertical-align:top"`,
	}
}

// pageAttrs is what they get on the status page, whose style sheet does the rest.
func pageAttrs() map[string]string {
	return map[string]string{"div": ` class="table"`}
}

// Outlook for Windows draws with Word's engine: it knows no max-width and reads
// instructions from comments that html/template would drop. These are constants, so
// that no data can reach an unescaped place.
const (
	outlookHead  template.HTML = "<!--[if mso]><xml><o:OfficeDocumentSettings><o:AllowPNG/><o:PixelsPerInch>96</o:PixelsPerInch></o:OfficeDocumentSettings></xml><style>table{border-collapse:collapse;mso-table-lspace:0;mso-table-rspace:0}td,th,p,h1,h2,h3,h4,li{font-family:'Segoe UI',Arial,sans-serif !important;mso-line-height-rule:exactly}</style><![endif]-->"
	outlookOpen  template.HTML = `<!--[if mso]><table role="presentation" width="600" align="center" cellpadding="0" cellspacing="0" border="0"><tr><td><![endif]-->`
	outlookClose template.HTML = `<!--[if mso]></td></tr></table><![endif]-->`
)

// inboxPadding keeps an inbox from showing the beginning of the mail after a short
// preheader.
func inboxPadding() template.HTML {
	return template.HTML(strings.Repeat("&#847;&zwnj;&nbsp;", 40)) // a constant
}

// asciiHTML is s as HTML, with references for what is not ASCII. With it in the places where
// sitrep's own words have such characters, the mail of an update in ASCII is ASCII, and
// travels as it is: readable in its source, and a tenth shorter than as quoted-printable.
func asciiHTML(s string) template.HTML {
	var b strings.Builder
	for _, r := range template.HTMLEscapeString(s) {
		if r < utf8.RuneSelf {
			b.WriteRune(r)
		} else {
			b.WriteString("&#" + strconv.Itoa(int(r)) + ";")
		}
	}
	return template.HTML(b.String()) //nolint:gosec // it was escaped
}
