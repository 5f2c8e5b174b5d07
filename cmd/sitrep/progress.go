package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"
)

// progress shows how far each channel is while an update goes out: live bars on a
// terminal, a line every few seconds elsewhere. Its methods may be called from any
// goroutine and never block on anything but the writer.
type progress struct {
	mu    sync.Mutex
	w     io.Writer
	style style
	live  bool // redraw in place
	quiet bool // --json
	now   func() time.Time

	rows  []*bar
	drawn int       // lines to go back up
	last  time.Time // of the latest drawing
}

// bar is one channel.
type bar struct {
	channel                         string
	total, delivered, failed, other int // other: expired, superseded, suppressed, unknown
	retrying                        map[string]bool
	note                            string
}

const (
	liveEvery  = 100 * time.Millisecond
	plainEvery = 5 * time.Second
)

func newProgress(a *app) *progress {
	return &progress{w: a.errOut, style: a.style(a.errOut), live: isTerminal(a.errOut) && a.getenv("TERM") != "dumb", quiet: a.json, now: a.now, last: a.now()}
}

// expect adds deliveries to come.
func (p *progress) expect(channel string, n int) {
	p.change(channel, func(b *bar) { b.total += n })
}

// settled counts a final word.
func (p *progress) settled(channel, recipient string, delivered, failed bool) {
	p.change(channel, func(b *bar) {
		delete(b.retrying, recipient)
		switch {
		case delivered:
			b.delivered++
		case failed:
			b.failed++
		default:
			b.other++
		}
	})
}

// retrying marks a recipient whose attempt failed and is to be repeated.
func (p *progress) retrying(channel, recipient string) {
	p.change(channel, func(b *bar) { b.retrying[recipient] = true })
}

// note says something about the whole channel, such as a pause; "" takes it back.
func (p *progress) note(channel, text string) {
	p.change(channel, func(b *bar) { b.note = text })
}

// say prints a line about the whole at once, above what is drawn from then on.
func (p *progress) say(line string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.quiet {
		return
	}
	fmt.Fprintln(p.w, p.style.yellow(line))
	p.drawn = 0
}

func (p *progress) change(channel string, f func(*bar)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f(p.row(channel))
	p.draw(false)
}

func (p *progress) row(channel string) *bar {
	for _, b := range p.rows {
		if b.channel == channel {
			return b
		}
	}
	b := &bar{channel: channel, retrying: map[string]bool{}}
	p.rows = append(p.rows, b)
	return b
}

// finish draws the last state for good.
func (p *progress) finish() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.draw(true)
}

func (p *progress) draw(final bool) {
	every := plainEvery
	if p.live {
		every = liveEvery
	}
	if p.quiet || (!final && p.now().Sub(p.last) < every) || (final && !p.live) {
		return
	}
	p.last = p.now()
	var b strings.Builder
	if p.live && p.drawn > 0 {
		fmt.Fprintf(&b, "\x1b[%dA", p.drawn)
	}
	wide := width(p.w, 80)
	for _, row := range p.rows {
		if p.live {
			b.WriteString("\x1b[2K")
		}
		b.WriteString(row.line(p.style, p.nameWidth(), p.cells(wide)) + "\n")
	}
	p.drawn = len(p.rows)
	fmt.Fprint(p.w, b.String())
}

func (p *progress) nameWidth() int {
	n := 0
	for _, r := range p.rows {
		n = max(n, len(r.channel))
	}
	return n
}

// cells is how wide the bars are: the same for all, so that they line up.
func (p *progress) cells(wide int) int {
	counts := 0
	for _, b := range p.rows {
		counts = max(counts, 2*len(strconv.Itoa(b.total))+1)
	}
	return min(30, max(5, wide-p.nameWidth()-counts-40))
}

// line is the bar as text: "mail  ██████░░░░  12/25  2 failed  1 retrying".
func (b *bar) line(s style, name, cells int) string {
	done := b.delivered + b.failed + b.other
	counts := fmt.Sprintf("%d/%d", done, b.total)
	var words []string
	if b.failed > 0 {
		words = append(words, s.red(fmt.Sprintf("%d failed", b.failed)))
	}
	if b.other > 0 {
		words = append(words, fmt.Sprintf("%d not sent", b.other))
	}
	if n := len(b.retrying); n > 0 {
		words = append(words, s.yellow(fmt.Sprintf("%d retrying", n)))
	}
	if b.note != "" {
		words = append(words, s.yellow(b.note))
	}
	filled := cells
	if b.total > 0 {
		filled = cells * min(done, b.total) / b.total
	}
	barText := s.green(strings.Repeat("█", filled)) + s.dim(strings.Repeat("░", cells-filled))
	return strings.TrimRight(fmt.Sprintf("  %-*s  %s  %s  %s", name, b.channel, barText, counts, strings.Join(words, "  ")), " ")
}
