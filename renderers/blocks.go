package renderers

import (
	"fmt"
	"slices"
	"strings"
	texttemplate "text/template"
	"text/template/parse"
)

// idle are the parts of an operator's template that change nothing: a block whose name
// nobody uses, most likely misspelt, or a whole file without text and blocks.
func idle(o override) []error {
	own, err := texttemplate.New(o.path).Funcs(funcs()).Parse(o.source)
	if err != nil {
		return nil // what does not parse is reported already
	}
	all, err := textTwin(o)
	if err != nil {
		return nil
	}
	defined := definedBy(own)
	if body := own.Lookup(o.path); len(defined) == 0 && (body == nil || body.Tree == nil || parse.IsEmptyTree(body.Root)) {
		return []error{fmt.Errorf("%s:1: the file is empty, so the built-in template is used: write a template%s, or remove the file", o.path, orBlocks(o.part))}
	}
	used := usedBy(all, o.path)
	var errs []error
	for _, t := range defined {
		if used[t.Name()] {
			continue
		}
		at, _ := t.ErrorContext(t.Root)
		errs = append(errs, fmt.Errorf("%s: nothing uses a block %q, so it would never be seen: %s", at, t.Name(), rightBlocks(o.part)))
	}
	return errs
}

// definedBy are the blocks that a template defines, in their order.
func definedBy(t *texttemplate.Template) []*texttemplate.Template {
	var all []*texttemplate.Template
	for _, x := range t.Templates() {
		if x.Name() != t.Name() && x.Tree != nil {
			all = append(all, x)
		}
	}
	slices.SortFunc(all, func(a, b *texttemplate.Template) int { return int(a.Root.Pos - b.Root.Pos) })
	return all
}

// usedBy are the names of the templates that are executed with the one called name.
func usedBy(t *texttemplate.Template, name string) map[string]bool {
	used := map[string]bool{}
	var follow func(name string)
	follow = func(name string) {
		x := t.Lookup(name)
		if used[name] || x == nil || x.Tree == nil {
			return
		}
		used[name] = true
		calls(x.Root, follow)
	}
	follow(name)
	return used
}

// calls tells the name of every template that a list calls.
func calls(list *parse.ListNode, tell func(name string)) {
	if list == nil {
		return
	}
	for _, n := range list.Nodes {
		if call, ok := n.(*parse.TemplateNode); ok {
			tell(call.Name)
		}
		_, inner := anatomy(n)
		for _, l := range inner {
			calls(l, tell)
		}
	}
}

// blocks are the blocks of a built-in template, in their order.
func (p part) blocks() []string {
	base, err := builtinFiles.ReadFile("templates/" + p.file())
	if err != nil {
		return nil // a test renders every one
	}
	t, err := texttemplate.New(p.file()).Funcs(funcs()).Parse(string(base))
	if err != nil {
		return nil
	}
	var names []string
	for _, x := range definedBy(t) {
		names = append(names, x.Name())
	}
	return names
}

func orBlocks(p part) string {
	if names := p.blocks(); len(names) > 0 {
		return ", or define one of the blocks " + strings.Join(names, ", ")
	}
	return " (" + p.file() + " has no blocks to define)"
}

func rightBlocks(p part) string {
	names := p.blocks()
	if len(names) == 0 {
		return p.file() + " has no blocks; write the whole of it"
	}
	return "the blocks of " + p.file() + " are " + strings.Join(names, ", ")
}
