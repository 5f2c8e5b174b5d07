package config

import (
	"reflect"

	"go.yaml.in/yaml/v3"

	"sitrep/incident"
)

// addresses is an entry of `to`: channels, each with its addresses.
type addresses struct {
	entries []entry
}

// entry is one address or one file of them, on one channel.
type entry struct {
	channel text
	address text // or
	file    text
	name    text
	locale  text
	zone    text

	required bool
	asked    position // where required stands
}

func (a *addresses) take(d *decoder, n *yaml.Node, _ string) {
	if n.Kind != yaml.MappingNode {
		d.problem(at(n), "An entry of `to` must name its channel, and this is "+kindName(n)+".", "Write `- {mail: [alice@abc.example]}`.")
		return
	}
	for _, p := range d.pairs(n) {
		channel := text{p.key.Value, "`" + clip(p.key.Value) + "`", at(p.key)}
		a.channel(d, channel, resolve(p.value))
	}
}

func (a *addresses) channel(d *decoder, channel text, n *yaml.Node) {
	switch {
	case isNull(n):
		d.problem(channel.At, channel.Shown+" has no addresses.", "Write `{"+clip(channel.Value)+": [one, two]}`.")
	case n.Kind == yaml.SequenceNode:
		for _, c := range n.Content {
			a.one(d, channel, resolve(c))
		}
	default:
		a.one(d, channel, n)
	}
}

func (a *addresses) one(d *decoder, channel text, n *yaml.Node) {
	e := entry{channel: channel}
	switch n.Kind {
	case yaml.MappingNode:
		e.fields(d, n)
	case yaml.SequenceNode:
		d.problem(at(n), "A list inside the list of addresses has no meaning.", "Write the addresses in one list.")
	default:
		e.address.take(d, n, channel.Value)
		e.address.oneLine(d, "address")
		e.name.Value, e.address.Value = incident.SplitName(e.address.Value)
		if e.address.Value == "" && e.address.Shown == "``" {
			d.problem(at(n), "The address is empty.", "Write one, or remove it.")
		}
	}
	if e.address.Value != "" || e.file.Value != "" {
		a.entries = append(a.entries, e)
	}
}

// recipientKeys are the keys of an address written as a mapping.
func recipientKeys() []string {
	return []string{"address", "file", "locale", "name", "required", "zone"}
}

func (e *entry) fields(d *decoder, n *yaml.Node) {
	into := map[string]*text{"address": &e.address, "file": &e.file, "locale": &e.locale, "name": &e.name, "zone": &e.zone}
	for _, p := range d.pairs(n) {
		if t, ok := into[p.key.Value]; ok {
			t.take(d, resolve(p.value), p.key.Value)
			t.oneLine(d, p.key.Value)
			continue
		}
		if p.key.Value == "required" {
			e.asked = at(p.key)
			d.truth(resolve(p.value), "required", reflect.ValueOf(&e.required).Elem())
			continue
		}
		d.problem(at(p.key), "`"+clip(p.key.Value)+"` is not a setting here.", didYouMean(p.key.Value, recipientKeys()))
	}
	name, address := incident.SplitName(e.address.Value)
	if e.address.Value = address; e.name.Value == "" {
		e.name.Value = name
	}
	switch hasAddress, hasFile := e.address.At != (position{}), e.file.At != (position{}); {
	case hasAddress && hasFile:
		d.problem(e.file.At, "`address` and `file` stand in one entry.", "Make two entries of them.")
		e.file = text{}
	case !hasAddress && !hasFile:
		d.problem(at(n), "The recipient has no `address`.", "Write `{address: …, name: …, locale: …, zone: …, required: true}` or `{file: list.csv}`.")
	case hasFile && (e.name.Value != "" || e.locale.Value != "" || e.zone.Value != "" || e.asked != (position{})):
		d.problem(e.file.At, "`name`, `locale`, `zone` and `required` have no meaning beside `file`.", "They are columns of the file.")
	}
}
