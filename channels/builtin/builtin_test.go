package builtin_test

import (
	"os"
	"path/filepath"
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
