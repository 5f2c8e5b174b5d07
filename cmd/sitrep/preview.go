package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sitrep/channels"
	"sitrep/dispatcher"
	"sitrep/incident"
)

const previewLong = `Shows exactly what each channel would send to each audience, byte for byte, without
sending or recording anything. What differs per recipient (To, Message-ID) is put
in when it is sent and is not shown.

With --html it writes one self-contained page with every rendering side by side:
mail as a phone and a desktop show it, chat, the status page, plain text.

An update that the leak guard refuses is shown all the same, with what it found.`

// previewFlags are the flags of preview.
type previewFlags struct {
	html, incident, next string
	only                 []string
}

func (a *app) previewCommand() *cobra.Command {
	var f previewFlags
	cmd := &cobra.Command{
		Use:   "preview FILE|-",
		Short: "What would everybody get? Sends nothing",
		Long:  previewLong,
		Example: `  sitrep preview update.md
  sitrep preview update.md --only customer,mail
  sitrep preview update.md --html preview.html`,
		Args: args(1, "the update's file"),
		RunE: func(cmd *cobra.Command, list []string) error {
			return a.preview(cmd.Context(), list[0], f)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.html, "html", "", "write one page with every rendering to `OUT`")
	flags.StringVar(&f.incident, "incident", "", "the incident's `ID`, as for send")
	flags.StringVar(&f.next, "next", "", "when the next update comes, as `TIME`, as for send")
	flags.StringSliceVar(&f.only, "only", nil, "only for `WHOM`: audiences, lists or channels, separated by commas")
	return cmd
}

func (a *app) preview(ctx context.Context, file string, f previewFlags) error {
	src, err := a.readUpdate(file)
	if err != nil {
		return err
	}
	return a.withReading(ctx, func(ctx context.Context, h *house) error {
		p, err := h.dispatcher.Prepare(ctx, dispatcher.Submission{Source: src, Incident: f.incident, Next: f.next, Only: f.only})
		refusal, leaked := errors.AsType[*dispatcher.Refusal](err)
		if err != nil && !leaked {
			return a.refused(file, err)
		}
		if err := a.showPreview(file, p, f.html, h.scenes(p.Update.At)); err != nil {
			return err
		}
		if leaked {
			if !a.json {
				a.printRefusal(file, refusal)
			}
			return exitCode(exitRefused)
		}
		return nil
	})
}

func (a *app) showPreview(file string, p dispatcher.Prepared, html string, scenes func(string) scene) error {
	if html != "" {
		if err := writePreviewPage(html, p, scenes); err != nil {
			return err
		}
		fmt.Fprintf(a.errOut, "Wrote %s: %s.\n", html, count(len(p.Plan.Renderings), "rendering"))
		return nil
	}
	if a.json {
		a.printJSON(map[string]any{"plan": planJSON(p), "renderings": renderingList(p.Plan), "findings": findingList(p.Findings)})
		return nil
	}
	a.printPrepared(file, p)
	for i, r := range p.Plan.Renderings {
		a.printRendering(r, p.Plan.Recipients(i), scenes(r.Channel))
	}
	return nil
}

// scenes are what is around a message on each channel of the house, at now.
func (h *house) scenes(now time.Time) func(channel string) scene {
	return func(channel string) scene {
		in := scene{title: h.cfg.Page.Title, now: now}
		for _, l := range h.lanes {
			if l.ID == channel {
				in.threads = l.Channel.Spec().Threads
			}
		}
		return in
	}
}

func (a *app) printRendering(r dispatcher.Rendering, n int, in scene) {
	s := a.style(a.out)
	title := fmt.Sprintf("── %s · %s · %s", r.Channel, r.Audience, count(n, "recipient"))
	if r.Zone != "" {
		title += " · " + r.Zone
	}
	if r.Locale != "" {
		title += " · " + r.Locale
	}
	fmt.Fprintf(a.out, "\n%s\n", s.bold(title+" "+strings.Repeat("─", max(2, 78-len([]rune(title))))))
	m := r.Message
	if m.Subject != "" {
		fmt.Fprintf(a.out, "%s %s\n\n", s.dim("Subject:"), m.Subject)
	}
	for _, part := range parts(m, in.threads) {
		if part.label != "" {
			fmt.Fprintf(a.out, "%s\n", s.dim("── "+part.label))
		}
		fmt.Fprintln(a.out, strings.TrimRight(part.text, "\n"))
	}
}

// renderingJSON is a rendering for programs.
type renderingJSON struct {
	Channel    string            `json:"channel"`
	Format     channels.Format   `json:"format"`
	Audience   incident.Audience `json:"audience"`
	Locale     string            `json:"locale,omitempty"`
	Zone       string            `json:"zone,omitempty"`
	Recipients int               `json:"recipients"`
	Subject    string            `json:"subject,omitempty"`
	Text       string            `json:"text,omitempty"`
	HTML       string            `json:"html,omitempty"`
	Payload    json.RawMessage   `json:"payload,omitempty"`
}

func renderingList(p dispatcher.Plan) []renderingJSON {
	list := make([]renderingJSON, len(p.Renderings))
	for i, r := range p.Renderings {
		list[i] = renderingJSON{
			Channel: r.Channel, Format: r.Format, Audience: r.Audience, Locale: r.Locale, Zone: r.Zone, Recipients: p.Recipients(i),
			Subject: r.Message.Subject, Text: r.Message.Text, HTML: r.Message.HTML, Payload: r.Message.Payload,
		}
	}
	return list
}
