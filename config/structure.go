package config

import (
	"encoding"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"sitrep/internal/secret"
)

// structure decodes a mapping into a struct. also are keys that are somebody
// else's: they are passed over, and proposed for misspelt ones.
func (d *decoder) structure(n *yaml.Node, key string, v reflect.Value, also []string) {
	if n.Kind != yaml.MappingNode {
		if !isNull(n) {
			d.problem(at(n), quoted(key)+" must be a mapping, and this is "+kindName(n)+".", "Write `key: value` lines below it.")
		}
		return
	}
	fields := fieldsOf(v)
	given := map[string]*yaml.Node{}
	for _, p := range d.pairs(n) {
		name := p.key.Value
		if f, ok := fields[name]; ok {
			given[name] = p.key
			d.field(n, p, f, given)
			continue
		}
		if own := strings.HasPrefix(name, "x-") && key == topKey; !own && !slices.Contains(also, name) {
			d.unknownKey(p.key, fields, also)
		}
	}
}

// topKey is the key of the whole file.
const topKey = ""

func (d *decoder) unknownKey(key *yaml.Node, fields map[string]field, also []string) {
	names := slices.Clone(also)
	for name := range fields {
		if base, twin := strings.CutSuffix(name, "_file"); !twin || fields[base].twin != name {
			names = append(names, name)
		} else if strings.HasPrefix(key.Value, base+"_") {
			names = append(names, name) // propose a twin only where one was meant
		}
	}
	slices.Sort(names)
	d.problem(at(key), "`"+clip(key.Value)+"` is not a setting here.", didYouMean(key.Value, names))
}

// field is a key of a struct. A secret's twin has the same value and ofFile set.
type field struct {
	value  reflect.Value
	ofFile bool   // the key names a file that holds the value
	twin   string // the other key of a secret
}

func (d *decoder) field(n *yaml.Node, p pair, f field, given map[string]*yaml.Node) {
	name := p.key.Value
	if f.twin != "" && given[f.twin] != nil {
		d.problem(at(p.key), fmt.Sprintf("`%s` and `%s` (line %d) both give the value.", name, f.twin, given[f.twin].Line),
			"Keep one of them.")
		return
	}
	if f.twin != "" {
		d.credential(p, f)
		return
	}
	switch {
	case single(f.value) && isNull(resolve(p.value)):
		d.problem(at(p.key), "`"+clip(name)+"` has no value.", "Write one, or remove the line.")
	default:
		d.decode(p.value, name, f.value)
		d.path(name, f.value)
	}
}

// credential decodes a secret or the name of its file. Mistakes say which secret it
// was that could not be read; it is something all the same, for it is not missing.
func (d *decoder) credential(p pair, f field) {
	e := *d
	e.out = &collector{}
	name := p.key.Value
	switch {
	case f.ofFile:
		f.value.Set(reflect.ValueOf(e.secretFile(resolve(p.value), name)))
	case isNull(resolve(p.value)):
		e.problem(at(p.key), "`"+clip(name)+"` has no value.", "Write one, or remove the line.")
	default:
		e.decode(p.value, name, f.value)
	}
	for _, x := range e.out.sorted() {
		x.secret = strings.TrimSuffix(name, "_file")
		d.out.add(x)
		f.value.Set(reflect.ValueOf(secret.New("this secret could not be read")))
	}
}

// path makes a text key that ends in _file or _dir relative to the file's directory.
func (d *decoder) path(name string, v reflect.Value) {
	isPath := strings.HasSuffix(name, "_file") || strings.HasSuffix(name, "_dir")
	if isPath && v.Kind() == reflect.String && v.String() != "" {
		v.SetString(d.abs(v.String()))
	}
}

func (d *decoder) abs(path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(d.dir, path)
}

// display is a path as the operator knows it: from where the file was named.
func (d *decoder) display(path string) string {
	rel, err := filepath.Rel(d.dir, path)
	if err != nil || !filepath.IsLocal(rel) {
		return path
	}
	return filepath.Join(filepath.Dir(d.file), rel)
}

// single reports whether one value belongs into v, so that none is a mistake.
func single(v reflect.Value) bool {
	if _, ok := v.Addr().Interface().(*addresses); ok {
		return false
	}
	if v.Kind() == reflect.Struct {
		_, isTaker := v.Addr().Interface().(taker)
		_, isText := v.Addr().Interface().(encoding.TextUnmarshaler)
		return isTaker || isText
	}
	return v.Kind() != reflect.Slice && v.Kind() != reflect.Map && v.Kind() != reflect.Pointer
}

// fieldsOf are the keys of a struct by its yaml tags, those of structs
// marked inline included.
func fieldsOf(v reflect.Value) map[string]field {
	out := map[string]field{}
	for i := range v.NumField() {
		f := v.Type().Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		switch {
		case name == "-" || f.Type == positionType || !f.IsExported() && !f.Anonymous:
		case options == "inline":
			for k, inner := range fieldsOf(v.Field(i)) {
				out[k] = inner
			}
		case f.Type == secretType:
			name = keyName(f, name)
			out[name] = field{value: v.Field(i), twin: name + "_file"}
			if _, declared := out[name+"_file"]; !declared {
				out[name+"_file"] = field{value: v.Field(i), ofFile: true, twin: name}
			}
		default:
			out[keyName(f, name)] = field{value: v.Field(i)}
		}
	}
	return out
}

func keyName(f reflect.StructField, tag string) string {
	if tag != "" {
		return tag
	}
	return strings.ToLower(f.Name)
}
