package main

import (
	"context"
	"fmt"
	"strings"

	"sitrep/internal/secret"
	"sitrep/ledger"
	"sitrep/ledger/postgres"
	"sitrep/ledger/sqlite"
)

// openAddress opens the ledger at an address: sqlite://PATH or postgres://….
func openAddress(ctx context.Context, address secret.String) (l ledger.Ledger, err error) {
	scheme, path, _ := strings.Cut(address.Reveal(), "://")
	switch scheme {
	case "sqlite":
		l, err = sqlite.Open(ctx, path)
	case "postgres", "postgresql":
		l, err = postgres.Open(ctx, address.Reveal())
	default:
		return nil, &coded{exitConfig, fmt.Errorf("this is not the address of a ledger: write sqlite://PATH or postgres://USER@HOST/DATABASE")}
	}
	if err != nil {
		return nil, fmt.Errorf("open the ledger: %w", err)
	}
	return l, nil
}
