package main

import (
	"context"
	"iter"
	"time"

	"sitrep/channels"
	"sitrep/ledger"
)

// noLedger is a ledger that is not there yet, for reading: it is empty. What would write
// to it is ledger.ErrReadOnly.
type noLedger struct{}

var _ interface {
	ledger.Ledger
	ledger.Tokens
} = noLedger{}

func (noLedger) Incidents(context.Context, ledger.IncidentQuery) ([]ledger.Incident, error) {
	return nil, nil
}

func (noLedger) Updates(context.Context, ledger.UpdateQuery) ([]ledger.Update, error) {
	return nil, nil
}

func (noLedger) Deliveries(context.Context, ledger.DeliveryQuery) iter.Seq2[ledger.Delivery, error] {
	return func(func(ledger.Delivery, error) bool) {}
}

func (noLedger) Attempts(context.Context, string) ([]ledger.Attempt, error) { return nil, nil }

func (noLedger) Tally(context.Context, ledger.DeliveryQuery) ([]ledger.Tally, error) {
	return nil, nil
}

func (noLedger) Suppressions(context.Context, string) ([]ledger.Suppression, error) {
	return nil, nil
}

func (noLedger) Entries(context.Context, string, time.Time) ([]ledger.PageEntry, error) {
	return nil, nil
}

func (noLedger) Tokens(context.Context) ([]ledger.Token, error) { return nil, nil }

func (noLedger) Entry(context.Context, string) (ledger.PageEntry, error) {
	return ledger.PageEntry{}, ledger.ErrNotFound
}

func (noLedger) PageByToken(context.Context, string) (ledger.Page, error) {
	return ledger.Page{}, ledger.ErrNotFound
}

func (noLedger) Rendering(context.Context, int64) (channels.Message, error) {
	return channels.Message{}, ledger.ErrNotFound
}

func (noLedger) Token(context.Context, string) (ledger.Token, error) {
	return ledger.Token{}, ledger.ErrNotFound
}

func (noLedger) Close() error { return nil }

func (noLedger) Accept(context.Context, ledger.Acceptance) (ledger.Accepted, error) {
	return ledger.Accepted{}, ledger.ErrReadOnly
}

func (noLedger) Reopen(context.Context, string, time.Time, time.Time) (int, error) {
	return 0, ledger.ErrReadOnly
}

func (noLedger) Claim(context.Context, ledger.ClaimRequest) (ledger.Claimed, error) {
	return ledger.Claimed{}, ledger.ErrReadOnly
}

func (noLedger) Settle(context.Context, []ledger.Settlement) ([]ledger.Verdict, error) {
	return nil, ledger.ErrReadOnly
}

func (noLedger) Page(context.Context, string) (ledger.Page, error) {
	return ledger.Page{}, ledger.ErrReadOnly
}

func (noLedger) Lift(context.Context, string, string) (bool, error) {
	return false, ledger.ErrReadOnly
}

func (noLedger) Renew(context.Context, string, time.Time) error { return ledger.ErrReadOnly }

func (noLedger) Pause(context.Context, ledger.Pause) error { return ledger.ErrReadOnly }

func (noLedger) Suppress(context.Context, ledger.Suppression) error { return ledger.ErrReadOnly }

func (noLedger) Publish(context.Context, ledger.PageEntry) error { return ledger.ErrReadOnly }

func (noLedger) AddToken(context.Context, ledger.Token) error { return ledger.ErrReadOnly }

func (noLedger) RevokeToken(context.Context, string, time.Time) error { return ledger.ErrReadOnly }

func (noLedger) TouchToken(context.Context, string, time.Time) error { return ledger.ErrReadOnly }
