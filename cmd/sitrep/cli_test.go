package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Each transcript in testdata/cli is a conversation with the program as a person
// sees it: the files that are there, the commands, and what they answer, exit code
// included. Every kind of mistake a person can make is in one of them. With -update
// they are written anew; read the diff as the person would.

// A transcript is a text of parts that begin with a line "-- name --": first files,
// then "-- run --" with one command a line, then "-- answers --".
type transcript struct {
	files    map[string]string
	commands []string
	answers  string
	server   string // SITREP_SERVER=…, or empty
}

const answersPart = "-- answers --\n"

func readTranscript(t *testing.T, path string) transcript {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	given, answers, _ := strings.Cut(string(text), answersPart)
	tr := transcript{files: map[string]string{}, answers: answers}
	for _, part := range strings.Split("\n"+given, "\n-- ")[1:] {
		name, body, _ := strings.Cut(part, " --\n")
		if name == "run" {
			tr.commands = strings.Split(strings.TrimSpace(body), "\n")
			continue
		}
		tr.files[name] = body + "\n"
	}
	if len(tr.commands) == 0 {
		t.Fatalf("%s runs nothing", path)
	}
	return tr
}

func TestTranscripts(t *testing.T) {
	paths, err := filepath.Glob("testdata/cli/*.txt")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no transcripts (%v)", err)
	}
	for _, path := range paths {
		path, err := filepath.Abs(path) // each transcript changes the directory
		if err != nil {
			t.Fatal(err)
		}
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txt"), func(t *testing.T) {
			tr := readTranscript(t, path)
			got := tr.play(t)
			if *update {
				text, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				given, _, _ := strings.Cut(string(text), answersPart)
				if err := os.WriteFile(path, []byte(given+answersPart+got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got != tr.answers {
				t.Errorf("%s: the answers differ; now they are:\n%s", path, got)
			}
		})
	}
}

// play runs the commands in a fresh directory, as if in November 2026.
func (tr transcript) play(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	t.Chdir(dir)
	for name, body := range tr.files {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var b strings.Builder
	for _, line := range tr.commands {
		words := strings.Split(line, " ")
		var out, errOut bytes.Buffer
		a := newApp([]string{"HOME=" + dir, "NO_COLOR=1", tr.server}, strings.NewReader(tr.files["stdin"]), &out, &errOut)
		a.now = november
		root := a.rootCommand()
		root.SetArgs(words[1:])
		code := a.end(root.ExecuteContext(t.Context()))
		b.WriteString("$ " + line + "\n" + out.String())
		for l := range strings.Lines(errOut.String()) {
			b.WriteString("! " + l)
		}
		b.WriteString("[" + itoa(code) + "]\n")
	}
	return strings.ReplaceAll(b.String(), dir, "DIR")
}

func november() time.Time { return time.Date(2026, 11, 22, 19, 30, 0, 0, time.UTC) }

func itoa(n int) string { return string(rune('0' + n)) }
