// Package schemadoc reads the comments of struct fields from Go source, so that
// the JSON Schema of the configuration describes a key in the words that stand
// beside its field and there is no second text to keep up. It is for tests and
// generators, which run where the source is.
package schemadoc

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"sync"
)

// Comments looks fields up in the source of the module with that path, whose root
// is dir. It is safe for concurrent use. A field without a comment, and a type of
// another module, have "".
func Comments(module, dir string) func(t reflect.Type, field string) string {
	s := &source{module: module, dir: dir, packages: map[string]map[string]string{}}
	return s.lookup
}

type source struct {
	module, dir string
	mu          sync.Mutex
	packages    map[string]map[string]string // import path → "Type.Field" → comment
}

func (s *source) lookup(t reflect.Type, field string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	path := t.PkgPath()
	rel, ok := strings.CutPrefix(path, s.module+"/")
	if !ok {
		return ""
	}
	if _, read := s.packages[path]; !read {
		s.packages[path] = fields(filepath.Join(s.dir, filepath.FromSlash(rel)))
	}
	return s.packages[path][t.Name()+"."+field]
}

// fields reads the package in dir. Files that cannot be read have no comments: the
// compiler is the one to complain about them.
func fields(dir string) map[string]string {
	out := map[string]string{}
	files, _ := filepath.Glob(filepath.Join(dir, "*.go")) // the pattern is well formed
	for _, name := range files {
		set := token.NewFileSet()
		f, err := parser.ParseFile(set, name, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			continue
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if spec, ok := n.(*ast.TypeSpec); ok {
				structFields(set, spec, out)
			}
			return true
		})
	}
	return out
}

// structFields collects the comments of a struct. A field without one that follows
// another without an empty line shares the other's: they were explained together.
func structFields(set *token.FileSet, spec *ast.TypeSpec, out map[string]string) {
	st, ok := spec.Type.(*ast.StructType)
	if !ok {
		return
	}
	keys := yamlKeys(st)
	last, lastLine := "", -1
	for _, f := range st.Fields.List {
		text := plain(f.Doc.Text()+"\n"+f.Comment.Text(), keys)
		if text == "" && set.Position(f.Pos()).Line == lastLine+1 {
			text = last
		}
		last, lastLine = text, set.Position(f.End()).Line
		for _, name := range f.Names {
			if text != "" {
				out[spec.Name.Name+"."+name.Name] = text
			}
		}
	}
}

var yamlTag = regexp.MustCompile(`yaml:"([^",]+)`)

// yamlKeys are the keys of the fields by their Go names.
func yamlKeys(st *ast.StructType) map[string]string {
	keys := map[string]string{}
	for _, f := range st.Fields.List {
		if f.Tag == nil || len(f.Names) != 1 {
			continue
		}
		if m := yamlTag.FindStringSubmatch(f.Tag.Value); m != nil {
			keys[f.Names[0].Name] = m[1]
		}
	}
	return keys
}

var (
	docLink = regexp.MustCompile(`\[([*\w./]+)\]`)
	subject = regexp.MustCompile(`^[\w, ]+? (is|are|holds|covers|permits|makes|names) `)
	word    = regexp.MustCompile(`\b[A-Z]\w*`)
	camel   = regexp.MustCompile(`[a-z][A-Z]|[A-Z]{2}[a-z]|[a-z]ID\b`)
)

// plain makes one paragraph of a comment, for people who see keys and no fields:
// doc links lose their brackets, and a field's name becomes its key where it is
// the subject of the comment or cannot be an ordinary word.
func plain(comment string, keys map[string]string) string {
	text := docLink.ReplaceAllString(strings.Join(strings.Fields(comment), " "), "$1")
	key := func(always bool) func(string) string {
		return func(w string) string {
			if k, ok := keys[w]; ok && (always || camel.MatchString(w)) {
				return "`" + k + "`"
			}
			return w
		}
	}
	head := subject.FindString(text)
	return word.ReplaceAllStringFunc(head, key(true)) + word.ReplaceAllStringFunc(text[len(head):], key(false))
}
