package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"sitrep/config"
	"sitrep/internal/secret"
	"sitrep/ledger"
	"sitrep/ledger/postgres"
	"sitrep/ledger/sqlite"
)

// openLedger opens the durable record that the configuration names, and makes it or
// brings it up to date if need be.
func openLedger(ctx context.Context, cfg *config.Config) (ledger.Ledger, error) {
	return openAddress(ctx, cfg.LedgerAddress)
}

// openAddress opens the ledger at an address: sqlite://PATH or postgres://….
func openAddress(ctx context.Context, address secret.String) (ledger.Ledger, error) {
	return openBy(address, func(path string) (ledger.Ledger, error) { return asLedger(sqlite.Open(ctx, path)) },
		func(dsn string) (ledger.Ledger, error) { return asLedger(postgres.Open(ctx, dsn)) })
}

func openReadOnly(ctx context.Context, address secret.String) (ledger.Ledger, error) {
	return openBy(address, func(path string) (ledger.Ledger, error) { return asLedger(sqlite.OpenReadOnly(ctx, path)) },
		func(dsn string) (ledger.Ledger, error) { return asLedger(postgres.OpenReadOnly(ctx, dsn)) })
}

// openReading opens the ledger for commands that only read: it writes nothing, so that
// it works for people who may not and on a disk that cannot. A ledger that is not there
// yet is an empty one. One that an older version of sitrep wrote is brought up to date,
// as every command that writes would do, and the user told.
func (a *app) openReading(ctx context.Context, cfg *config.Config) (ledger.Ledger, error) {
	l, err := openReadOnly(ctx, cfg.LedgerAddress)
	switch {
	case errors.Is(err, ledger.ErrNone):
		return noLedger{}, nil
	case !errors.Is(err, ledger.ErrOlder):
		return l, err
	}
	up, failed := openLedger(ctx, cfg)
	if failed != nil {
		return nil, fmt.Errorf("%w. Doing it now failed: %w", err, failed)
	}
	fmt.Fprintf(a.errOut, "The ledger %s was written by an older version of sitrep; it is brought up to date now.\n", cfg.Ledger)
	return up, nil
}

// openBy opens a ledger by the kind of its address.
func openBy(address secret.String, file, database func(string) (ledger.Ledger, error)) (l ledger.Ledger, err error) {
	scheme, path, _ := strings.Cut(address.Reveal(), "://")
	switch scheme {
	case "sqlite":
		l, err = file(path)
	case "postgres", "postgresql":
		l, err = database(address.Reveal())
	default:
		return nil, &coded{exitConfig, errors.New("this is not the address of a ledger: write sqlite://PATH or postgres://USER@HOST/DATABASE")}
	}
	if err != nil {
		return nil, fmt.Errorf("open the ledger: %w", err)
	}
	return l, nil
}

// asLedger keeps an engine's nil from becoming a ledger.
func asLedger[L ledger.Ledger](l L, err error) (ledger.Ledger, error) {
	if err != nil {
		return nil, err
	}
	return l, nil
}
