package server

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"sitrep/incident"
	"sitrep/ledger"
)

// SuppressionView is an address that is not written to any more.
type SuppressionView struct {
	Channel string    `json:"channel"`
	Address string    `json:"address"`
	Reason  string    `json:"reason"`
	Since   time.Time `json:"since"`

	Required bool `json:"required,omitempty" doc:"It is to be told by contract, so the suppression is ignored."`
}

// SuppressedView is a new suppression.
type SuppressedView struct {
	SuppressionView

	Unlisted bool     `json:"unlisted,omitempty" doc:"No list has the address on this channel, so nothing changes by it now."`
	Near     []string `json:"near,omitempty" doc:"Addresses on lists that may have been meant instead."`
}

// SuppressionsInput narrows the suppressions.
type SuppressionsInput struct {
	Channel string `query:"channel" doc:"Only this channel's: its id." maxLength:"100"`
}

// SuppressionsOutput is the suppressions a caller may know of.
type SuppressionsOutput struct {
	Body struct {
		Suppressions []SuppressionView `json:"suppressions" doc:"By channel and address."`
	}
}

// SuppressInput asks for an address not to be written to.
type SuppressInput struct {
	Body struct {
		Channel string `json:"channel" doc:"Its id." minLength:"1" maxLength:"100"`
		Address string `json:"address" doc:"As in the lists, in any case, with or without a name before it." minLength:"1" maxLength:"1000"`
		Reason  string `json:"reason" doc:"Why, for everybody who may know of the address." minLength:"1" maxLength:"500"`
	}
}

// SuppressOutput is a new suppression.
type SuppressOutput struct{ Body SuppressedView }

// LiftInput names a suppression.
type LiftInput struct {
	Channel string `query:"channel" required:"true" doc:"The channel's id." minLength:"1" maxLength:"100"`
	Address string `query:"address" required:"true" doc:"In any case, with or without a name before it." minLength:"1" maxLength:"1000"`
}

func (s *Server) suppressionRoutes(api huma.API) {
	register(s, api, huma.Operation{
		OperationID: "list-suppressions", Method: http.MethodGet, Path: "/suppressions", Tags: []string{"people"},
		Summary:     "Addresses that are not written to any more, since when and why",
		Description: "Those that are on a list of a customer this token is for; for a token for all customers, all.",
	}, Viewer, s.suppressions)
	register(s, api, huma.Operation{
		OperationID: "suppress", Method: http.MethodPost, Path: "/suppressions", Tags: []string{"people"}, DefaultStatus: http.StatusCreated,
		Summary: "Do not write to an address any more",
		Description: "From the next update on, for every customer: so the address must be on a list of this token's customers and on no list of others, " +
			"unless the token is for all customers. An address that is suppressed already gets the new reason and date.",
	}, Author, s.suppress)
	register(s, api, huma.Operation{
		OperationID: "unsuppress", Method: http.MethodDelete, Path: "/suppressions", Tags: []string{"people"},
		Summary: "Write to an address again", Description: "From the next update on. For whom it is permitted: see the POST.",
	}, Author, s.unsuppress)
}

func (s *Server) suppressions(ctx context.Context, who principal, in *SuppressionsInput) (*SuppressionsOutput, error) {
	all, err := listSuppressions(ctx, s.o.Ledger, s.o.Setup().Parties, in.Channel, who)
	out := &SuppressionsOutput{}
	out.Body.Suppressions = all
	return out, err
}

func (s *Server) suppress(ctx context.Context, who principal, in *SuppressInput) (*SuppressOutput, error) {
	set := s.o.Setup()
	if err := who.decides(set.Parties, in.Body.Channel, withoutName(in.Body.Address)); err != nil {
		return nil, err
	}
	v, err := Suppress(ctx, s.o.Ledger, set.Parties, set.Address, ledger.Suppression{
		Channel: in.Body.Channel, Address: in.Body.Address, Reason: in.Body.Reason, At: s.o.Now(),
	})
	if bad, ok := err.(incident.Problems); ok { //nolint:errorlint // Suppress does not wrap it
		p := mistakes(bad)
		p.Type, p.Title, p.Detail = typeInput, "The request cannot be understood", "Nothing was suppressed. Mend what is listed."
		return nil, p
	}
	if err != nil {
		return nil, err
	}
	s.o.Log.Info("an address is suppressed", "request", traceOf(ctx).id, "by", who.id, "channel", v.Channel)
	return &SuppressOutput{Body: v}, nil
}

func (s *Server) unsuppress(ctx context.Context, who principal, in *LiftInput) (*struct{}, error) {
	if err := who.decides(s.o.Setup().Parties, in.Channel, withoutName(in.Address)); err != nil {
		return nil, err
	}
	there, err := Lift(ctx, s.o.Ledger, in.Channel, in.Address)
	if err == nil && !there {
		err = notFound()
	}
	if err != nil {
		return nil, err
	}
	s.o.Log.Info("a suppression is lifted", "request", traceOf(ctx).id, "by", who.id, "channel", in.Channel)
	return &struct{}{}, nil
}

// decides refuses a caller who may not decide whether an address is written to: one
// for some customers only, if it is on none of their lists, or on others' as well. Both
// are said in the same words.
func (p principal) decides(parties []incident.Party, channel, address string) error {
	c := concernOf(parties, channel, address, p)
	if p.all || c.mine && !c.others {
		return nil
	}
	return badRequest("address", "This token does not decide for that address: it must be on a list of the token's customers, and on no other customer's.",
		"Whoever has a token for all customers can do it.")
}

// concern is whom an address concerns.
type concern struct{ mine, others, required bool }

func concernOf(parties []incident.Party, channel, address string, who principal) concern {
	c := &concern{}
	concerns(parties, who, map[string]*concern{suppressedAt(channel, address): c})
	return *c
}

// concerns finds out whom addresses concern, in one pass over all lists.
func concerns(parties []incident.Party, who principal, at map[string]*concern) {
	if len(at) == 0 {
		return
	}
	for _, p := range parties {
		mine := who.may(p.ID)
		for _, l := range p.Lists {
			for _, r := range l.To {
				if c := at[suppressedAt(r.Channel, r.Address)]; c != nil {
					c.mine, c.others, c.required = c.mine || mine, c.others || !mine, c.required || r.Required
				}
			}
		}
	}
}

func suppressedAt(channel, address string) string {
	return channel + "\x00" + strings.ToLower(strings.TrimSpace(address))
}

// withoutName is an address without the name that a list may have before it.
func withoutName(s string) string {
	_, address := incident.SplitName(s)
	return address
}

// Suppressions are all addresses that are not written to any more, of one channel or,
// with an empty one, of all. Parties are all customers.
func Suppressions(ctx context.Context, l ledger.Suppressor, parties []incident.Party, channel string) ([]SuppressionView, error) {
	return listSuppressions(ctx, l, parties, channel, principal{all: true})
}

func listSuppressions(ctx context.Context, l ledger.Suppressor, parties []incident.Party, channel string, who principal) ([]SuppressionView, error) {
	rows, err := l.Suppressions(ctx, channel)
	if err != nil {
		return nil, fmt.Errorf("read the suppressions: %w", err)
	}
	at := make(map[string]*concern, len(rows))
	for _, x := range rows {
		at[suppressedAt(x.Channel, x.Address)] = &concern{}
	}
	concerns(parties, who, at)
	all := []SuppressionView{}
	for _, x := range rows {
		if c := at[suppressedAt(x.Channel, x.Address)]; who.all || c.mine {
			all = append(all, SuppressionView{Channel: x.Channel, Address: x.Address, Reason: x.Reason, Since: x.At, Required: c.required})
		}
	}
	return all, nil
}

// Suppress records that an address is not to be written to from the next update on. A
// mistake in it is an incident.Problems: a channel that no list uses, what is no address
// there (see [Setup].Address), and an address that is to be told by contract, are
// mistakes. An address on no list is none, for it may be on one tomorrow: it is said.
func Suppress(
	ctx context.Context, l ledger.Suppressor, parties []incident.Party, check func(channel, address string) error, x ledger.Suppression,
) (v SuppressedView, err error) {
	x.Channel, x.Address, x.Reason = strings.TrimSpace(x.Channel), withoutName(x.Address), strings.TrimSpace(x.Reason)
	c := concernOf(parties, x.Channel, x.Address, principal{all: true})
	if bad := checkSuppression(parties, check, c, x); len(bad) > 0 {
		return v, bad
	}
	same, err := spellings(ctx, l, x.Channel, x.Address)
	if err != nil {
		return v, err
	}
	if len(same) > 0 {
		x.Address = same[0] // so that there is one row
	}
	if err := l.Suppress(ctx, x); err != nil {
		return v, fmt.Errorf("record the suppression: %w", err)
	}
	v.SuppressionView = SuppressionView{Channel: x.Channel, Address: x.Address, Reason: x.Reason, Since: x.At}
	if v.Unlisted = !c.mine; v.Unlisted {
		v.Near = near(parties, x.Channel, x.Address)
	}
	return v, nil
}

func checkSuppression(
	parties []incident.Party, check func(channel, address string) error, c concern, x ledger.Suppression,
) incident.Problems {
	var all incident.Problems
	refuse := func(bad bool, what, remedy string) {
		if bad {
			all = append(all, incident.Problem{What: what, Remedy: remedy})
		}
	}
	used := usedChannels(parties)
	refuse(!used[x.Channel], fmt.Sprintf("No list uses a channel %q.", x.Channel), "Write the id of a channel as the configuration has it; its case counts.")
	legible := x.Address != "" && printable(x.Address)
	refuse(!legible, "The address must be printable text.", "Write it as the lists have it.")
	if check != nil && used[x.Channel] && legible {
		if err := check(x.Channel, x.Address); err != nil {
			refuse(true, fmt.Sprintf("%q cannot be an address on %s: %s.", x.Address, x.Channel, strings.TrimRight(err.Error(), ".")), "Write it as the lists have it.")
		}
	}
	refuse(x.Reason == "" || !printable(x.Reason), "The reason must be printable text in one line.", "Say who asked for it, or what came back.")
	refuse(c.required, "The address is to be told by contract (required: true), so it is told all the same.",
		"Take required away from it in the configuration first, if the contract permits.")
	return all
}

func usedChannels(parties []incident.Party) map[string]bool {
	used := map[string]bool{}
	for _, p := range parties {
		for _, l := range p.Lists {
			for _, r := range l.To {
				if !used[r.Channel] {
					used[r.Channel] = true
				}
			}
		}
	}
	return used
}

// Lift has an address written to again, however it is capitalised, and reports whether
// it was suppressed.
func Lift(ctx context.Context, l ledger.Suppressor, channel, address string) (bool, error) {
	same, err := spellings(ctx, l, channel, withoutName(address))
	if err != nil {
		return false, err
	}
	lifted := false
	for _, spelling := range same {
		was, err := l.Lift(ctx, strings.TrimSpace(channel), spelling)
		if err != nil {
			return lifted, fmt.Errorf("lift the suppression: %w", err)
		}
		lifted = lifted || was
	}
	return lifted, nil
}

// spellings are the suppressed addresses of a channel that are the same as address but
// for their case.
func spellings(ctx context.Context, l ledger.Suppressor, channel, address string) ([]string, error) {
	rows, err := l.Suppressions(ctx, strings.TrimSpace(channel))
	if err != nil {
		return nil, fmt.Errorf("read the suppressions: %w", err)
	}
	var same []string
	for _, x := range rows {
		if strings.EqualFold(x.Address, address) {
			same = append(same, x.Address)
		}
	}
	return same, nil
}
