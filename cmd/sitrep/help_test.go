package main

import (
	"os"
	"strings"
	"testing"
)

// The README's list of commands is the program's.
func TestREADMENamesEveryCommand(t *testing.T) {
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "## Commands\n")
	list, _, _ := strings.Cut(section, ". Each has")
	named := map[string]bool{}
	for i, word := range strings.Split(list, "`") {
		if i%2 == 1 {
			named[word] = true
		}
	}
	root := newApp(nil, nil, nil, nil).rootCommand()
	for _, cmd := range root.Commands() {
		name := cmd.Name()
		if topic := !cmd.Runnable() && !cmd.HasSubCommands(); topic || cmd.Hidden || name == "help" {
			continue
		}
		if !named[name] {
			t.Errorf("the README does not name %s", name)
		}
		delete(named, name)
	}
	for name := range named {
		t.Errorf("the README names %s, which is no command", name)
	}
	for _, cmd := range commands(root) {
		for l := range strings.Lines(cmd.Long) {
			if n := len([]rune(strings.TrimRight(l, "\n"))); n > 92 {
				t.Errorf("the help of %s has a line of %d columns: %s", cmd.CommandPath(), n, l)
			}
		}
	}
}

func TestVersionFlag(t *testing.T) {
	_, want, _ := cli(t, nil, "version")
	if code, got, _ := cli(t, nil, "--version"); code != exitOK || got != want {
		t.Errorf("%d %q, want %q", code, got, want)
	}
	_, want, _ = cli(t, nil, "version", "--json")
	if code, got, _ := cli(t, nil, "--version", "--json"); code != exitOK || got != want {
		t.Errorf("%d %q, want %q", code, got, want)
	}
}
