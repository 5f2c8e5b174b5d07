package incident

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Front is the front matter: the optional block of YAML between two lines of three
// hyphens at the very beginning. Each field is the text as it was written.
type Front struct {
	Incident Field // incident id, or "new"
	Customer Field // id, name or alias; must agree with the title
	Severity Field // SEV1 to SEV5
	Started  Field // when the incident began: a time as in the title
	Next     Field // next_update: a time, or a duration such as 45m
	Key      Field // idempotency key instead of the content-derived one
}

func (f *Front) field(key string) *Field {
	switch key {
	case "incident":
		return &f.Incident
	case "customer":
		return &f.Customer
	case "severity":
		return &f.Severity
	case "started":
		return &f.Started
	case "next_update":
		return &f.Next
	case "key":
		return &f.Key
	}
	return nil
}

func frontKeys() []string {
	return []string{"incident", "customer", "severity", "started", "next_update", "key"}
}

var (
	yamlKey  = regexp.MustCompile(`^[A-Za-z_]+\s*:`)
	yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?`)
)

// readFront reads the front matter, if the text begins with one. A leading line of
// hyphens that no YAML key follows is a rule across the page.
func (r *reader) readFront() {
	if !r.skipBlank() || strings.TrimRight(r.lines[r.at], " \t") != "---" {
		return
	}
	open := r.at
	for i := open + 1; i < r.end; i++ {
		if l := strings.TrimRight(r.lines[i], " \t"); l == "---" || l == "..." {
			r.at = i + 1
			r.decodeFront(open+1, i)
			return
		}
	}
	r.at = open + 1
	if r.at < r.end && yamlKey.MatchString(r.lines[r.at]) {
		r.problem(open+1, "The front matter that begins here has no end.", "Write a line of three hyphens (---) after its last key.")
		r.skipKeys()
	}
}

// skipKeys passes over the keys of front matter without an end, so that they are
// not taken for the title.
func (r *reader) skipKeys() {
	for r.at < r.end && yamlKey.MatchString(r.lines[r.at]) && !known.MatchString(r.lines[r.at]) {
		r.at++
	}
}

func (r *reader) decodeFront(from, to int) {
	var doc yaml.Node
	err := yaml.Unmarshal([]byte(strings.Join(r.lines[from:to], "\n")), &doc)
	if err != nil {
		line, why := yamlProblem(err)
		r.problem(from+max(line, 1), "The front matter is not valid YAML: "+why+".", "Write one `key: value` per line.")
		return
	}
	if len(doc.Content) == 0 {
		return // nothing between the hyphens
	}
	top := doc.Content[0]
	if top.Kind != yaml.MappingNode {
		r.problem(from+top.Line, "The front matter is not a list of keys.", "Write one `key: value` per line; the keys are "+list(frontKeys(), "and")+".")
		return
	}
	for i := 0; i+1 < len(top.Content); i += 2 {
		r.frontKey(from, top.Content[i], top.Content[i+1])
	}
}

func (r *reader) frontKey(from int, key, value *yaml.Node) {
	line := from + key.Line
	f := r.d.Front.field(key.Value)
	switch {
	case f == nil:
		r.problem(line, fmt.Sprintf("The front matter has no key %q.", key.Value), suggest(key.Value, frontKeys(), "The keys are"))
	case value.Kind != yaml.ScalarNode:
		r.problem(line, fmt.Sprintf("The value of %q must be plain text.", key.Value), fmt.Sprintf("Write `%s: value` on one line.", key.Value))
	case f.Line > 0:
		r.problem(line, fmt.Sprintf("The key %q is there twice.", key.Value), "Keep one of them.")
	case value.Tag != "!!null":
		*f = Field{Text: strings.TrimSpace(value.Value), Line: line}
	}
}

// yamlProblem takes the line out of a YAML error's text, which is the only place
// where the library puts it.
func yamlProblem(err error) (line int, why string) {
	text := err.Error()
	if typed, ok := errors.AsType[*yaml.TypeError](err); ok && len(typed.Errors) > 0 {
		text = "yaml: " + typed.Errors[0]
	}
	m := yamlLine.FindStringSubmatch(text)
	if m == nil {
		return 0, text
	}
	if n, err := strconv.Atoi(m[1]); err == nil {
		line = n
	}
	return line, strings.TrimPrefix(text, m[0])
}
