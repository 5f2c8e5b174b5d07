package builtin_test

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"sitrep/channels/builtin"
)

// TestEveryKindIsDocumented holds the list, the README's table and the example to
// each other: adding a channel touches all three, and nothing else.
func TestEveryKindIsDocumented(t *testing.T) {
	rows := readmeKinds(t)
	stanzas := exampleKinds(t)
	for name := range builtin.Kinds() {
		if !slices.Contains(rows, name) {
			t.Errorf("README.md: the channels table has no row for `%s`", name)
		}
		if !slices.Contains(stanzas, name) {
			t.Errorf("config.example.yaml: no channel of kind %s", name)
		}
	}
	for _, name := range append(rows, stanzas...) {
		if _, ok := builtin.Kinds()[name]; !ok {
			t.Errorf("%q is documented, and there is no such kind", name)
		}
	}
}

func TestEveryKindIsComplete(t *testing.T) {
	for name, kind := range builtin.Kinds() {
		if kind.New == nil {
			t.Errorf("%s: no New", name)
		}
		if kind.Config == nil {
			t.Errorf("%s: no Config, so it would be missing in the schema", name)
		}
	}
}

// TestEveryFolderIsListed finds an adapter that nobody can configure.
func TestEveryFolderIsListed(t *testing.T) {
	known := map[string]bool{"builtin": true, "channeltest": true, "internal": true}
	for name := range builtin.Kinds() {
		folder, _, _ := strings.Cut(name, "/")
		known[folder] = true
	}
	entries, err := os.ReadDir("..")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.IsDir() && !known[e.Name()] {
			t.Errorf("channels/%s has no line in builtin.Kinds", e.Name())
		}
	}
}

var row = regexp.MustCompile("(?m)^\\| `([a-z0-9/]+)` \\|")

func readmeKinds(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, table, ok := strings.Cut(string(text), "\n## Channels\n")
	if !ok {
		t.Fatal("README.md has no section Channels")
	}
	table, _, _ = strings.Cut(table, "\n## ")
	var kinds []string
	for _, m := range row.FindAllStringSubmatch(table, -1) {
		kinds = append(kinds, m[1])
	}
	return kinds
}

func exampleKinds(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "config.example.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var example struct {
		Channels []struct{ Kind string }
	}
	if err := yaml.Unmarshal(text, &example); err != nil {
		t.Fatal(err)
	}
	var kinds []string
	for _, c := range example.Channels {
		kinds = append(kinds, c.Kind)
	}
	return kinds
}

// TestEveryAdapterRunsTheSuite: no folder of an adapter is without channeltest.
func TestEveryAdapterRunsTheSuite(t *testing.T) {
	folders := map[string]bool{}
	for name := range builtin.Kinds() {
		folder, _, _ := strings.Cut(name, "/")
		folders[folder] = true
	}
	for folder := range folders {
		files, err := filepath.Glob(filepath.Join("..", folder, "*_test.go"))
		if err != nil {
			t.Fatal(err)
		}
		runs := slices.ContainsFunc(files, func(f string) bool {
			text, err := os.ReadFile(f)
			return err == nil && strings.Contains(string(text), "channeltest.Run(")
		})
		if !runs {
			t.Errorf("channels/%s: no test calls channeltest.Run", folder)
		}
	}
}

// TestEveryOptionIsInTheExample: each key of a kind's stanza stands, live or
// commented out, in that kind's part of the example.
func TestEveryOptionIsInTheExample(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "config.example.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(string(text), "\n  - id: ")
	for name, kind := range builtin.Kinds() {
		shown := ""
		for _, p := range parts {
			if strings.Contains(p, "\n    kind: "+name+"\n") {
				shown += p
			}
		}
		for _, key := range yamlKeys(reflect.TypeOf(kind.Config)) {
			if !regexp.MustCompile(`\b` + key + `(_file)?:`).MatchString(shown) {
				t.Errorf("config.example.yaml: the stanza of %s does not show %s", name, key)
			}
		}
	}
}

// yamlKeys are the keys a stanza of this type can have, those of its parts included.
func yamlKeys(typ reflect.Type) []string {
	for typ.Kind() == reflect.Slice || typ.Kind() == reflect.Pointer {
		typ = typ.Elem()
	}
	if typ.Kind() != reflect.Struct {
		return nil
	}
	var keys []string
	for f := range typ.Fields() {
		key, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if key != "" && key != "-" {
			keys = append(keys, key)
		}
		keys = append(keys, yamlKeys(f.Type)...)
	}
	return keys
}
