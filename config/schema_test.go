package config_test

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"

	"sitrep/config"
)

func schema(t *testing.T) (string, map[string]any) {
	t.Helper()
	describe := func(_ reflect.Type, field string) string { return "comment of " + field }
	out, err := config.Schema(map[string]any{"mattermost": mattermost{}, "email": &email{}, "notify/x": stanza{}}, describe)
	if err != nil {
		t.Fatal(err)
	}
	var parsed map[string]any
	if err := json.Unmarshal(out, &parsed); err != nil {
		t.Fatal(err)
	}
	return string(out), parsed
}

func TestSchema(t *testing.T) {
	text, _ := schema(t)
	golden(t, "schema.json", text)
	again, _ := schema(t)
	if text != again {
		t.Error("the schema is not the same twice")
	}
}

// Every $ref leads somewhere, and every key of ours has a description.
func TestSchemaIsWhole(t *testing.T) {
	_, root := schema(t)
	definitions := root["definitions"].(map[string]any)
	var walk func(path string, v any)
	walk = func(path string, v any) {
		switch v := v.(type) {
		case []any:
			for _, e := range v {
				walk(path, e)
			}
		case map[string]any:
			if to, ok := v["$ref"].(string); ok {
				name := strings.ReplaceAll(strings.TrimPrefix(to, "#/definitions/"), "%20", " ")
				if definitions[name] == nil {
					t.Errorf("%s: %s leads nowhere", path, to)
				}
			}
			if properties, ok := v["properties"].(map[string]any); ok && v["type"] == "object" {
				for key, p := range properties {
					if s, _ := p.(map[string]any)["description"].(string); s == "" {
						t.Errorf("%s: %s has no description", path, key)
					}
				}
			}
			for k, e := range v {
				walk(path+"/"+k, e)
			}
		}
	}
	walk("", root)
}

func TestSchemaOfSecrets(t *testing.T) {
	_, root := schema(t)
	own := root["definitions"].(map[string]any)["kind mattermost"].(map[string]any)["properties"].(map[string]any)
	for _, key := range []string{"token", "token_file", "webhook", "webhook_file", "url", "id", "workers", "retry"} {
		if own[key] == nil {
			t.Errorf("no key %s", key)
		}
	}
	if own["token"].(map[string]any)["description"] != "Token of the bot." || own["webhook"].(map[string]any)["description"] != "comment of Webhook" {
		t.Errorf("got %v and %v", own["token"], own["webhook"])
	}
}

func TestSchemaNeedsStructs(t *testing.T) {
	for _, v := range []any{nil, 1, ""} {
		if _, err := config.Schema(map[string]any{"x": v}, nil); err == nil {
			t.Errorf("%v is accepted", v)
		}
	}
	if _, err := config.Schema(nil, nil); err != nil {
		t.Error(err)
	}
}

// What the decoder knows and what the schema knows are the same keys.
func TestSchemaAndDecoderAgree(t *testing.T) {
	_, root := schema(t)
	var keys []string
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case []any:
			for _, e := range v {
				walk(e)
			}
		case map[string]any:
			if properties, ok := v["properties"].(map[string]any); ok {
				for key := range properties {
					keys = append(keys, key)
				}
			}
			for _, e := range v {
				walk(e)
			}
		}
	}
	walk(root)
	for _, key := range config.Keys() {
		if !slices.Contains(keys, key) {
			t.Errorf("the schema has no key %s", key)
		}
	}
}
