package bounces

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"sitrep/channels"
	"sitrep/ledger"
)

// Options is what a [Receiver] needs. Its functions are called from several goroutines
// and must not block.
type Options struct {
	Ledger  ledger.Bouncer
	Channel string // the id of the channel whose mail comes back
	Address string // the bare bounce address

	// ReadReturnPath is the delivery's key of a return path whose MAC is right. Nil:
	// return paths carry none, so only who is trusted is believed.
	ReadReturnPath func(address string) (key string, ok bool)

	// ReadMessageID is the delivery's key of a Message-ID that the channel makes. Nil:
	// they are not looked at.
	ReadMessageID func(id string) (key string, ok bool)

	// Required reports whether a recipient is to be told by contract, and so is never
	// suppressed. Nil: none is.
	Required func(ledger.Delivery) bool

	OnBounce func(Heard) // nil: nobody else is told
	Now      func() time.Time
	Log      *slog.Logger
}

// Verdict is what was made of a message. The set is closed: it is also a metric label.
type Verdict string

// The verdicts. The first four are the kinds of a report that is ours, or that needs no
// delivery.
const (
	HeardFailure   Verdict = "failure"
	HeardDelay     Verdict = "delay"
	HeardAutoReply Verdict = "auto_reply"
	HeardOther     Verdict = "other"
	Unmatched      Verdict = "unmatched" // a report of no delivery that we know, or that nothing proves
	Forged         Verdict = "forged"    // to a return path that we have not made
)

// Verdicts returns all verdicts. The slice is the caller's.
func Verdicts() []Verdict {
	return []Verdict{HeardFailure, HeardDelay, HeardAutoReply, HeardOther, Unmatched, Forged}
}

// Heard is what was heard, for metrics and events.
type Heard struct {
	Verdict  Verdict
	Channel  string
	Delivery ledger.Delivery // as it is now; zero if none is concerned
	Was      ledger.Outcome  // before
	Changed  bool            // the ledger holds something new

	Suppressed bool // the address is not written to any more
	Required   bool // the recipient is to be told by contract
}

// Mail is a message that came in.
type Mail struct {
	// To is the envelope recipients. None: what the message says of where it was
	// delivered, which proves as much, for the proof is in the address.
	To      []string
	Trusted bool // the operator trusts whoever handed it over
	Content io.Reader
}

// Receiver makes something of messages that came back. It is safe for concurrent use.
type Receiver struct{ o Options }

// New makes a receiver.
func New(o Options) (*Receiver, error) {
	if o.Ledger == nil || o.Channel == "" {
		return nil, errors.New("bounces are recorded for a channel in a ledger: one of them is missing")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Receiver{o}, nil
}

// Receive reads a message and records what it says. With an error it was not recorded,
// or not all of it, and is to come again: the ledger is away, or the attempt at the
// delivery is under way ([ledger.ErrUnderWay]). What nobody can make anything of is no
// error. Content is read to the first megabyte only.
func (r *Receiver) Receive(ctx context.Context, m Mail) error {
	rep, err := Read(m.Content)
	if err != nil {
		return err
	}
	if rep.Kind != Failure && rep.Kind != Delay {
		r.tell(Heard{Verdict: Verdict(rep.Kind)}, slog.LevelDebug, "mail that is no report came back", slog.String("form", rep.Form))
		return nil
	}
	to := m.To
	if len(to) == 0 {
		to = rep.To
	}
	found, verdict, why := r.match(rep, to, m.Trusted)
	if len(found) == 0 {
		r.ignore(verdict, rep, why)
		return nil
	}
	for _, f := range found {
		err = errors.Join(err, r.record(ctx, f, rep))
	}
	return err
}

func (r *Receiver) record(ctx context.Context, f matched, rep Report) error {
	d, err := r.o.Ledger.Delivery(ctx, f.key)
	switch {
	case errors.Is(err, ledger.ErrNotFound):
		r.ignore(Unmatched, rep, "its delivery is not in the ledger")
		return nil
	case err != nil:
		return fmt.Errorf("look up the delivery of a returned message: %w", err)
	case d.Channel != r.o.Channel:
		r.ignore(Unmatched, rep, "its delivery is another channel's")
		return nil
	}
	said, own, sure := pick(rep, d.To.Address)
	if !f.proven && !own {
		r.ignore(Unmatched, rep, "it does not name the delivery's recipient")
		return nil
	}
	h := Heard{Verdict: Verdict(said.Kind), Delivery: d, Was: d.Outcome}
	if said.Kind == Failure || said.Kind == Delay {
		err = r.settle(ctx, &h, said, sure)
	}
	if err != nil {
		return err
	}
	r.report(h, said, rep.Form)
	return nil
}

// settle records it. The ledger knows which deliveries a report still changes.
func (r *Receiver) settle(ctx context.Context, h *Heard, said Recipient, sure bool) error {
	h.Required = r.o.Required != nil && r.o.Required(h.Delivery)
	b := ledger.Bounce{
		Key: h.Delivery.Key, At: r.o.Now(), Delayed: said.Kind == Delay, Fault: faultOf(said, sure),
		Detail: ledger.CleanText(said.Detail), Suppress: said.Kind == Failure && said.Gone && sure && !h.Required,
	}
	d, changed, err := r.o.Ledger.Bounce(ctx, b)
	if err != nil {
		return fmt.Errorf("record a returned message: %w", err)
	}
	h.Delivery, h.Changed, h.Suppressed = d, changed, changed && b.Suppress
	return nil
}

// faultOf is why, of the address that was written to: if another one does not exist,
// this one still does.
func faultOf(r Recipient, sure bool) channels.Fault {
	if r.Fault == channels.NoRecipient && !sure {
		return channels.Rejected
	}
	return r.Fault
}

// report logs and tells what was recorded. The reason is in the ledger.
func (r *Receiver) report(h Heard, said Recipient, form string) {
	level, text := slog.LevelInfo, "a message came back"
	switch {
	case h.Verdict == HeardDelay:
		text = "a message is delayed"
	case h.Verdict != HeardFailure || !h.Changed:
		text = "a report changed nothing"
	case h.Required:
		level, text = slog.LevelError, "a recipient that has to be told was not reached: tell them by another way, and mend their address"
	}
	r.tell(h, level, text, slog.String("form", form), slog.String("customer", h.Delivery.Customer),
		slog.String("incident", h.Delivery.Incident), slog.String("update", h.Delivery.Update), slog.String("delivery", h.Delivery.Key),
		slog.String("status", said.Status), slog.String("fault", string(said.Fault)),
		slog.String("was", string(h.Was)), slog.Bool("changed", h.Changed), slog.Bool("suppressed", h.Suppressed))
}

func (r *Receiver) ignore(v Verdict, rep Report, why string) {
	r.tell(Heard{Verdict: v}, slog.LevelInfo, "a report is ignored", slog.String("form", rep.Form), slog.String("why", why))
}

// Refused counts mail to an address that is not ours. It is forged if it looks like ours.
func (r *Receiver) Refused(address string) {
	if r.looksLike(address) {
		r.tell(Heard{Verdict: Forged}, slog.LevelInfo, "mail to a return path that we have not made is refused")
	}
}

func (r *Receiver) tell(h Heard, level slog.Level, text string, more ...slog.Attr) {
	h.Channel = r.o.Channel
	attrs := append([]slog.Attr{slog.String("kind", string(h.Verdict)), slog.String("channel", h.Channel)}, more...)
	r.o.Log.LogAttrs(context.Background(), level, text, attrs...)
	if r.o.OnBounce != nil {
		r.o.OnBounce(h)
	}
}
