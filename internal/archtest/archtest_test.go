// Package archtest holds the module's one architectural rule: who may import
// whom. What is not listed here is forbidden. Production files only; tests may
// reach further, because they stand where the callers stand.
package archtest

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "sitrep"

// arrow lets the production files of a folder import others of this module.
type arrow struct {
	from string   // a folder, or a path.Match pattern of folders
	to   []string // patterns
	why  string
}

// arrows: the first match wins.
var arrows = []arrow{
	{"incident", nil, "the domain has no plumbing"},
	{"channels", nil, "the contract knows nobody"},
	{"channels/channeltest", []string{"channels"}, "the suite knows the contract only"},
	{"channels/builtin", []string{"channels", "channels/*"}, "the only list of channels"},
	{"channels/internal/*", []string{"channels", "internal/secret"}, "shared by adapters"},
	{"channels/mattermost/mmfake", []string{"channels"}, "a remote side: of us it knows the attachment on the wire only"},
	{"channels/*", []string{"channels", "channels/internal/*", "internal/secret"}, "an adapter that sees no incident cannot leak one, and never sees its siblings"},
	{"renderers", []string{"incident", "channels"}, "pure functions of an update"},
	{"ledger", []string{"channels"}, "the contract of the record"},
	{"ledger/ledgertest", []string{"channels", "ledger"}, "the suite knows the contract only"},
	{"ledger/*", []string{"channels", "ledger", "ledger/internal/*", "internal/blob"}, "engines do not see each other"},
	{"dispatcher", []string{"incident", "renderers", "channels", "ledger", "internal/blob"}, "never an implementation"},
	{"statuspage", []string{"incident", "ledger", "channels"}, "the read side"},
	{"server", []string{"dispatcher", "incident", "ledger", "renderers", "channels", "internal/secret"}, "over HTTP; renderers and channels for the types of plans and messages"},
	{"server/client", []string{"server", "internal/secret"}, "the other end of the API: it knows its types and nothing behind them"},
	{"bounces", []string{"ledger", "channels", "internal/secret"}, "what comes back; whose mail it is, it is told"},
	{"config", []string{"incident", "internal/secret"}, "plain structs"},
	{"config/schemadoc", nil, "makes the schema's descriptions from Go comments; for tests only"},
	{"docs", nil, "embeds the generated schema"},
	{"internal/metrics", []string{"channels"}, "the Prometheus side of dispatcher.Recorder"},
	{"internal/tracing", []string{"dispatcher", "internal/secret"}, "the OpenTelemetry side of dispatcher.Options.OnSpan"},
	{"internal/*", nil, "small helpers"},
	{"cmd/*", []string{"*", "*/*", "*/*/*"}, "wiring"},
}

func TestImports(t *testing.T) {
	root := moduleRoot(t)
	seen := 0
	walk(t, root, func(dir, file string, imports []string) {
		seen++
		i := slices.IndexFunc(arrows, func(a arrow) bool { return match(a.from, dir) })
		if i < 0 {
			t.Errorf("%s: folder %q is not in the list of arrows; say here what it may import and why", file, dir)
			return
		}
		for _, imp := range imports {
			imp, ours := strings.CutPrefix(imp, module+"/")
			if !ours {
				continue
			}
			if !slices.ContainsFunc(arrows[i].to, func(p string) bool { return match(p, imp) }) {
				t.Errorf("%s imports %s: %s may import %v only (%s)", file, imp, dir, arrows[i].to, arrows[i].why)
			}
		}
	})
	if seen == 0 {
		t.Fatal("no Go file was read: the test looks in the wrong place")
	}
}

// fences lists dependencies that belong in a few folders only.
var fences = []struct {
	dependency string
	allowed    []string
	why        string
}{
	{"github.com/prometheus", []string{"internal/metrics", "cmd/*"}, "the core reports to dispatcher.Recorder"},
	{"go.opentelemetry.io", []string{"internal/tracing"}, "the core tells dispatcher.Options.OnSpan"},
	{"github.com/spf13/viper", []string{"config"}, "everybody else gets plain structs"},
	{"github.com/spf13/cobra", []string{"cmd/*"}, "flags are the program's edge"},
	{"github.com/nikoksr/notify", []string{"channels/notify"}, "the bridge contains the library's hazards"},
	{"github.com/emersion/go-smtp", []string{"channels/email", "bounces", "cmd/*"}, "e-mail is one adapter"},
	{"github.com/emersion/go-imap", []string{"bounces"}, "nobody else reads mail"},
	{"modernc.org/sqlite", []string{"ledger/sqlite"}, "an engine is behind its contract"},
	{"github.com/jackc/pgx", []string{"ledger/postgres"}, "an engine is behind its contract"},
	{"github.com/stretchr/testify", nil, "tests say what failed in their own words"},
}

func TestFences(t *testing.T) {
	walk(t, moduleRoot(t), func(dir, file string, imports []string) {
		for _, f := range fences {
			inside := slices.ContainsFunc(f.allowed, func(p string) bool { return match(p, dir) })
			for _, imp := range imports {
				if strings.HasPrefix(imp, f.dependency) && !inside {
					t.Errorf("%s imports %s, which belongs in %v only: %s", file, imp, f.allowed, f.why)
				}
			}
		}
	})
}

func match(pattern, dir string) bool {
	ok, err := path.Match(pattern, dir)
	return err == nil && ok
}

// walk calls visit for every production Go file with all it imports.
func walk(t *testing.T, root string, visit func(dir, file string, imports []string)) {
	t.Helper()
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() {
			if p != root && (strings.HasPrefix(name, ".") || name == "testdata" || name == "node_modules") {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		rel, err := filepath.Rel(root, p)
		if err != nil {
			return err
		}
		visit(filepath.ToSlash(filepath.Dir(rel)), filepath.ToSlash(rel), importsOf(t, p))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func importsOf(t *testing.T, file string) []string {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
	if err != nil {
		t.Fatal(err)
	}
	imports := make([]string, 0, len(f.Imports))
	for _, s := range f.Imports {
		p, err := strconv.Unquote(s.Path.Value)
		if err != nil {
			t.Fatal(err)
		}
		imports = append(imports, p)
	}
	return imports
}

// moduleRoot is the folder with go.mod. Files are parsed here rather than asked of
// the go command, so that the test cache notices when one changes.
func moduleRoot(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			t.Fatal("no go.mod above the test")
		}
		dir = parent
	}
}
