package main

import (
	"bytes"
	"flag"
	"os"
	"testing"

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
