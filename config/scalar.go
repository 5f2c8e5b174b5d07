package config

import (
	"reflect"
	"strconv"
	"strings"
	"sync"

	"go.yaml.in/yaml/v3"
)

// text is a single value as text, variables filled in. A number or a date is the
// text that stands in the file.
func (d *decoder) text(n *yaml.Node, key string) (string, bool) {
	if n.Kind != yaml.ScalarNode {
		d.problem(at(n), quoted(key)+" must be a single value, and this is "+kindName(n)+".", "")
		return "", false
	}
	switch n.ShortTag() {
	case "!!str", "!!int", "!!float", "!!timestamp":
		return d.expand(n, key)
	case "!!null":
		d.problem(at(n), quoted(key)+" has no value.", "Write one, or remove the line.")
	case "!!bool":
		d.problem(at(n), quoted(key)+" must be text, and "+shown(n)+" is a truth value.", "Put it in quotes if it is meant.")
	default:
		d.problem(at(n), "The tag "+clip(n.Tag)+" has no meaning here.", "Remove it.")
	}
	return "", false
}

// scalar decodes the basic kinds.
func (d *decoder) scalar(n *yaml.Node, key string, v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		if s, ok := d.text(n, key); ok {
			v.SetString(s)
		}
	case reflect.Bool:
		d.truth(n, key, v)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		d.number(n, key, "a whole number", func(s string) error {
			i, err := strconv.ParseInt(s, 10, v.Type().Bits())
			v.SetInt(i)
			return err
		})
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		d.number(n, key, "a whole number from 0 up", func(s string) error {
			i, err := strconv.ParseUint(s, 10, v.Type().Bits())
			v.SetUint(i)
			return err
		})
	case reflect.Float32, reflect.Float64:
		d.number(n, key, "a number", func(s string) error {
			f, err := strconv.ParseFloat(s, v.Type().Bits())
			v.SetFloat(f)
			return err
		})
	case reflect.Interface:
		if plain := d.plain(n, key); plain != nil {
			v.Set(reflect.ValueOf(plain))
		}
	default:
		d.problem(at(n), quoted(key)+" cannot be configured.", "Report this as an error of the program.")
	}
}

func (d *decoder) truth(n *yaml.Node, key string, v reflect.Value) {
	s, ok := n.Value, true
	if n.Kind == yaml.ScalarNode && n.ShortTag() != "!!bool" {
		s, ok = d.text(n, key)
	}
	switch {
	case !ok:
	case n.Kind == yaml.ScalarNode && (s == "true" || s == "false"):
		v.SetBool(s == "true")
	default:
		d.problem(at(n), quoted(key)+" must be true or false, not "+shown(n)+".", "")
	}
}

func (d *decoder) number(n *yaml.Node, key, what string, set func(string) error) {
	s, ok := n.Value, true
	if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!bool" {
		s, ok = d.text(n, key)
	}
	if ok && set(s) != nil {
		d.problem(at(n), quoted(key)+" must be "+what+", not "+shown(n)+".", "Write it like `"+key+": 4`.")
	}
}

// plain decodes without a type to go by: maps, slices, text, numbers and truth
// values, as encoding/json knows them.
func (d *decoder) plain(n *yaml.Node, key string) any {
	n = resolve(n)
	switch n.Kind {
	case yaml.MappingNode:
		out := map[string]any{}
		for _, p := range d.pairs(n) {
			out[p.key.Value] = d.plain(p.value, key+"."+p.key.Value)
		}
		return out
	case yaml.SequenceNode:
		out := []any{}
		for _, c := range n.Content {
			out = append(out, d.plain(c, key))
		}
		return out
	}
	switch n.ShortTag() {
	case "!!null":
		return nil
	case "!!bool":
		return n.Value == "true"
	case "!!int":
		if i, err := strconv.ParseInt(n.Value, 10, 64); err == nil {
			return i
		}
	case "!!float":
		if f, err := strconv.ParseFloat(n.Value, 64); err == nil {
			return f
		}
	}
	s, _ := d.text(n, key)
	return s
}

// expand fills in ${NAME}. It works on values, never on the YAML around them, so
// a variable cannot add keys.
func (d *decoder) expand(n *yaml.Node, key string) (string, bool) {
	rest := n.Value
	if !strings.Contains(rest, "${") {
		return rest, true
	}
	var b strings.Builder
	for good := true; ; {
		before, after, found := strings.Cut(rest, "${")
		if !found {
			b.WriteString(rest)
			return b.String(), good
		}
		if plain, escaped := strings.CutSuffix(before, "$"); escaped {
			b.WriteString(plain + "${")
			rest = after
			continue
		}
		name, tail, closed := strings.Cut(after, "}")
		if !closed {
			d.problem(at(n), quoted(key)+" has a ${ without its }.", "Write ${NAME}, or $${ if the text itself is meant.")
			return "", false
		}
		value, ok := d.variable(n, key, name)
		b.WriteString(before + value)
		rest, good = tail, good && ok
	}
}

func (d *decoder) variable(n *yaml.Node, key, name string) (string, bool) {
	if !variableName(name) {
		d.problem(at(n), quoted(key)+" uses ${"+clip(name)+"}, which is not the name of a variable.",
			"Names are letters, digits and _; write $${ if the text itself is meant.")
		return "", false
	}
	d.used.add(name)
	value, ok := d.env[name]
	if !ok {
		d.problem(at(n), quoted(key)+" uses ${"+name+"}, and the environment has no variable "+name+".",
			"Set it where sitrep is started, or write $${ if the text itself is meant.")
	}
	return value, ok
}

func variableName(s string) bool {
	for i, r := range s {
		letter := r == '_' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
		if !letter && (i == 0 || r < '0' || r > '9') {
			return false
		}
	}
	return s != ""
}

// nameSet is a set of names, safe for concurrent use.
type nameSet struct{ m sync.Map }

func (s *nameSet) add(name string)      { s.m.Store(name, true) }
func (s *nameSet) has(name string) bool { _, ok := s.m.Load(name); return ok }

// shown is a value in a message: as it stands in the file, so that what a variable
// holds does not show.
func shown(n *yaml.Node) string {
	if n.Kind != yaml.ScalarNode {
		return kindName(n)
	}
	return "`" + clip(n.Value) + "`"
}

func quoted(key string) string {
	if key == topKey {
		return "The file"
	}
	return "`" + clip(key) + "`"
}

// clip makes foreign text fit into a message: one line, printable, not too long.
func clip(s string) string {
	const most = 60
	runes := []rune(strings.ToValidUTF8(s, "�"))
	if len(runes) > most {
		runes = append(runes[:most-1], '…')
	}
	for i, r := range runes {
		if !strconv.IsPrint(r) {
			runes[i] = '�'
		}
	}
	return string(runes)
}

// sentence gives an error's text a full stop.
func sentence(s string) string {
	s = strings.TrimRight(s, " \n")
	if strings.HasSuffix(s, ".") || strings.HasSuffix(s, "?") || strings.HasSuffix(s, "!") {
		return s
	}
	return s + "."
}
