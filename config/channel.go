package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Channel is the part of a channel's stanza that every kind has. The rest is the
// kind's own and is read by Decode.
type Channel struct {
	ID   string // unique; its case counts
	Kind string

	Workers     int           // sends at a time; 0: the kind's default
	Timeout     time.Duration // of one attempt
	ExpireAfter time.Duration // how long a delivery is tried
	OnAmbiguous string        // "resend" or "unknown"; empty: the kind's default
	Retry       Retry

	// Decode fills the struct v points to from the stanza: strictly, by its yaml
	// tags, with secrets and variables resolved. Keys that every channel has are
	// passed over unless v has them too. Its error is an *Errors.
	Decode func(v any) error

	Line, Column int // where the stanza begins in the file
	kind         position
	keys         map[string]position
}

// Retry is the pause before another attempt: it doubles from Base to Max.
type Retry struct {
	Base time.Duration `yaml:"base" doc:"Pause before the second attempt; it doubles from one to the next. Default: 1s."`
	Max  time.Duration `yaml:"max" doc:"Longest pause. Default: 5m."`
}

// rawChannel is what every channel has.
type rawChannel struct {
	At   position
	node *yaml.Node

	ID          text          `yaml:"id" doc:"Name of the channel: letters, digits and . _ -. Lists refer to it; its case counts."`
	Kind        text          `yaml:"kind" doc:"What it is."`
	Workers     int           `yaml:"workers" doc:"Messages sent at a time. Default: what suits the kind."`
	Timeout     time.Duration `yaml:"timeout" doc:"Time limit of one attempt. Default: 30s."`
	ExpireAfter time.Duration `yaml:"expire_after" doc:"How long a delivery is tried before it is given up. Default: the general expire_after."`
	OnAmbiguous onAmbiguous   `yaml:"on_ambiguous" doc:"What to do when nobody knows whether a message arrived: resend it, or keep it as unknown and say so. Default: what suits the kind."`
	Retry       Retry         `yaml:"retry" doc:"Pause between attempts."`
}

type onAmbiguous struct{ text }

func (onAmbiguous) words() []string { return []string{"resend", "unknown"} }

// defaults of every channel.
const (
	defaultTimeout = 30 * time.Second
	defaultBase    = time.Second
	defaultMax     = 5 * time.Minute
	mostWorkers    = 1000
)

func (r *rawChannel) take(d *decoder, n *yaml.Node, key string) {
	r.At, r.node = at(n), n
	r.Timeout, r.Retry = defaultTimeout, Retry{Base: defaultBase, Max: defaultMax}
	if n.Kind != yaml.MappingNode {
		d.problem(at(n), "A channel must be a mapping, and this is "+kindName(n)+".", "Write `- {id: chat, kind: mattermost, …}`.")
		return
	}
	known := fieldsOf(reflect.ValueOf(r).Elem())
	for _, p := range d.pairs(n) { // other keys are the kind's, who checks them
		if f, ok := known[p.key.Value]; ok {
			d.field(n, p, f, nil)
		}
	}
}

// commonKeys are the keys that every channel has.
func commonKeys() []string {
	var r rawChannel
	return sortedKeys(fieldsOf(reflect.ValueOf(&r).Elem()))
}

// channels checks the common part of every channel and takes it over.
func (c *Config) channels(d *decoder, raw []rawChannel) {
	if len(raw) == 0 {
		d.warn(position{Line: 1}, "There are no `channels`, so nothing can be sent.", "Add one: config.example.yaml shows every kind.")
	}
	seen := map[string]int{}
	for _, r := range raw {
		if r.node.Kind != yaml.MappingNode {
			continue
		}
		d.identifier(&r.ID, "channel", r.At)
		if first, twice := seen[r.ID.Value]; twice && r.ID.Value != "" {
			d.problem(r.ID.At, fmt.Sprintf("Channel %s is defined twice, first in line %d.", r.ID.Shown, first), "Give one of them another id.")
		}
		seen[r.ID.Value] = r.At.Line
		if r.Kind.At == (position{}) {
			d.problem(r.At, "The channel has no `kind`.", "Say what it is: `kind: email`, for example.")
		}
		c.Channels = append(c.Channels, c.channel(d, r))
	}
}

func (c *Config) channel(d *decoder, r rawChannel) Channel {
	ch := Channel{
		ID: r.ID.Value, Kind: r.Kind.Value, Workers: r.Workers, Timeout: r.Timeout, ExpireAfter: r.ExpireAfter,
		OnAmbiguous: r.OnAmbiguous.Value, Retry: r.Retry, Line: r.At.Line, Column: r.At.Column, kind: r.Kind.At,
		keys: map[string]position{},
	}
	if ch.ExpireAfter == 0 {
		ch.ExpireAfter = c.ExpireAfter
	}
	quiet := *d
	quiet.out = &collector{} // take has reported its mistakes
	for _, p := range quiet.pairs(r.node) {
		ch.keys[p.key.Value] = at(resolve(p.value))
	}
	ch.check(d, r)
	ch.Decode = func(v any) error { return d.stanza(r.node, v) }
	return ch
}

func (ch *Channel) check(d *decoder, r rawChannel) {
	place := func(key string) position {
		if p, ok := ch.keys[key]; ok {
			return p
		}
		return r.At
	}
	if ch.Workers < 0 || ch.Workers > mostWorkers || (ch.Workers == 0 && ch.keys["workers"] != position{}) {
		d.problem(place("workers"), fmt.Sprintf("`workers` must be between 1 and %d.", mostWorkers), "Leave it out for what suits the kind.")
	}
	if ch.Timeout < time.Millisecond {
		d.problem(place("timeout"), "`timeout` must be longer than nothing.", "Write it like `timeout: 30s`.")
	}
	if ch.Retry.Base < time.Millisecond {
		d.problem(place("retry"), "In `retry`, `base` must be longer than nothing.", "Write it like `base: 1s`.")
	}
	if ch.ExpireAfter < time.Minute && ch.keys["expire_after"] != (position{}) {
		d.problem(place("expire_after"), "`expire_after` is less than a minute.", "Give deliveries time for a retry: 4h is the default.")
	}
	if ch.Retry.Max < ch.Retry.Base {
		d.problem(place("retry"), "In `retry`, `max` is shorter than `base`.", "Pauses grow from base to max.")
	}
	if w := r.OnAmbiguous; w.At != (position{}) && !slices.Contains(w.words(), w.Value) {
		d.problem(w.At, "`on_ambiguous` must be resend or unknown, not "+w.Shown+".", didYouMean(w.Value, w.words()))
	}
}

// stanza decodes a channel's stanza for its kind.
func (d *decoder) stanza(n *yaml.Node, v any) error {
	e := *d
	e.out = &collector{}
	target := reflect.ValueOf(v)
	if target.Kind() != reflect.Pointer || target.IsNil() || target.Elem().Kind() != reflect.Struct {
		return fmt.Errorf("a stanza is decoded into a struct by its pointer, not into %T", v)
	}
	e.structure(n, "channel", target.Elem(), commonKeys())
	return e.out.err()
}

// identifier checks what lists and people refer to.
func (d *decoder) identifier(id *text, of string, owner position) {
	const most = 64
	switch {
	case id.At == (position{}):
		d.problem(owner, "The "+of+" has no `id`.", "Give it one: letters, digits and . _ -.")
	case id.Value == "": // reported when it was read, or an empty text
		if id.Shown == "``" {
			d.problem(id.At, "The `id` of the "+of+" is empty.", "Give it one: letters, digits and . _ -.")
		}
	case len(id.Value) > most || strings.ContainsFunc(id.Value, notInID):
		d.problem(id.At, fmt.Sprintf("The id %s holds something else than letters, digits and . _ -, or is longer than %d.", id.Shown, most),
			"Write it like enterprise-abc; `name` may be anything.")
	}
}

func notInID(r rune) bool {
	letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
	return !letter && !strings.ContainsRune("._-", r)
}
