package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sitrep/config"
	"sitrep/incident"
	"sitrep/ledger"
	"sitrep/server"
	"sitrep/server/client"
)

const tokenLong = `Makes, lists and revokes the tokens by which people and programs use the API of
'sitrep serve', from other machines or in scripts. (Who may use the server's Unix
socket needs none.)

A token has a role and is for some customers:

  viewer   sees incidents, updates, deliveries and lists
  author   and sends, previews, retries and cancels
  admin    and makes and revokes tokens

It is shown once, when it is made; the ledger keeps its hash. The commands work on
the configuration's ledger, or through its server.`

func (a *app) tokenCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "token",
		Short: "Make, list and revoke tokens for the API",
		Long:  tokenLong,
		Args:  cobra.ArbitraryArgs,
		RunE:  family,
	}
	cmd.AddCommand(a.tokenNewCommand(), a.tokenListCommand(), a.tokenRevokeCommand())
	return cmd
}

func (a *app) tokenNewCommand() *cobra.Command {
	var g grant
	cmd := &cobra.Command{
		Use:   "new [NAME]",
		Short: "Make a token and print it, this once",
		Long: `Makes a token and prints it on standard output, this once; what it is goes to
standard error. NAME says whose it is, and is on record with what is done by it.`,
		Example: `  sitrep token new on-call --role author --customer '*' > ~/.config/sitrep/token
  sitrep token new "ABC's dashboard" --role viewer --customer abc --expires 90d`,
		Args: func(cmd *cobra.Command, list []string) error { return args(min(len(list), 1), "nothing")(cmd, list) },
		RunE: func(cmd *cobra.Command, args []string) error {
			g.name = cmp.Or(strings.Join(args, ""), g.role+" for "+strings.Join(g.customers, ", "))
			return a.tokenNew(cmd.Context(), g)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&g.role, "role", "", "`ROLE` viewer, author or admin")
	flags.StringSliceVar(&g.customers, "customer", nil, "`IDS` of the customers it is for, separated by commas, or * for all")
	flags.StringVar(&g.expires, "expires", "", "after how `LONG` it ends, such as 90d (default: never)")
	return cmd
}

func (a *app) tokenNew(ctx context.Context, g grant) error {
	r, err := a.remote()
	if err != nil {
		return err
	}
	want, wrong := g.read(a.now())
	known, err := a.customerIDs(ctx, r)
	if err == nil {
		wrong = append(wrong, g.strangers(known)...)
	} else if len(wrong) == 0 {
		return err
	}
	if len(wrong) > 0 {
		return notMade(wrong)
	}
	var token string
	var made server.TokenView
	if r != nil {
		token, made, err = r.NewToken(ctx, client.Grant{Name: want.Name, Role: g.role, Customers: want.Customers, Expires: want.Expires})
		err = a.explain(r, inFlags(err))
	} else {
		token, made, err = a.issue(ctx, want)
	}
	if err != nil {
		return err
	}
	if a.json {
		a.printJSON(map[string]any{"secret": token, "token": made})
		return nil
	}
	fmt.Fprintln(a.out, token)
	fmt.Fprintf(a.errOut, "%s %s, %s for %s%s. It is not shown again; revoke it with: sitrep token revoke %s\n", a.style(a.errOut).green("Made"),
		oneLine(made.Name), made.Role, forWhom(made.Customers), until(made.Expires), made.ID)
	return nil
}

func forWhom(customers []string) string {
	if slices.Contains(customers, server.AllCustomers) {
		return "all customers"
	}
	return oneLine(strings.Join(customers, ", "))
}

func until(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return " until " + utc(t)
}

// issue makes a token in the ledger itself.
func (a *app) issue(ctx context.Context, g server.Grant) (token string, made server.TokenView, err error) {
	err = a.withTokens(ctx, writing, func(_ *config.Config, tokens ledger.Tokens) error {
		var row ledger.Token
		token, row, err = server.Issue(ctx, tokens, g, a.now())
		made = tokenView(row)
		if bad, ok := errors.AsType[incident.Problems](err); ok {
			return &coded{exitUsage, bad}
		}
		return err
	})
	return token, made, err
}

func (a *app) withTokens(ctx context.Context, open withLedger, f func(*config.Config, ledger.Tokens) error) error {
	cfg, err := a.loadConfig()
	if err != nil {
		return err
	}
	return open(ctx, cfg, func(_ context.Context, l ledger.Ledger) error {
		tokens, ok := l.(ledger.Tokens)
		if !ok {
			return &coded{exitConfig, errors.New("this kind of ledger keeps no tokens")}
		}
		return f(cfg, tokens)
	})
}

func tokenView(t ledger.Token) server.TokenView {
	return server.TokenView{
		ID: t.ID, Name: t.Name, Role: t.Role, Customers: t.Customers, Created: t.Created, Expires: t.Expires, Used: t.Used, Revoked: t.Revoked,
	}
}

func (a *app) tokenListCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "List the tokens, revoked ones too",
		Example: "  sitrep token list\n  sitrep token list --json",
		Args:    args(0, "nothing"),
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.tokenList(cmd.Context()) },
	}
}

func (a *app) tokenList(ctx context.Context) error {
	r, err := a.remote()
	if err != nil {
		return err
	}
	all := []server.TokenView{}
	if r != nil {
		got, err := r.Tokens(ctx)
		if err != nil {
			return a.explain(r, err)
		}
		all = append(all, got...)
	} else if err := a.withTokens(ctx, a.reading, func(_ *config.Config, tokens ledger.Tokens) error {
		rows, err := tokens.Tokens(ctx)
		for _, t := range rows {
			all = append(all, tokenView(t))
		}
		return err
	}); err != nil {
		return err
	}
	if a.json {
		a.printJSON(map[string]any{"tokens": all})
		return nil
	}
	if len(all) == 0 {
		fmt.Fprintln(a.out, "There is no token yet. Make one with: sitrep token new NAME --role author --customer '*'")
	}
	for _, t := range all {
		fmt.Fprintf(a.out, "%s  %-6s  %s, for %s, %s\n", a.style(a.out).bold(t.ID), t.Role, oneLine(t.Name), forWhom(t.Customers), a.tokenState(t))
	}
	return nil
}

func (a *app) tokenState(t server.TokenView) string {
	s, words := a.style(a.out), "made "+utc(t.Created)
	if t.Used.IsZero() {
		words += ", never used"
	} else {
		words += ", last used " + utc(t.Used)
	}
	switch {
	case !t.Revoked.IsZero():
		return words + ", " + s.red("revoked "+utc(t.Revoked))
	case !t.Expires.IsZero() && !t.Expires.After(a.now()):
		return words + ", " + s.red("expired "+utc(t.Expires))
	case !t.Expires.IsZero():
		return words + ", expires " + utc(t.Expires)
	}
	return words
}

func (a *app) tokenRevokeCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "revoke ID",
		Short:   "Revoke a token: from now on nobody is admitted by it",
		Example: "  sitrep token revoke k3vq2mzx7d",
		Args:    args(1, "the token's id"),
		RunE:    func(cmd *cobra.Command, list []string) error { return a.tokenRevoke(cmd.Context(), list[0]) },
	}
}

func (a *app) tokenRevoke(ctx context.Context, id string) error {
	r, err := a.remote()
	if err != nil {
		return err
	}
	if r != nil {
		err = r.RevokeToken(ctx, id)
	} else {
		err = a.withTokens(ctx, writing, func(_ *config.Config, tokens ledger.Tokens) error { return tokens.RevokeToken(ctx, id, a.now()) })
	}
	switch {
	case errors.Is(err, ledger.ErrNotFound) || absent(err):
		return &coded{exitUsage, fmt.Errorf("there is no token with the id %q. 'sitrep token list' lists them", oneLine(id))}
	case err != nil && r != nil:
		return a.explain(r, err)
	case err != nil:
		return err
	}
	if a.json {
		a.printJSON(map[string]string{"revoked": id})
		return nil
	}
	fmt.Fprintf(a.out, "Revoked: nobody is admitted by the token %s any more.\n", oneLine(id))
	return nil
}
