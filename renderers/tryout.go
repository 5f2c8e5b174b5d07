package renderers

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	texttemplate "text/template"
	"text/template/parse"

	"sitrep/channels"
)

// tryOut renders every override against all that may come and returns each mistake
// once.
func (s *Set) tryOut() []error {
	trials := map[channels.Format][]View{}
	var errs []error
	for _, o := range s.overrides {
		if trials[o.part.format] == nil {
			trials[o.part.format] = s.trials(o.part.format)
		}
		views := trials[o.part.format]
		errs = append(errs, idle(o)...)
		if found := mistakes(o, views); len(found) > 0 {
			errs = append(errs, found...)
			continue
		}
		errs = append(errs, failures(o, views)...)
	}
	return errs
}

// failures runs the template as it will be run.
func failures(o override, views []View) []error {
	var errs []error
	var seen []string
	for _, v := range views {
		if o.audience != "" && o.audience != v.Audience {
			continue
		}
		_, err := run(o.template, v, o.part.check)
		if err == nil || slices.Contains(seen, err.Error()) {
			continue
		}
		seen = append(seen, err.Error())
		errs = append(errs, fmt.Errorf("%s: with an update %q for %s: %s", o.path, v.Status.Key, v.Audience, tidy(err)))
	}
	return errs
}

// tidy is a template's error without the package's name in front.
func tidy(err error) string {
	s := strings.TrimPrefix(err.Error(), "html/")
	return strings.TrimPrefix(s, "template: ")
}

// mistakes finds all that fails in a template, though its execution ends at the
// first: what failed is taken out and the rest tried again.
func mistakes(o override, views []View) []error {
	t, err := textTwin(o)
	if err != nil {
		return []error{fmt.Errorf("%s: %s", o.path, tidy(err))}
	}
	var errs []error
	for range 50 {
		err := firstFailure(t, o, views)
		if err == nil {
			return errs
		}
		what := tidy(err)
		if !strings.Contains(what, o.path) {
			what = o.path + ": " + what
		}
		errs = append(errs, errors.New(what))
		if !remove(t, err) {
			return errs
		}
	}
	return errs
}

// textTwin is the override as a text template, whatever it is: what its actions do
// is the same.
func textTwin(o override) (*texttemplate.Template, error) {
	base, err := builtinFiles.ReadFile("templates/" + o.part.file())
	if err != nil {
		return nil, err
	}
	t, err := texttemplate.New(o.path).Option("missingkey=error").Funcs(funcs()).Parse(string(base))
	if err != nil {
		return nil, err
	}
	return t.Parse(o.source)
}

func firstFailure(t *texttemplate.Template, o override, views []View) error {
	for _, v := range views {
		if o.audience != "" && o.audience != v.Audience {
			continue
		}
		if err := t.Execute(&limited{w: io.Discard, left: maxOutput}, v); err != nil {
			return err
		}
	}
	return nil
}

var failedAt = regexp.MustCompile(`^template: (.+?:\d+:\d+): executing `)

// remove takes the action that err speaks of out of the template.
func remove(t *texttemplate.Template, err error) bool {
	at := failedAt.FindStringSubmatch(err.Error())
	if at == nil {
		return false
	}
	for _, part := range t.Templates() {
		if part.Tree != nil && prune(part.Tree, part.Root, at[1]) {
			return true
		}
	}
	return false
}

func prune(tree *parse.Tree, list *parse.ListNode, at string) bool {
	if list == nil {
		return false
	}
	for i, n := range list.Nodes {
		pipe, inner := anatomy(n)
		if isAt(tree, n, at) || pipe != nil && pipeAt(tree, pipe, at) {
			list.Nodes[i] = &parse.TextNode{NodeType: parse.NodeText, Pos: n.Position()}
			return true
		}
		for _, l := range inner {
			if prune(tree, l, at) {
				return true
			}
		}
	}
	return false
}

// anatomy is the pipeline of a node that has one, and the lists in it.
func anatomy(n parse.Node) (*parse.PipeNode, []*parse.ListNode) {
	switch n := n.(type) {
	case *parse.ActionNode:
		return n.Pipe, nil
	case *parse.TemplateNode:
		return n.Pipe, nil
	case *parse.IfNode:
		return n.Pipe, []*parse.ListNode{n.List, n.ElseList}
	case *parse.RangeNode:
		return n.Pipe, []*parse.ListNode{n.List, n.ElseList}
	case *parse.WithNode:
		return n.Pipe, []*parse.ListNode{n.List, n.ElseList}
	default:
		return nil, nil
	}
}

func pipeAt(tree *parse.Tree, p *parse.PipeNode, at string) bool {
	if isAt(tree, p, at) {
		return true
	}
	for _, c := range p.Cmds {
		if isAt(tree, c, at) {
			return true
		}
		for _, a := range c.Args {
			if inner, ok := a.(*parse.PipeNode); ok && pipeAt(tree, inner, at) || isAt(tree, a, at) {
				return true
			}
		}
	}
	return false
}

func isAt(tree *parse.Tree, n parse.Node, at string) bool {
	location, _ := tree.ErrorContext(n)
	return location == at
}
