package renderers

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"sitrep/incident"
)

// Load is the built-in set with an operator's templates over it. Nil templates mean
// none.
//
// A template is a file named after what it makes, FORMAT.PART.tmpl, one of
//
//	email.subject.tmpl   email.text.tmpl   email.html.tmpl
//	mattermost.text.tmpl mattermost.card.tmpl
//	text.subject.tmpl    text.text.tmpl
//	chat.subject.tmpl    chat.text.tmpl
//	page.title.tmpl
//
// in folders that say for what it is, in any order and each left out for "any":
//
//	customer=ID/channel=ID/audience=AUDIENCE/email.html.tmpl
//
// The most particular file is used: one for the customer before one for the
// channel before one for the audience. A file that only defines blocks ("head",
// "sections", "foot"; for email.html also "style") changes only these blocks of
// the built-in template. One with a block whose name nobody uses is a mistake, and so is
// one with nothing in it: the built-in text would be sent and nobody would know why.
//
// Every template is parsed and rendered against all statuses, audiences and a set
// of awkward updates. If anything is wrong, the error names every mistake with its
// file and line, and there is no set.
func Load(templates fs.FS) (*Set, error) {
	s := Builtin()
	if templates == nil {
		return s, nil
	}
	var errs []error
	err := fs.WalkDir(templates, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || ignored(name) {
			return err
		}
		o, err := load(templates, name)
		if err != nil {
			errs = append(errs, err)
			return nil
		}
		s.overrides = append(s.overrides, o)
		return nil
	})
	if err != nil {
		errs = append(errs, fmt.Errorf("the templates cannot be read: %w", err))
	}
	slices.SortStableFunc(s.overrides, func(a, b override) int { return cmp.Compare(b.weight(), a.weight()) })
	errs = append(errs, s.twins()...)
	errs = append(errs, s.tryOut()...)
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return s, nil
}

// ignored are files that nobody takes for a template.
func ignored(name string) bool {
	base := path.Base(name)
	return strings.HasPrefix(base, ".") || strings.HasSuffix(base, ".md")
}

func load(templates fs.FS, name string) (override, error) {
	o, err := parsePath(name)
	if err != nil {
		return override{}, err
	}
	source, err := fs.ReadFile(templates, name)
	if err != nil {
		return override{}, fmt.Errorf("the template cannot be read: %w", err)
	}
	o.source = clean(string(source))
	if o.template, err = parsePart(o.part, name, o.source); err != nil {
		return override{}, errors.New(strings.TrimPrefix(strings.TrimPrefix(err.Error(), "html/"), "template: "))
	}
	return o, nil
}

// parsePath reads what a template is for from where it lies.
func parsePath(name string) (override, error) {
	o := override{path: name}
	dir, base := path.Split(name)
	for _, p := range allParts() {
		if p.file() == base {
			o.part = p
		}
	}
	if o.part == (part{}) {
		return o, fmt.Errorf("%s: no part of a message is called so: name the file one of %s (or end it in .md, if it is only a note)", name, partFiles())
	}
	for folder := range strings.SplitSeq(strings.Trim(dir, "/"), "/") {
		if err := o.forFolder(folder); err != nil {
			return o, fmt.Errorf("%s: %w", name, err)
		}
	}
	return o, nil
}

func (o *override) forFolder(folder string) error {
	if folder == "" {
		return nil
	}
	key, value, _ := strings.Cut(folder, "=")
	to := map[string]*string{"customer": &o.customer, "channel": &o.channel, "audience": (*string)(&o.audience)}[key]
	switch {
	case to == nil || value == "":
		return fmt.Errorf("the folder %q does not say for what the template is: name it customer=ID, channel=ID or audience=AUDIENCE", folder)
	case *to != "":
		return fmt.Errorf("the folder %q names a second %s: use one folder for each", folder, key)
	case key == "audience" && !incident.Audience(value).Valid():
		return fmt.Errorf("the folder %q names no audience: use internal, customer or public", folder)
	}
	*to = value
	return nil
}

func partFiles() string {
	var names []string
	for _, p := range allParts() {
		names = append(names, p.file())
	}
	return strings.Join(names, ", ")
}

// twins are templates for exactly the same: of two, one would never be used.
func (s *Set) twins() []error {
	seen := map[override]string{}
	var errs []error
	for _, o := range s.overrides {
		key := override{part: o.part, customer: o.customer, channel: o.channel, audience: o.audience}
		if first, ok := seen[key]; ok {
			errs = append(errs, fmt.Errorf("%s is for exactly the same as %s: remove one", o.path, first))
			continue
		}
		seen[key] = o.path
	}
	return errs
}
