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
			mistakes := withoutEchoes(c.tried(ch, k.Open))
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

// tried is everything that is wrong with a stanza. One whose only mistakes are secrets
// that cannot be read is opened all the same, with something else in their place, for
// what else is wrong with it.
func (c *Config) tried(ch Channel, open func(Channel) error) []Problem {
	var unread []error
	decode := ch.Decode
	ch.Decode = func(v any) error {
		err := decode(v)
		if es, ok := errors.AsType[*Errors](err); ok && es.onlySecrets() {
			unread = append(unread, err)
			return nil
		}
		return err
	}
	err := open(ch)
	return c.opened(ch, errors.Join(append(unread, err)...))
}

func (e *Errors) onlySecrets() bool {
	return !slices.ContainsFunc(e.Problems, func(p Problem) bool { return p.secret == "" })
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
		return p.said && (unread[position{p.Line, p.Column}] || speaksOf(sentence, secrets))
	})
}

// speaksOf reports whether a kind's sentence is about one of these keys: the last one of
// those that it begins with, as in "dkim: selector: …", or where it begins with none, any
// that it names.
func speaksOf(sentence string, keys map[string]bool) bool {
	subject := ""
	for {
		head, rest, found := strings.Cut(sentence, ": ")
		if !found || len(strings.Fields(head)) > 2 { // "relay HOST", but no sentence
			break
		}
		subject, sentence = head, rest
	}
	if subject != "" {
		return keys[strings.Trim(subject, "`\"")]
	}
	return slices.ContainsFunc(strings.FieldsFunc(sentence, notInID), func(word string) bool { return keys[strings.TrimRight(word, ".")] })
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
