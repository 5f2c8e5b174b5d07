package ledger

import (
	"context"
	"time"
)

// Tokens keeps who may use the HTTP API. It is an add-on: an engine that serves
// several people has it. What a token permits is for its consumer to decide; the
// ledger never sees a token itself, only its hash.
type Tokens interface {
	// AddToken records a token. Its ID must not be in use.
	AddToken(ctx context.Context, t Token) error
	// Token returns a token by its ID, revoked ones too, or ErrNotFound.
	Token(ctx context.Context, id string) (Token, error)
	// Tokens returns all of them, oldest first.
	Tokens(ctx context.Context) ([]Token, error)
	// RevokeToken ends a token at a time. It is ErrNotFound if there is none, and
	// changes nothing if it was revoked before.
	RevokeToken(ctx context.Context, id string, at time.Time) error
	// TouchToken records that a token was used. It never goes back in time.
	TouchToken(ctx context.Context, id string, at time.Time) error
}

// Token is the record of a token.
type Token struct {
	ID        string   // what people call it by; not secret
	Name      string   // whose it is, for people
	Role      string   // as its consumer knows it
	Customers []string // customer ids, or "*" alone for all
	Hash      []byte   // SHA-256 of the token
	Created   time.Time
	Expires   time.Time // zero: never
	Used      time.Time // roughly when it was last used; zero: never
	Revoked   time.Time // zero: it is in force
}
