package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// snake is how a key of the JSON answers is written.
var snake = regexp.MustCompile(`^[a-z][a-z0-9]*(_[a-z0-9]+)*$`)

// verbatim are keys of which the value is somebody else's JSON, or has names from the
// configuration as keys.
var verbatim = map[string]bool{"payload": true}

// walkJSON reports keys that are not in snake case, and nulls: an empty list is [], and
// what is not there is left out.
func walkJSON(at string, v any) (wrong []string) {
	switch v := v.(type) {
	case nil:
		return []string{at + " is null"}
	case []any:
		for i, x := range v {
			wrong = append(wrong, walkJSON(fmt.Sprintf("%s[%d]", at, i), x)...)
		}
	case map[string]any:
		for key, x := range v {
			if !snake.MatchString(key) {
				wrong = append(wrong, at+"."+key+" is no snake_case")
			}
			if !verbatim[key] {
				wrong = append(wrong, walkJSON(at+"."+key, x)...)
			}
		}
	}
	return wrong
}

// Every answer to --json is one JSON document in the same style.
func TestEveryJSON(t *testing.T) {
	dir, env := readingHome(t)
	in := func(name string) string { return filepath.Join(dir, name) }
	writeFiles(t, dir, map[string]string{
		"bad.yaml": "chanels: []\n", "bad.md": "### Nobody\n",
		"leak.md":   strings.Replace(readingUpdate, "Sign-in fails", "Sign-in fails for @jane", 1),
		"second.md": strings.Replace(strings.Replace(readingUpdate, "1:20pm", "1:50pm", 1), "Sign-in", "Log-in", 1),
		"odd.yaml":  "ledger: sqlite://state/odd.db\nchannels:\n  - {id: page, kind: page}\ncustomers:\n  - {id: x, lists: [{id: l, audience: internal, to: []}]}\n",
	})
	for _, words := range []string{
		"version", "check", "check --config " + in("bad.yaml"), "check --config " + in("odd.yaml"), "check --config " + in("none.yaml"),
		"report", "suppress list", "token list", "drill", "who abc", "new abc",
		"preview " + in("update.md"), "preview " + in("bad.md"), "preview " + in("leak.md"),
		"send --dry-run " + in("update.md"), "send " + in("bad.md"), "send " + in("leak.md"), "send --resume",
		"send " + in("update.md"), "send " + in("update.md"), "send " + in("second.md"), "send " + in("update.md"), "send --resume",
		"send --dry-run " + in("update.md"), "preview " + in("second.md"),
		"report", "report abc-20261122-1", "report abc-20261122-1 --all", "report nothing", "retry nothing", "retry key-none",
		"who abc", "new abc", "who nobody", "page --links",
		"suppress add abc --channel page --reason why", "suppress list", "who abc", "suppress remove abc --channel page", "suppress remove abc --channel page",
		"token new ci --role viewer --customer abc", "token list", "token revoke none",
		"ledger migrate", "ledger backup " + in("copy.db"), "ledger prune --older-than 400d", "ledger move sqlite://" + in("moved.db"),
		"send", "send " + in("update.md") + " --timeout 0s", "nonsense",
	} {
		_, out, errOut := cli(t, env, append(strings.Fields(words), "--json")...)
		d := json.NewDecoder(strings.NewReader(out))
		var answer any
		if err := d.Decode(&answer); err != nil || d.More() {
			t.Errorf("%s: not one JSON document (%v)\n%s%s", words, err, out, errOut)
			continue
		}
		for _, wrong := range walkJSON(words+": ", answer) {
			t.Error(wrong)
		}
	}
}

// The transcripts hold what else is answered.
func TestJSONOfTheTranscripts(t *testing.T) {
	paths, err := filepath.Glob("testdata/cli/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range regexp.MustCompile(`(?ms)^\{\n.*?^\}\n`).FindAllString(string(text), -1) {
			var answer any
			if err := json.Unmarshal([]byte(part), &answer); err != nil {
				t.Errorf("%s: %v\n%s", path, err, part)
			}
			for _, wrong := range walkJSON(path, answer) {
				t.Error(wrong)
			}
			seen++
		}
	}
	if seen == 0 {
		t.Error("no transcript has JSON")
	}
}
