package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"strings"

	"go.yaml.in/yaml/v3"

	"sitrep/internal/secret"
)

const maxSecret = 64 << 10 // bytes of a file that holds a secret

// secret takes a credential that the file itself holds or a variable gives. No
// message shows it, not even one about its type.
func (d *decoder) secret(n *yaml.Node, key string) secret.String {
	if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!bool" {
		d.problem(at(n), quoted(key)+" must be text, and this is a truth value.", "Put it in quotes if it is meant.")
		return secret.String{}
	}
	s, ok := d.secretText(n, key)
	switch {
	case !ok:
	case strings.TrimSpace(s) == "" && strings.Contains(key, "."): // of a map, where there are no twins
		d.problem(at(n), quoted(key)+" is empty.", "Give the secret, or remove the line.")
	case strings.TrimSpace(s) == "":
		d.problem(at(n), quoted(key)+" is empty.", "Give the secret, or name a file that holds it with `"+key+"_file`.")
	case d.exposed && !strings.Contains(n.Value, "${"):
		d.warn(at(n), quoted(key)+" stands in a file that others can read.",
			"Run `chmod 640` on it, or use `"+key+"_file` or ${NAME}.")
	}
	return secret.New(s)
}

// secretText is text, but for a ${ in a literal secret: what is inside it may be
// part of the secret, so it is not repeated.
func (d *decoder) secretText(n *yaml.Node, key string) (string, bool) {
	if n.Kind == yaml.ScalarNode && malformed(n.Value) {
		d.problem(at(n), quoted(key)+" has a ${ that does not begin the name of a variable.",
			"Write ${NAME}, or $${ if the text itself is meant.")
		return "", false
	}
	return d.text(n, key)
}

func malformed(s string) bool {
	for i, part := range strings.Split(s, "${") {
		name, _, closed := strings.Cut(part, "}")
		if i > 0 && (!closed || !variableName(name)) && !strings.HasSuffix(strings.Split(s, "${")[i-1], "$") {
			return true
		}
	}
	return false
}

// secretFile reads the file that a *_file key names.
func (d *decoder) secretFile(n *yaml.Node, key string) secret.String {
	name, ok := d.text(n, key)
	if !ok {
		return secret.String{}
	}
	path := d.abs(name)
	d.note(path)
	content, mode, err := readSmall(path, maxSecret)
	value := strings.TrimRight(string(content), "\r\n")
	switch {
	case err != nil:
		d.problem(at(n), quoted(key)+": "+reason(d.display(path), err)+".", fileRemedy(err))
	case strings.TrimSpace(value) == "":
		d.problem(at(n), quoted(key)+": the file "+d.display(path)+" is empty.", "Write the secret into it.")
	case wide(mode):
		d.warn(at(n), fmt.Sprintf("%s: others can read or change %s (mode %#o).", quoted(key), d.display(path), mode.Perm()),
			"Run `chmod 640` on it.")
	}
	return secret.New(value)
}

// wide reports permissions beyond 0640. Windows has no such bits.
func wide(mode fs.FileMode) bool {
	return runtime.GOOS != "windows" && mode.Perm()&^0o740 != 0
}

// errTooLarge says that a file is larger than it can sensibly be.
var errTooLarge = errors.New("is too large")

// readSmall reads a regular file (or a pipe, as process substitution gives) of at
// most limit bytes.
func readSmall(path string, limit int64) ([]byte, fs.FileMode, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return nil, 0, err
	}
	content, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(content)) > limit {
		err = errTooLarge
	}
	return content, info.Mode(), err
}

// reason says in plain words why a file cannot be read.
func reason(path string, err error) string {
	var p *fs.PathError
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "there is no file " + path
	case errors.Is(err, fs.ErrPermission):
		return "the file " + path + " may not be read by this user"
	case errors.Is(err, errTooLarge):
		return "the file " + path + " is too large"
	case errors.As(err, &p):
		return "the file " + path + " cannot be read: " + p.Err.Error()
	}
	return "the file " + path + " cannot be read: " + err.Error()
}

func fileRemedy(err error) string {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "Paths are relative to the directory of the configuration file."
	case errors.Is(err, fs.ErrPermission):
		return "Give the user that runs sitrep the right to read it."
	}
	return "Is it the right file?"
}
