package server_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

var update = flag.Bool("update", false, "write the golden files")

const described = "../docs/openapi.json"

// TestOpenAPI fails when the code and the description that is checked in differ.
func TestOpenAPI(t *testing.T) {
	r := newRig(t)
	got := r.s.OpenAPI()
	if *update {
		if err := os.WriteFile(described, got, 0o644); err != nil { //nolint:gosec // it is for everybody
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(described)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s differs from the code (%v): look at the difference and run: go test ./server -run OpenAPI -update", described, err)
	}
	if served := r.call("GET", "/api/v1/openapi.json", "").is(http.StatusOK); served.body != string(got) {
		t.Error("what is served differs")
	}
	var doc map[string]any
	if err := yaml.Unmarshal([]byte(r.call("GET", "/api/v1/openapi.yaml", "").is(http.StatusOK).body), &doc); err != nil || doc["openapi"] != "3.1.0" {
		t.Errorf("as YAML: %v %v", err, doc["openapi"])
	}
}

// TestOpenAPIIsWhole checks what a reader of the description relies on.
func TestOpenAPIIsWhole(t *testing.T) {
	r := newRig(t)
	var doc struct {
		Paths map[string]map[string]struct {
			OperationID string `json:"operationId"`
			Summary     string
			Tags        []string
			Security    []map[string][]string
			Responses   map[string]struct {
				Description string
				Content     map[string]any
			}
		}
		Components struct{ Schemas map[string]any }
	}
	if err := json.Unmarshal(r.s.OpenAPI(), &doc); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for path, ops := range doc.Paths {
		for method, op := range ops {
			name := method + " " + path
			if op.OperationID == "" || seen[op.OperationID] || op.Summary == "" || len(op.Tags) != 1 {
				t.Errorf("%s is not described: %+v", name, op)
			}
			seen[op.OperationID] = true
			if _, ok := op.Responses["default"].Content["application/problem+json"]; !ok {
				t.Errorf("%s does not say how it fails", name)
			}
			of := "token"
			if strings.Contains(path, "/hooks/") {
				of = "input"
			}
			if _, named := op.Security[0][of]; !named && !strings.HasSuffix(path, "/{secret}") {
				t.Errorf("%s: security %v", name, op.Security)
			}
			for _, status := range []string{"401", "422", "429", "503"} {
				if _, ok := op.Responses[status].Content["application/problem+json"]; !ok {
					t.Errorf("%s does not document %s", name, status)
				}
			}
			for status, x := range op.Responses {
				if x.Description == "" {
					t.Errorf("%s: the response %s is not described", name, status)
				}
			}
		}
	}
	for _, ref := range regexp.MustCompile(`"#/components/schemas/([^"]+)"`).FindAllSubmatch(r.s.OpenAPI(), -1) {
		if doc.Components.Schemas[string(ref[1])] == nil {
			t.Errorf("there is no schema %s", ref[1])
		}
	}
	if len(seen) < 25 {
		t.Errorf("only %d operations", len(seen))
	}
}
