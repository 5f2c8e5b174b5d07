package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// Problem is one thing wrong with the configuration, for its operator.
type Problem struct {
	File   string `json:"file,omitempty"`   // the YAML file or a CSV file; empty for the environment
	Line   int    `json:"line,omitempty"`   // 1-based; 0 when there is none
	Column int    `json:"column,omitempty"` // 1-based; 0 when there is none
	What   string `json:"what"`             // what is wrong, one sentence
	Remedy string `json:"remedy,omitempty"` // what to write instead, one sentence

	said   bool   // by a kind about its stanza, not by the decoder
	secret string // the key of the secret that could not be read, without its _file
}

// String is "file:line:col: what remedy", as editors and terminals link it.
func (p Problem) String() string {
	at := p.File
	for _, n := range []int{p.Line, p.Column} {
		if n > 0 {
			at += fmt.Sprintf(":%d", n)
		}
	}
	text := p.What
	if p.Remedy != "" {
		text += " " + p.Remedy
	}
	if at == "" {
		return text
	}
	return at + ": " + text
}

func (p Problem) compare(q Problem) int {
	return cmp.Or(strings.Compare(p.File, q.File), cmp.Compare(p.Line, q.Line),
		cmp.Compare(p.Column, q.Column), strings.Compare(p.What, q.What), strings.Compare(p.Remedy, q.Remedy))
}

// Errors is every mistake at once, sorted by place. It prints one per line.
type Errors struct {
	Problems []Problem `json:"problems"`
}

func (e *Errors) Error() string { return Lines(e.Problems) }

// Lines prints problems one per line.
func Lines(problems []Problem) string {
	lines := make([]string, len(problems))
	for i, p := range problems {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// collector gathers problems from anywhere. Its zero value is ready. It is safe
// for concurrent use, for channels may be opened while others are.
type collector struct {
	mu  sync.Mutex
	all []Problem
}

func (c *collector) add(p Problem) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all = append(c.all, p)
}

// sorted is what was found so far. What an alias repeats is said once.
func (c *collector) sorted() []Problem {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := slices.Clone(c.all)
	slices.SortFunc(out, Problem.compare)
	return slices.Compact(out)
}

// err is what was found so far as an error, or nil.
func (c *collector) err() error {
	if all := c.sorted(); len(all) > 0 {
		return &Errors{Problems: all}
	}
	return nil
}
