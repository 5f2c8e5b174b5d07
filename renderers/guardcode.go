package renderers

import (
	"regexp"
	"strings"
	"unicode"
)

// Functions of PromQL that are not everyday English, for what is a query without
// any braces.
const promFunctions = `(?:i?rate|increase|i?delta|deriv|resets|changes|histogram_quantile|quantile_over_time|(?:sum|avg|min|max|count)_over_time|` +
	`label_(?:replace|join)|predict_linear|topk|bottomk|absent(?:_over_time)?|clamp_(?:min|max)|count_values|group_left|group_right)`

// notArticle is a name that may follow FROM in SQL; in English an article does.
const notArticle = `(?:[b-np-su-z_"\[\d]\w*|a\w{2,}|o[^u\s]\w*|t[^h\s]\w*)`

var (
	// guardQueries are the query languages of monitoring, logs and databases.
	guardQueries = []guardPattern{
		newGuardPattern("{", `[\w:]*\{\s*[\w.]+\s*(?:=~|!~|!=|=)\s*["'\x60$]`),                                                   // http_requests_total{method="GET"
		newGuardPattern("[", `[\w})]\s*\[\d+(?:ms|[smhdwy])(?::(?:\d+[smhdwy])?)?\]`),                                            // [5m]
		newGuardPattern("(", `(?i)\b`+promFunctions+`\(\s*(?:\w{3,}|\{|\w+\s*\()`),                                               // rate(errors
		newGuardPattern("(", `(?i)\b(?:sum|avg|min|max|count|stddev)\s*(?:(?:by|without)\s*)?\(\s*\w+(?:\s*\(|_\w+|\s*\)\s*\()`), // sum(rate(, sum by (x) (
		newGuardPattern("|,!=", `\|[=~]\s*["\x60]|!=\s*["\x60]\S`),                                                               // |= "timeout"
		newGuardPattern("|", `(?i)\|\s*(?:stats|where|json|logfmt|line_format|label_format|summarize|eval|timechart|unwrap)\b`),
		newGuardPattern("=", `(?i)\b(?:index|sourcetype)\s*=\s*["\w*]`),
		newGuardPattern("select", `\bSELECT\b.{1,300}?\bFROM\b`),
		newGuardPattern("select", `(?i)\bselect\s+(?:\*|\w*\(|distinct\s|[\w.]*[_.]\w|[\w.]+\s*,\s*[\w.]+).{0,200}?\bfrom\s+`+notArticle),
		newGuardPattern("select", `(?i)\bselect\s.{1,200}?\bfrom\s+\S+\s+(?:where|join|left|inner|group\s+by|order\s+by|limit\s+\d)\b`),
		newGuardPattern("select", `(?i)\bselect\s[^.!?]{1,200}?\bfrom\s+\w+\s*;`),
		newGuardPattern("insert,update,delete", `(?i)\binsert\s+into\s+\w+(?:\s*\(|\s+values|\s+select)|\bupdate\s+\S+\s+set\s+\S+\s*=|\bdelete\s+from\s+\S+\s+where\b`),
		newGuardPattern("insert,delete", `\b(?:INSERT INTO|DELETE FROM)\s+\w`),
		newGuardPattern("alter,drop,truncate,create", `(?i)\b(?:alter|drop|truncate|create)\s+(?:table|index|database|schema)\s+\w+`),
	}
	// guardCode is code, commands, paths on our machines, and stack traces.
	guardCode = []guardPattern{
		newGuardPattern("at ", `(?m)^[ >*-]*at [\w$.<>/]+\(.*?\)`),
		newGuardPattern("traceback,file \"", `Traceback \(most recent call last\)|File "[^"]+", line \d+`),
		newGuardPattern("goroutine,panic,exception,caused", `\bgoroutine \d+ \[|(?m)^[ >*-]*panic: |\bException in thread\b|\bCaused by: [\w.]+`),
		newGuardPattern("exception,error", `\b(?:[a-z_]\w*\.)+[A-Z]\w*(?:Exception|Error)\b|\b[A-Z]\w+Exception\b`),
		newGuardPattern(":", `[\w/.-]+\.(?:go|py|java|jsx?|tsx?|rb|cs|cpp|php|kt|rs|scala):\d+`),
		newGuardPattern("sudo,kubectl,helm,systemctl,journalctl,terraform,psql,mysql,redis-cli,docker,podman,gcloud", `\bsudo\s+\w|\b(?:kubectl|helm|systemctl|journalctl|terraform|psql|mysql|redis-cli|docker|podman|gcloud)\s+(?:-{1,2}\w|(?:get|describe|delete|apply|rollout|exec|logs|restart|start|stop|status|run|ps|compose|upgrade|rollback|scale)\b)`),
		newGuardPattern("curl,ssh,rm -,grep,awk,sed,tail,chmod,chown,$", `\bcurl\s+(?:-|https?:)|\bssh\s+[\w.-]+@|\brm\s+-\w|\b(?:grep|awk|sed|tail|chmod|chown)\s+-\w|(?m)^[ >]*\$\s+[a-z]\S*`),
		newGuardPattern(";", `\w\([^()\n]*\)\s*;|[\w\])]\s*[:+-]?=\s*[^=\s][^\n]*;\s*(?:$|\n)`),
		newGuardPattern("func,def,var,let,const,=>,if", `\b(?:func|def|function)\s+\w+\s*\(|\b(?:var|let|const)\s+\w+\s*=|=>\s*\{|\bif\s*\([^\n]+\)\s*\{`),
		newGuardPattern("{,->,&&,(),--", `\{\s*"[\w.-]+"\s*:|\w->\w+\(|\s&&\s+\w|\b[a-z_]\w*\(\)|\s--[a-z][a-z-]+=\S`),
		newGuardPattern("=,/,\\", `\b[A-Z][A-Z0-9]*_[A-Z0-9_]+=\S+|(?:^|[\s("'])(?:/(?:etc|var|usr|opt|home|root|proc|srv|mnt|tmp)/[\w./-]+|[A-Z]:\\\w)`),
	}
	// guardSpan is what makes an inline code span code rather than a name.
	guardSpanCode = regexp.MustCompile(`[;{}]|\w\(|=>|->|[=!<>]=|\$\w|&&|\|\||::|\s\||\w\s*=\s*\S|\s-{1,2}[a-z]`)
	guardWrap     = regexp.MustCompile(`\n[ >]*`)
	guardBlank    = regexp.MustCompile(`\n[ >]*\n`)
)

// guardCodeIn finds code and queries that are recognised by their words alone,
// wrapped or not.
func guardCodeIn(view guardView) []hit {
	var hits []hit
	low := strings.ToLower(view.text)
	for _, p := range paragraphs(view.text) {
		unwrapped := guardWrap.ReplaceAllStringFunc(view.text[p[0]:p[1]], func(s string) string { return strings.Repeat(" ", len(s)) })
		for _, q := range guardQueries {
			for _, m := range q.find(unwrapped, low) {
				hits = append(hits, guardRun(FoundQuery, view, []int{p[0] + m[0], p[0] + m[1]}))
			}
		}
	}
	for _, c := range guardCode {
		for _, m := range c.find(view.text, low) {
			hits = append(hits, guardRun(FoundCode, view, m))
		}
	}
	return hits
}

// paragraphs is where the paragraphs of a text begin and end. A query does not go on
// from one to the next, as from a title to the text below it.
func paragraphs(text string) [][2]int {
	var all [][2]int
	from := 0
	for _, m := range guardBlank.FindAllStringIndex(text, -1) {
		all = append(all, [2]int{from, m[0]})
		from = m[1] - 1 // the second line end may be the first of another blank line
	}
	return append(all, [2]int{from, len(text)})
}

// guardPattern is an expression and the words, in lower case, without one of which
// it need not be tried.
type guardPattern struct {
	*regexp.Regexp
	needs []string
}

func newGuardPattern(needs, pattern string) guardPattern {
	return guardPattern{regexp.MustCompile(pattern), strings.Split(needs, ",")}
}

// find returns the matches in a text, given the same in lower case.
func (p guardPattern) find(text, low string) [][]int {
	for _, n := range p.needs {
		if strings.Contains(low, n) {
			return p.FindAllStringIndex(text, -1)
		}
	}
	return nil
}

// guardRun is a hit widened to the spaces around it, so that the author recognises
// it.
func guardRun(kind FindingKind, view guardView, m []int) hit {
	text, from, to := view.text, m[0], m[1]
	for from < to && unicode.IsSpace(rune(text[from])) {
		from++
	}
	for to > from && unicode.IsSpace(rune(text[to-1])) {
		to--
	}
	for from > 0 && !unicode.IsSpace(rune(text[from-1])) {
		from--
	}
	for to < len(text) && !unicode.IsSpace(rune(text[to])) {
		to++
	}
	return view.hit(kind, from, to, guardSquash(text[from:to]))
}

// marked finds what is code by its Markdown: blocks, and inline spans that look
// like it, if they are in the rendered texts.
func (g guard) marked(sections []guardSection, texts []string) []guardFinding {
	var all strings.Builder
	for _, t := range texts {
		all.WriteString(guardSquash(t))
	}
	var found []guardFinding
	rendered := all.String()
	for _, s := range sections {
		for _, c := range guardMarked(parseMarkdown(newParser(), s.Body)) {
			if lines := guardShown(c.text, rendered); len(lines) > 0 {
				at := max(0, s.find(lines[0]))
				if c.block {
					s.cover(at, c.text)
				}
				found = append(found, g.finding(hit{kind: FoundCode, text: lines[0], key: guardSquash(lines[0])}, s.VisibleSection, at))
			}
		}
	}
	return found
}

// cover remembers the lines of a code block that begins at a line.
func (s guardSection) cover(at int, code string) {
	for i := range strings.Count(code, "\n") + 1 {
		s.inBlock[at+i] = true
	}
}

// guardShown is those lines of a piece of code that are in the rendered text.
func guardShown(code, rendered string) []string {
	var shown []string
	for _, l := range strings.Split(code, "\n") {
		if sq := guardSquash(l); sq != "" && strings.Contains(rendered, sq) {
			shown = append(shown, strings.TrimSpace(l))
		}
	}
	return shown
}

// markedCode is code by its Markdown.
type markedCode struct {
	text  string
	block bool
}

// guardMarked is the code in a document.
func guardMarked(bs []block) []markedCode {
	var all []markedCode
	for _, b := range bs {
		if b.kind == code {
			all = append(all, markedCode{b.code, true})
		}
		all = append(all, guardSpans(b.inlines)...)
		all = append(all, guardMarked(b.blocks)...)
		for _, i := range b.items {
			all = append(all, guardMarked(i)...)
		}
		for _, row := range b.rows {
			for _, c := range row {
				all = append(all, guardSpans(c)...)
			}
		}
	}
	return all
}

func guardSpans(all []inline) []markedCode {
	var found []markedCode
	for _, i := range all {
		if i.kind == codeSpan && guardSpanCode.MatchString(i.text) {
			found = append(found, markedCode{text: i.text})
		}
		found = append(found, guardSpans(i.kids)...)
	}
	return found
}
