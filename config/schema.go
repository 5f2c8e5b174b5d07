package config

import (
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Describe gives the description of a struct's field, or "". It is asked where a
// field has no `doc` and no `jsonschema_description` tag.
type Describe func(t reflect.Type, field string) string

// Schema is the JSON Schema (draft 7, as editors know it) of the file. kinds maps
// each kind of channel to the zero value of the struct its stanza is decoded into.
// describe may be nil. The output is the same for the same input.
func Schema(kinds map[string]any, describe Describe) ([]byte, error) {
	b := schemas{describe: describe, definitions: map[string]any{}}
	root := b.object(reflect.TypeFor[file]())
	root["$schema"] = "http://json-schema.org/draft-07/schema#"
	root["title"] = "Configuration of sitrep"
	root["patternProperties"] = map[string]any{"^x-": map[string]any{"description": "Your own: a place for YAML anchors."}}
	b.definitions["channel"] = b.channel(kinds)
	for kind, zero := range kinds {
		own, err := b.kind(zero)
		if err != nil {
			return nil, fmt.Errorf("schema of kind %s: %w", kind, err)
		}
		b.definitions[definition(kind)] = own
	}
	root["definitions"] = b.definitions
	out, err := json.MarshalIndent(root, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("schema: %w", err)
	}
	return append(out, '\n'), nil
}

// schemas builds JSON Schemas from Go types by the rules of decoder.
type schemas struct {
	describe    Describe
	definitions map[string]any
}

func definition(kind string) string { return "kind " + strings.ReplaceAll(kind, "/", " ") }

func ref(name string) map[string]any {
	return map[string]any{"$ref": "#/definitions/" + strings.ReplaceAll(name, " ", "%20")}
}

// channel is a stanza: what every channel has, and by its kind what only that has.
func (b schemas) channel(kinds map[string]any) map[string]any {
	common := b.object(reflect.TypeFor[rawChannel]())
	delete(common, "additionalProperties")
	names := sortedKeys(kinds)
	properties := common["properties"].(map[string]any)
	properties["kind"] = map[string]any{"enum": names, "description": "What it is."}
	common["required"] = []string{"id", "kind"}
	var cases []any
	for _, kind := range names {
		cases = append(cases, map[string]any{
			"if": map[string]any{
				"properties": map[string]any{"kind": map[string]any{"const": kind}}, "required": []string{"kind"},
			},
			"then": ref(definition(kind)),
		})
	}
	if len(cases) > 0 {
		common["allOf"] = cases
	}
	return common
}

// kind is the whole stanza of one kind. A kind's own key wins over a common one.
func (b schemas) kind(zero any) (map[string]any, error) {
	t := reflect.TypeOf(zero)
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t == nil || t.Kind() != reflect.Struct {
		return nil, fmt.Errorf("the stanza must be a struct, not %T", zero)
	}
	own := b.object(t)
	properties := own["properties"].(map[string]any)
	for key, s := range b.object(reflect.TypeFor[rawChannel]())["properties"].(map[string]any) {
		if _, has := properties[key]; !has {
			properties[key] = s
		}
	}
	return own, nil
}

// object is the schema of a struct.
func (b schemas) object(t reflect.Type) map[string]any {
	properties := map[string]any{}
	b.properties(t, properties)
	out := map[string]any{"type": "object", "properties": properties, "additionalProperties": false}
	if r, ok := reflect.Zero(t).Interface().(interface{ required() []string }); ok {
		out["required"] = r.required()
	}
	return out
}

func (rawCustomer) required() []string { return []string{"id"} }
func (rawList) required() []string     { return []string{"id", "audience"} }

func (b schemas) properties(t reflect.Type, into map[string]any) {
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		switch {
		case name == "-" || f.Type == positionType || !f.IsExported() && !f.Anonymous:
		case options == "inline":
			b.properties(f.Type, into)
		default:
			b.property(t, f, keyName(f, name), into)
		}
	}
}

func (b schemas) property(t reflect.Type, f reflect.StructField, key string, into map[string]any) {
	s, text := b.of(f.Type), b.description(t, f)
	if text != "" {
		s["description"] = text
	}
	into[key] = s
	if f.Type != secretType {
		return
	}
	if _, declared := into[key+"_file"]; !declared {
		into[key+"_file"] = map[string]any{
			"type": "string", "description": strings.TrimSpace("A file that holds `" + key + "`, instead of it. " + text),
		}
	}
}

func (b schemas) description(t reflect.Type, f reflect.StructField) string {
	for _, tag := range []string{"doc", "jsonschema_description"} {
		if text := f.Tag.Get(tag); text != "" {
			return text
		}
	}
	if b.describe == nil {
		return ""
	}
	return b.describe(t, f.Name)
}

// variable is what a value that is no text may be instead.
const variable = `\$\{[A-Za-z_][A-Za-z0-9_]*\}`

// of is the schema of any type.
func (b schemas) of(t reflect.Type) map[string]any {
	zero := reflect.New(t).Interface()
	switch {
	case t == reflect.TypeFor[rawChannel]():
		return ref("channel")
	case t == reflect.TypeFor[addresses]():
		return b.addresses()
	case t == reflect.TypeFor[severityName]():
		return map[string]any{"anyOf": []any{
			map[string]any{"enum": severityName{}.words()},
			map[string]any{"type": "integer", "minimum": 1, "maximum": 5},
			map[string]any{"type": "string", "pattern": "^([sS][eE][vV])?[ -]*[1-5]$|" + variable},
		}}
	case t == reflect.TypeFor[addressList]():
		one := map[string]any{"type": "string"}
		return map[string]any{"anyOf": []any{one, map[string]any{"type": "array", "items": one}}}
	case t == durationType:
		return map[string]any{"anyOf": []any{
			map[string]any{"type": "string", "pattern": `^[-+]?([0-9]+d)?([0-9.]+(ms|s|m|h))*$|^0$|` + variable},
			map[string]any{"const": 0},
		}, "examples": []string{"45s", "90m", "4h", "2d"}}
	}
	if w, ok := zero.(interface{ words() []string }); ok {
		return map[string]any{"enum": w.words()}
	}
	_, isTaker := zero.(taker)
	if _, isText := zero.(encoding.TextUnmarshaler); isTaker || isText { // text, secrets and the like
		return map[string]any{"type": []string{"string", "number"}}
	}
	return b.kinds(t)
}

func (b schemas) kinds(t reflect.Type) map[string]any {
	orVariable := func(of string) map[string]any {
		return map[string]any{"type": []string{of, "string"}, "pattern": "^" + variable + "$"}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return b.of(t.Elem())
	case reflect.Struct:
		return b.object(t)
	case reflect.Slice:
		return map[string]any{"type": []string{"array", "null"}, "items": b.of(t.Elem())}
	case reflect.Map:
		return map[string]any{"type": []string{"object", "null"}, "additionalProperties": b.of(t.Elem())}
	case reflect.Bool:
		return orVariable("boolean")
	case reflect.Float32, reflect.Float64:
		return orVariable("number")
	case reflect.String:
		return map[string]any{"type": []string{"string", "number"}}
	case reflect.Interface:
		return map[string]any{}
	}
	return orVariable("integer")
}

// addresses is an entry of `to`.
func (b schemas) addresses() map[string]any {
	plain := map[string]any{"type": []string{"string", "number"}, "description": "An address, or \"Name <address>\"."}
	recipient := map[string]any{"type": "object", "additionalProperties": false, "required": []string{"address"}, "properties": map[string]any{
		"address": map[string]any{"type": []string{"string", "number"}, "description": "In the channel's own form."},
		"name":    map[string]any{"type": "string", "description": "Display name."},
		"locale":  map[string]any{"type": "string", "description": "Language tag such as en-US: how times are written."},
		"zone":    map[string]any{"type": "string", "description": "Time zone such as Europe/Berlin. Default: the customer's."},
		"required": map[string]any{
			"type": []string{"boolean", "string"}, "pattern": "^" + variable + "$",
			"description": "It is to be told by contract: it cannot unsubscribe, and a bounce suppresses nothing. Default: false.",
		},
	}}
	csvFile := map[string]any{"type": "object", "additionalProperties": false, "required": []string{"file"}, "properties": map[string]any{
		"file": map[string]any{"type": "string", "description": "A CSV file with the columns " + strings.Join(csvColumns(), ", ") + ", of which only address must be there."},
	}}
	one := []any{plain, recipient, csvFile}
	return map[string]any{
		"type": "object", "minProperties": 1, "description": "A channel's id, with its addresses.",
		"additionalProperties": map[string]any{"anyOf": append(slices.Clone(one), map[string]any{
			"type": "array", "items": map[string]any{"anyOf": one},
		})},
	}
}
