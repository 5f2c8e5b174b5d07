package config

import (
	"errors"
	"slices"
	"strings"
)

// Checks is what the caller knows of kinds. Any field may be nil.
type Checks struct {
	Kinds []string // all there are

	// Open builds the channel from its stanza, as a start would.
	Open func(Channel) error

	// Warn says what is no mistake in a stanza and yet deserves a look, in errors as
	// Open's. It is asked about stanzas without mistakes only.
	Warn func(Channel) error

	// Address says what is wrong with an address of a list, for that kind.
	Address func(kind, address string) error
}

// Check reports every mistake that Load found and, with the help of k, every one
// that takes knowledge of the kinds: unknown kinds, mistakes in the stanzas and
// malformed addresses. The error is an *Errors.
func (c *Config) Check(k Checks) error {
	found := &collector{all: c.found.sorted()}
	for _, ch := range c.Channels {
		switch {
		case ch.Kind == "":
		case k.Kinds != nil && !slices.Contains(k.Kinds, ch.Kind):
			found.add(c.problem(ch.kind, "`"+clip(ch.Kind)+"` is not a kind of channel.", didYouMean(ch.Kind, k.Kinds)))
		case k.Open != nil:
			mistakes := withoutEchoes(c.opened(ch, k.Open(ch)))
			for _, p := range mistakes {
				found.add(p)
			}
			if len(mistakes) == 0 && k.Warn != nil {
				for _, p := range c.opened(ch, k.Warn(ch)) {
					c.warnings.add(p)
				}
			}
		}
	}
	if k.Address != nil {
		for _, o := range c.origins {
			c.address(k, o, found)
		}
	}
	return found.err()
}

func (c *Config) problem(p position, what, remedy string) Problem {
	return Problem{File: c.Path, Line: p.Line, Column: p.Column, What: what, Remedy: remedy}
}

// withoutEchoes leaves out what a kind says of a key whose value could not be
// read, such as that it is missing.
func withoutEchoes(problems []Problem) []Problem {
	unread, secrets := map[position]bool{}, map[string]bool{}
	for _, p := range problems {
		unread[position{p.Line, p.Column}] = unread[position{p.Line, p.Column}] || !p.said
		secrets[p.secret] = p.secret != ""
	}
	return slices.DeleteFunc(slices.Clone(problems), func(p Problem) bool {
		_, sentence, _ := strings.Cut(p.What, ": ") // without the channel's name
		speaksOf := func(word string) bool { return secrets[strings.TrimRight(word, ".")] }
		return p.said && (unread[position{p.Line, p.Column}] || slices.ContainsFunc(strings.FieldsFunc(sentence, notInID), speaksOf))
	})
}

// opened turns what a kind says of its stanza into problems with a place. The
// decoder's own have one; of others, one that begins with a key stands at that
// key. Joined errors and lines are problems of their own.
func (c *Config) opened(ch Channel, err error) []Problem {
	switch e := err.(type) { //nolint:errorlint // the tree is taken apart level by level
	case nil:
		return nil
	case *Errors:
		return e.Problems
	case interface{ Unwrap() []error }:
		var all []Problem
		for _, part := range e.Unwrap() {
			all = append(all, c.opened(ch, part)...)
		}
		return all
	case interface{ Unwrap() error }:
		if _, ok := errors.AsType[*Errors](err); ok {
			return c.opened(ch, e.Unwrap())
		}
	}
	var all []Problem
	for line := range strings.Lines(err.Error()) {
		all = append(all, c.said(ch, strings.TrimSpace(line)))
	}
	return all
}

// said is one sentence of a kind about its stanza.
func (c *Config) said(ch Channel, what string) Problem {
	place := position{Line: ch.Line, Column: ch.Column}
	for _, own := range []string{"channel " + ch.ID + ": ", ch.ID + ": ", ch.Kind + ": "} {
		what = strings.TrimPrefix(what, own) // said once, by us
	}
	first, _, _ := strings.Cut(what, " ")
	if p, given := ch.keys[strings.Trim(first, "`\":,")]; given {
		place = p
	}
	p := c.problem(place, "Channel "+clip(ch.ID)+": "+sentence(what), "")
	p.said = true
	return p
}

func (c *Config) address(k Checks, o origin, found *collector) {
	ch, ok := c.Channel(o.channel)
	if !ok || (k.Kinds != nil && !slices.Contains(k.Kinds, ch.Kind)) {
		return
	}
	if err := k.Address(ch.Kind, o.address); err != nil {
		why := strings.Join(strings.Fields(err.Error()), " ")
		if o.shown != o.address { // a variable's value does not show
			why = strings.ReplaceAll(why, o.address, o.shown)
		}
		p := o.place
		p.What = "`" + clip(o.shown) + "` cannot be an address on " + o.channel + ": " + sentence(why)
		found.add(p)
	}
}
