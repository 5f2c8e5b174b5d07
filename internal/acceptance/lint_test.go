package acceptance_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// mailTools is where .ci/mail/install puts what comes from npm.
var mailTools = filepath.Join(root, ".ci", "mail")

// tool returns the path of a file of a package from npm.
func tool(t *testing.T, elem ...string) string {
	t.Helper()
	path := filepath.Join(append([]string{mailTools, "node_modules"}, elem...)...)
	if _, err := os.Stat(path); err != nil {
		missing(t, "%s is not installed (run .ci/mail/install)", elem[0])
	}
	return path
}

// lint runs the linter over a folder of mails.
func lint(t *testing.T, dir string) (said string, code int) {
	t.Helper()
	tool(t, "caniemail")
	cmd := exec.CommandContext(t.Context(), need(t, "node", "nodejs"), filepath.Join(mailTools, "lint.mjs"), dir)
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// Every mail, of all statuses to all audiences, uses only what mail programs can show,
// or can do without: .ci/mail/accepted.json says why.
func TestMailPrograms(t *testing.T) {
	t.Parallel()
	tool(t, "caniemail")
	letters := append(lettersOf(t, append(ordinaryUpdates(), awkwardUpdates()...)), reminders(t)...)
	if said, code := lint(t, writeLetters(t, letters)); code != 0 {
		t.Errorf("the linter ended with %d:\n%s", code, said)
	}
}

// The linter finds what it is there to find, also where it is inside a media query.
func TestMailProgramsLinter(t *testing.T) {
	t.Parallel()
	tool(t, "caniemail")
	good := lettersOf(t, append(ordinaryUpdates(), awkwardUpdates()...))
	for _, c := range []struct{ name, old, changed, want string }{
		{"a flexible box", `<div dir="auto">`, `<div dir="auto" style="display:flex">`, "display:flex"},
		{"a picture behind", `class="card"`, `class="card" style="background-image:url(https://status.example/x.png)"`, "background-image"},
		{"a film", "<h1", "<video></video><h1", "<video>"},
		{"a grid on phones", ".out{", ".out{display:grid;", "display:grid"},
		{"a long style sheet", ".out{", strings.Repeat(".some{color:#000000}\n", 900) + ".out{", "16 KB"},
	} {
		t.Run(c.name, func(t *testing.T) {
			bad := append([]rendered(nil), good...)
			bad[0].html = strings.Replace(bad[0].html, c.old, c.changed, 1)
			if bad[0].html == good[0].html {
				t.Fatalf("there is no %q in the mail", c.old)
			}
			said, code := lint(t, writeLetters(t, bad))
			found := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(bad[0].file()) + `.*` + regexp.QuoteMeta(c.want))
			if code != 1 || !found.MatchString(said) {
				t.Errorf("the linter ended with %d and did not say %q:\n%s", code, c.want, said)
			}
		})
	}
	t.Run("a reason that nothing needs", func(t *testing.T) {
		said, code := lint(t, writeLetters(t, good[:1]))
		if code != 1 || !strings.Contains(said, "no mail needs this any more") {
			t.Errorf("the linter ended with %d:\n%s", code, said)
		}
	})
	t.Run("no mail", func(t *testing.T) {
		if said, code := lint(t, t.TempDir()); code != 2 {
			t.Errorf("the linter ended with %d:\n%s", code, said)
		}
	})
}
