package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"sitrep/config"
)

// templateMistakes are mistakes in the operator's templates in the form of those in the
// configuration: each with its file and line. One that is of no file is the
// configuration's.
func templateMistakes(cfg *config.Config, err error) error {
	var all []config.Problem
	for line := range strings.Lines(err.Error()) {
		if line = strings.TrimSpace(line); line != "" {
			all = append(all, templateMistake(cfg, line))
		}
	}
	return &config.Errors{Problems: all}
}

// placed is "FILE:LINE:COLUMN: what", and "FILE what".
var placed = regexp.MustCompile(`^([^: ]+)(?::(\d+))?(?::(\d+))?(:?) (.*)$`)

func templateMistake(cfg *config.Config, line string) config.Problem {
	m := placed.FindStringSubmatch(line)
	if m == nil {
		return config.Problem{File: cfg.Path, What: sentence(line)}
	}
	if info, err := os.Stat(filepath.Join(cfg.TemplatesDir, filepath.FromSlash(m[1]))); cfg.TemplatesDir == "" || err != nil || info.IsDir() {
		return config.Problem{File: cfg.Path, What: sentence(line)}
	}
	p := config.Problem{File: filepath.Join(templatesDir(cfg), filepath.FromSlash(m[1])), What: m[5]}
	if m[4] == "" {
		p.What = "it " + p.What // the file was the sentence's subject
	}
	p.What = sentence(p.What)
	p.Line, _ = strconv.Atoi(m[2]) // none is 0
	p.Column, _ = strconv.Atoi(m[3])
	return p
}

// templatesDir is the directory as its operator knows it: from where the configuration
// was named.
func templatesDir(cfg *config.Config) string {
	dir := filepath.Dir(cfg.Path)
	base, err := filepath.Abs(dir)
	if err != nil {
		return cfg.TemplatesDir
	}
	if rel, err := filepath.Rel(base, cfg.TemplatesDir); err == nil && filepath.IsLocal(rel) {
		return filepath.Join(dir, rel)
	}
	return cfg.TemplatesDir
}

// sentence makes a sentence of an error's text.
func sentence(s string) string {
	first, size := utf8.DecodeRuneInString(s)
	s = string(unicode.ToUpper(first)) + s[size:]
	if strings.HasSuffix(s, ".") || strings.HasSuffix(s, "?") {
		return s
	}
	return s + "."
}
