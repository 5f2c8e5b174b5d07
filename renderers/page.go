package renderers

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"sitrep/channels"
)

func (w *work) page() (channels.Message, error) {
	title, err := w.execute("title")
	if err != nil {
		return channels.Message{}, err
	}
	u := w.request.Update
	update := channels.PageUpdate{
		Incident: opaque(u.Incident), Seq: u.Seq, Audience: string(w.request.Audience),
		Title: oneLine(title), Severity: u.Severity.String(), Status: string(u.Status),
		Zone: zoneID(newClock(w.request).zone),
		At:   u.At.UTC(), Started: u.Started.UTC(), Next: u.Next.UTC(),
		Sections: w.pageSections(),
	}
	if u.Next.IsZero() {
		update.Next = time.Time{}
	}
	payload, err := marshal(update)
	if err != nil {
		return channels.Message{}, fmt.Errorf("render the page: %w", err)
	}
	if most := w.request.Limits.PayloadBytes; most > 0 && len(payload) > most {
		return channels.Message{}, w.tooLong("page", len(payload), most, "bytes")
	}
	return channels.Message{Format: channels.FormatPage, Payload: payload}, nil
}

func (w *work) pageSections() []channels.PageSection {
	sections := []channels.PageSection{}
	for i, v := range w.view.Sections {
		sections = append(sections, channels.PageSection{
			Heading: v.Heading,
			HTML:    strings.TrimSpace(htmlOf(w.docs[i].blocks, pageAttrs(), w.set.pageNet)),
			Text:    strings.TrimRight(finishText(v.Text, false), "\n"),
		})
	}
	return sections
}

// opaque is an incident's id for the payload of a page: stable, and without the
// customer's name that a readable id holds. It is not keyed, as a rendering is a pure
// function of the update and those stored before must go on matching; so it is not for
// readers, and the page makes another one for its links ([channels.PageUpdate]).
func opaque(id string) string {
	sum := sha256.Sum256([]byte("sitrep page incident\x00" + id))
	return strings.ToLower(base32.StdEncoding.EncodeToString(sum[:15]))
}

// zoneID is the IANA name of a zone, UTC for one without.
func zoneID(z *time.Location) string {
	if _, err := time.LoadLocation(z.String()); err != nil || z == time.Local {
		return "UTC"
	}
	return z.String()
}

// marshal is JSON for a machine: "<" stays readable, it is not going into HTML.
func marshal(v any) ([]byte, error) {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return []byte(strings.TrimSuffix(b.String(), "\n")), nil
}
