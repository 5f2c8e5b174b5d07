package main

import (
	"bytes"
	"flag"
	"os"
	"regexp"
	"testing"

	"sitrep/channels"
	"sitrep/channels/builtin"
	"sitrep/config"
	"sitrep/config/schemadoc"
	"sitrep/docs"
)

var update = flag.Bool("update", false, "rewrite the golden and generated files")

const schemaFile = "../../docs/config.schema.json"

func TestSchemaFile(t *testing.T) {
	stanzas := map[string]any{}
	for name, kind := range builtin.Kinds() {
		stanzas[name] = kind.Config
	}
	want, err := config.Schema(stanzas, schemadoc.Comments("sitrep", "../.."))
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(schemaFile, want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if !bytes.Equal(docs.ConfigSchema, want) {
		t.Error("docs/config.schema.json is not what the types say: run 'make generate' and read the diff")
	}
}

// TestExampleIsAccepted loads the example as a start would, with every kind's own
// strict check, and wants no mistake.
func TestExampleIsAccepted(t *testing.T) {
	text, err := os.ReadFile("../../config.example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	env := []string{"HOME=" + t.TempDir()}
	for _, m := range regexp.MustCompile(`\$\{([A-Z_]+)\}`).FindAllStringSubmatch(string(text), -1) {
		value := "https://chat.example.com/hooks/abc"
		if m[1] == "PORTAL_KEY" {
			value = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
		}
		env = append(env, m[1]+"="+value)
	}
	a := newApp(env, nil, nil, nil)
	cfg, err := config.Parse("../../config.example.yaml", text, env)
	read := &loaded{cfg: cfg, channels: map[string]channels.Channel{}, pages: &pagesLater{}}
	if cfg == nil {
		t.Fatal(err)
	}
	if err := cfg.Check(a.checks(read)); err != nil {
		t.Error(err)
	}
}
