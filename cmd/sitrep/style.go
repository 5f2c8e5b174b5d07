package main

import (
	"io"
	"os"
	"strings"
	"unicode"

	"golang.org/x/term"
)

// style colours text for one writer, or leaves it alone. Colour is never the only
// sign of anything: the words say the same.
type style struct{ on bool }

// style for w: colour only on a terminal, never with NO_COLOR (no-color.org) or
// TERM=dumb.
func (a *app) style(w io.Writer) style {
	return style{on: a.getenv("NO_COLOR") == "" && a.getenv("TERM") != "dumb" && isTerminal(w)}
}

func (s style) wrap(code, text string) string {
	if !s.on || text == "" {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

func (s style) bold(t string) string   { return s.wrap("1", t) }
func (s style) dim(t string) string    { return s.wrap("2", t) }
func (s style) red(t string) string    { return s.wrap("31", t) }
func (s style) green(t string) string  { return s.wrap("32", t) }
func (s style) yellow(t string) string { return s.wrap("33", t) }

// status colours a status word.
func (s style) status(status, text string) string {
	switch status {
	case "investigating":
		return s.red(text)
	case "identified", "monitoring":
		return s.yellow(text)
	case "resolved":
		return s.green(text)
	}
	return text
}

func isTerminal(w any) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

func width(w any, otherwise int) int {
	if f, ok := w.(*os.File); ok {
		if n, _, err := term.GetSize(int(f.Fd())); err == nil && n > 20 {
			return n
		}
	}
	return otherwise
}

// printable makes foreign text safe for a terminal: no control characters, no
// escape sequences, no bidirectional overrides. Line ends and tabs stay.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n', r == '\t':
			return r
		case unicode.IsControl(r), r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069:
			return '\uFFFD'
		}
		return r
	}, s)
}

// oneLine is printable without line ends.
func oneLine(s string) string { return strings.Join(strings.Fields(printable(s)), " ") }
