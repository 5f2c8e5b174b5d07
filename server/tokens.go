package server

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"sitrep/incident"
	"sitrep/ledger"
)

// TokenView is a token without the token.
type TokenView struct {
	ID        string    `json:"id"`
	Name      string    `json:"name"`
	Role      string    `json:"role" enum:"viewer,author,admin"`
	Customers []string  `json:"customers" doc:"Ids, or * for all."`
	Created   time.Time `json:"created"`
	Expires   time.Time `json:"expires,omitzero"`
	Used      time.Time `json:"last_used,omitzero" doc:"To the minute."`
	Revoked   time.Time `json:"revoked,omitzero"`
}

func viewToken(t ledger.Token) TokenView {
	return TokenView{
		ID: t.ID, Name: t.Name, Role: t.Role, Customers: t.Customers,
		Created: t.Created, Expires: t.Expires, Used: t.Used, Revoked: t.Revoked,
	}
}

// GrantInput asks for a token.
type GrantInput struct {
	Body struct {
		Name      string    `json:"name" doc:"Whose it is: recorded with what it does." minLength:"1" maxLength:"100"`
		Role      string    `json:"role" enum:"viewer,author,admin"`
		Customers []string  `json:"customers" doc:"Ids, or * for all." minItems:"1" maxItems:"1000"`
		Expires   time.Time `json:"expires,omitzero"`
	}
}

// GrantOutput is a new token.
type GrantOutput struct {
	Body struct {
		Secret string    `json:"secret" doc:"The token. It is shown this once."`
		Token  TokenView `json:"token"`
	}
}

// TokensOutput is the tokens a caller may manage.
type TokensOutput struct {
	Body struct {
		Tokens []TokenView `json:"tokens"`
	}
}

// TokenInput names a token.
type TokenInput struct {
	ID string `path:"id" maxLength:"64"`
}

// MeOutput is who calls.
type MeOutput struct {
	Body struct {
		ID        string   `json:"id"`
		Name      string   `json:"name"`
		Role      string   `json:"role"`
		Customers []string `json:"customers"`
	}
}

func (s *Server) tokenRoutes(api huma.API) {
	register(s, api, huma.Operation{
		OperationID: "list-tokens", Method: http.MethodGet, Path: "/tokens", Tags: []string{"tokens"},
		Summary: "Tokens, revoked ones too",
	}, Admin, s.listTokens)
	register(s, api, huma.Operation{
		OperationID: "new-token", Method: http.MethodPost, Path: "/tokens", Tags: []string{"tokens"}, DefaultStatus: http.StatusCreated,
		Summary: "Issue a token", Description: "For no more customers than the caller's own.",
	}, Admin, s.newToken)
	register(s, api, huma.Operation{
		OperationID: "revoke-token", Method: http.MethodDelete, Path: "/tokens/{id}", Tags: []string{"tokens"},
		Summary: "Revoke a token",
	}, Admin, s.revokeToken)
	register(s, api, huma.Operation{
		OperationID: "get-me", Method: http.MethodGet, Path: "/me", Tags: []string{"tokens"},
		Summary: "Who the caller is, and what it may do",
	}, Viewer, s.me)
}

// manages reports whether the caller may manage a token: one that is for no more
// customers than its own.
func (p principal) manages(customers []string) bool {
	for _, c := range customers {
		if c == AllCustomers && !p.all || !p.may(c) {
			return false
		}
	}
	return true
}

func (s *Server) listTokens(ctx context.Context, who principal, _ *struct{}) (*TokensOutput, error) {
	rows, err := s.o.Ledger.Tokens(ctx)
	out := &TokensOutput{}
	out.Body.Tokens = []TokenView{}
	for _, t := range rows {
		if who.manages(t.Customers) {
			out.Body.Tokens = append(out.Body.Tokens, viewToken(t))
		}
	}
	return out, err
}

func (s *Server) newToken(ctx context.Context, who principal, in *GrantInput) (*GrantOutput, error) {
	b := in.Body
	known := map[string]bool{AllCustomers: who.all}
	for _, p := range who.parties(s.o.Setup().Parties) {
		known[p.ID] = true
	}
	for _, c := range b.Customers {
		if !known[c] {
			return nil, badRequest("body.customers", "There is no such customer, or this token is not for it.", "GET "+base+"/customers lists those there are.")
		}
	}
	secret, row, err := Issue(ctx, s.o.Ledger, Grant{Name: b.Name, Role: Role(b.Role), Customers: b.Customers, Expires: b.Expires}, s.o.Now())
	if bad, ok := errors.AsType[incident.Problems](err); ok {
		p := mistakes(bad)
		p.Type, p.Title, p.Detail = typeInput, "The request cannot be understood", "No token was made. Mend what is listed."
		return nil, p
	}
	if err != nil {
		return nil, err
	}
	s.o.Log.Info("token issued", "request", traceOf(ctx).id, "by", who.id, "token", row.ID, "role", row.Role, "customers", row.Customers)
	out := &GrantOutput{}
	out.Body.Secret, out.Body.Token = secret, viewToken(row)
	return out, nil
}

func (s *Server) revokeToken(ctx context.Context, who principal, in *TokenInput) (*struct{}, error) {
	row, err := s.o.Ledger.Token(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	if !who.manages(row.Customers) {
		return nil, notFound()
	}
	if err := s.o.Ledger.RevokeToken(ctx, in.ID, s.o.Now()); err != nil {
		return nil, err
	}
	s.o.Log.Info("token revoked", "request", traceOf(ctx).id, "by", who.id, "token", in.ID)
	return &struct{}{}, nil
}

func (s *Server) me(_ context.Context, who principal, _ *struct{}) (*MeOutput, error) {
	out := &MeOutput{}
	out.Body.ID, out.Body.Name, out.Body.Role, out.Body.Customers = who.id, who.name, string(who.role), who.customers
	if who.all {
		out.Body.Customers = []string{AllCustomers}
	}
	return out, nil
}
