package config

import (
	"encoding"
	"reflect"
	"time"

	"go.yaml.in/yaml/v3"

	"sitrep/internal/secret"
)

// position is a place in the file. A struct's field of this type is filled with
// where its mapping begins.
type position struct{ Line, Column int }

func at(n *yaml.Node) position { return position{Line: n.Line, Column: n.Column} }

// taker is a type that reads its node itself. key names it in messages.
type taker interface {
	take(d *decoder, n *yaml.Node, key string)
}

// text is a single value with its place, for what is checked later.
type text struct {
	Value string
	Shown string // for messages: as it stands in the file
	At    position
}

func (t *text) take(d *decoder, n *yaml.Node, key string) {
	t.Value, _ = d.text(n, key)
	t.Shown, t.At = shown(n), at(n)
}

func (t *text) spot(d *decoder, key string) spot {
	return spot{Problem{File: d.file, Line: t.At.Line, Column: t.At.Column}, quoted(key), t.Shown, d.out}
}

var (
	positionType = reflect.TypeFor[position]()
	secretType   = reflect.TypeFor[secret.String]()
	durationType = reflect.TypeFor[time.Duration]()
)

// decoder fills Go values from YAML nodes strictly and collects every mistake.
type decoder struct {
	file     string            // as messages name it
	dir      string            // what relative paths are relative to
	env      map[string]string // what ${NAME} stands for
	exposed  bool              // others than the owner can read the file itself
	out      *collector        // mistakes
	warnings *collector
	used     *nameSet // the variables that the file refers to
	files    *nameSet // the files that were read, absolute
}

// note remembers a file that is read.
func (d *decoder) note(path string) {
	if d.files != nil {
		d.files.add(path)
	}
}

func (d *decoder) problem(p position, what, remedy string) {
	d.out.add(Problem{File: d.file, Line: p.Line, Column: p.Column, What: what, Remedy: remedy})
}

func (d *decoder) warn(p position, what, remedy string) {
	d.warnings.add(Problem{File: d.file, Line: p.Line, Column: p.Column, What: what, Remedy: remedy})
}

// decode fills v from n. What is wrong is collected and stays as it was in v.
func (d *decoder) decode(n *yaml.Node, key string, v reflect.Value) {
	n = resolve(n)
	if t, ok := v.Addr().Interface().(taker); ok {
		t.take(d, n, key)
		return
	}
	switch {
	case v.Type() == secretType:
		v.Set(reflect.ValueOf(d.secret(n, key)))
		return
	case v.Type() == durationType:
		d.duration(n, key, v)
		return
	}
	if u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		d.unmarshalText(n, key, u)
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		d.decode(n, key, v.Elem())
	case reflect.Struct:
		d.structure(n, key, v, nil)
	case reflect.Slice:
		d.list(n, key, v)
	case reflect.Map:
		d.mapping(n, key, v)
	default:
		d.scalar(n, key, v)
	}
}

func (d *decoder) unmarshalText(n *yaml.Node, key string, u encoding.TextUnmarshaler) {
	s, ok := d.text(n, key)
	if !ok {
		return
	}
	if err := u.UnmarshalText([]byte(s)); err != nil {
		d.problem(at(n), quoted(key)+" cannot be read: "+sentence(err.Error()), "")
	}
}

func (d *decoder) list(n *yaml.Node, key string, v reflect.Value) {
	if isNull(n) {
		return
	}
	if n.Kind != yaml.SequenceNode {
		d.problem(at(n), quoted(key)+" must be a list, and this is "+kindName(n)+".", "Write `"+key+": [one, two]` or lines that begin with `- `.")
		return
	}
	out := reflect.MakeSlice(v.Type(), 0, len(n.Content))
	for _, c := range n.Content {
		c = resolve(c)
		elem := reflect.New(v.Type().Elem()).Elem()
		if isNull(c) {
			d.problem(at(c), "An entry of "+quoted(key)+" is empty.", "Write it, or remove the line.")
			continue
		}
		if p, ok := positionOf(elem); ok {
			p.Set(reflect.ValueOf(at(c)))
		}
		d.decode(c, key, elem)
		out = reflect.Append(out, elem)
	}
	v.Set(out)
}

// positionOf is the field of a struct that wants to know its place.
func positionOf(v reflect.Value) (reflect.Value, bool) {
	if _, isTaker := v.Addr().Interface().(taker); v.Kind() != reflect.Struct || isTaker {
		return reflect.Value{}, false
	}
	for i := range v.NumField() {
		if v.Type().Field(i).Type == positionType {
			return v.Field(i), true
		}
	}
	return reflect.Value{}, false
}

func (d *decoder) mapping(n *yaml.Node, key string, v reflect.Value) {
	if isNull(n) {
		return
	}
	if n.Kind != yaml.MappingNode || v.Type().Key().Kind() != reflect.String {
		d.problem(at(n), quoted(key)+" must be a mapping, and this is "+kindName(n)+".", "Write `key: value` lines below it.")
		return
	}
	out := reflect.MakeMap(v.Type())
	for _, p := range d.pairs(n) {
		elem := reflect.New(v.Type().Elem()).Elem()
		d.decode(p.value, key+"."+p.key.Value, elem)
		out.SetMapIndex(reflect.ValueOf(p.key.Value).Convert(v.Type().Key()), elem)
	}
	v.Set(out)
}
