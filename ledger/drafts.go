package ledger

import (
	"context"
	"time"
)

// Drafts keeps updates that other tools handed in and that could not be sent as
// they were, until a person completes or drops them. It is an add-on.
type Drafts interface {
	// PutDraft records a draft, in the place of one with the same ID.
	PutDraft(ctx context.Context, d Draft) error
	// Draft returns a draft by its ID, or ErrNotFound.
	Draft(ctx context.Context, id string) (Draft, error)
	// Drafts returns a customer's drafts, or everybody's for "", newest first.
	Drafts(ctx context.Context, customer string) ([]Draft, error)
	// DropDraft removes a draft, and reports whether it was there.
	DropDraft(ctx context.Context, id string) (bool, error)
}

// Draft is an update that waits for a person.
type Draft struct {
	ID       string
	Input    string // the configured input it came by
	Customer string
	Incident string   // the incident it is about; empty: as its text says
	Key      string   // the update key it is to have; empty: one of its text
	Next     string   // the promise it is to make; empty: as its text says
	Only     []string // whom it is for; empty: everybody
	Source   string   // Markdown, as far as it could be made
	Why      string   // why it was not sent, for people
	Received time.Time
}
