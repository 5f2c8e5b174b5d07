package incident

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Problem is one thing wrong with an update, in words its author can act on.
type Problem struct {
	Line   int    // 1-based line in the source; 0 when it has none
	What   string // what is wrong and why, one sentence
	Remedy string // what to write or do instead, one sentence
}

func (p Problem) String() string {
	s := p.What
	if p.Remedy != "" {
		s += " " + p.Remedy
	}
	if p.Line > 0 {
		return fmt.Sprintf("line %d: %s", p.Line, s)
	}
	return s
}

// Problems is every problem at once. As an error it prints one per line.
type Problems []Problem

func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i, x := range p {
		lines[i] = x.String()
	}
	return strings.Join(lines, "\n")
}

// Err is p as an error, or nil if there is no problem.
func (p Problems) Err() error {
	if len(p) == 0 {
		return nil
	}
	return p
}

// sorted is p in the order of the source, those without a line first, and each
// problem once.
func (p Problems) sorted() Problems {
	slices.SortStableFunc(p, func(a, b Problem) int { return cmp.Compare(a.Line, b.Line) })
	return slices.Compact(p)
}

// refusal is why a piece of text cannot be read; it becomes a Problem where the
// line is known.
type refusal struct{ what, remedy string }

func (r *refusal) Error() string { return r.what + " " + r.remedy }

// problemOf is err at a line.
func problemOf(line int, err error) Problem {
	if r, ok := errors.AsType[*refusal](err); ok {
		return Problem{line, r.what, r.remedy}
	}
	return Problem{line, err.Error(), ""}
}
