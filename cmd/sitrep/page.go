package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"sitrep/config"
	"sitrep/ledger"
	"sitrep/statuspage"
)

const pageLong = `Serves the built-in status pages of every list that names one, until it is stopped:
a public page that never shows a customer's name, and a private page per customer
behind a link that cannot be guessed. With --links it only prints where they are.`

func (a *app) pageCommand() *cobra.Command {
	var listen string
	var links bool
	cmd := &cobra.Command{
		Use:     "page",
		Short:   "Serve the built-in status pages",
		Long:    pageLong,
		Example: "  sitrep page\n  sitrep page --links\n  sitrep page --listen 127.0.0.1:9000",
		Args:    args(0, "nothing"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.page(cmd.Context(), listen, links)
		},
	}
	cmd.Flags().StringVar(&listen, "listen", "", "`HOST:PORT` to serve on (default: page.listen in the configuration)")
	cmd.Flags().BoolVar(&links, "links", false, "print each page's link and stop")
	return cmd
}

func (a *app) page(ctx context.Context, listen string, linksOnly bool) error {
	cfg, err := a.loadConfig()
	if err != nil {
		return err
	}
	addresses := pageAddresses(cfg)
	if len(addresses) == 0 {
		return &coded{exitConfig, errors.New("no list names a status page. Add a channel `{id: page, kind: page}` and a recipient `{page: [public]}` to a list")}
	}
	if listen != "" {
		if _, port, err := net.SplitHostPort(listen); err != nil || port == "" {
			return &coded{exitUsage, fmt.Errorf("--listen %q is no address to serve on: write it like 127.0.0.1:9000, or :9000 for every address", oneLine(listen))}
		}
	}
	l, err := openLedger(ctx, cfg)
	if err != nil {
		return err
	}
	defer l.Close()
	if listen == "" {
		listen = cfg.Page.Listen
	}
	if linksOnly {
		return a.printLinks(ctx, l, cfg, "http://"+listen, addresses)
	}
	return a.servePages(ctx, l, cfg, listen, addresses)
}

// pageAddresses are the pages that lists name, in the order of the configuration.
func pageAddresses(cfg *config.Config) []string {
	var all []string
	for _, p := range cfg.Customers {
		for _, l := range p.Lists {
			for _, r := range l.To {
				if ch, ok := cfg.Channel(r.Channel); ok && ch.Kind == "page" && !slices.Contains(all, r.Address) {
					all = append(all, r.Address)
				}
			}
		}
	}
	return all
}

// pageLink is a page's link for programs.
type pageLink struct {
	Address string `json:"address"`
	URL     string `json:"url"`
	Open    bool   `json:"public"`
}

func (a *app) printLinks(ctx context.Context, l ledger.Ledger, cfg *config.Config, local string, addresses []string) error {
	base := cfg.Page.BaseURL
	if base == "" {
		base = local
	}
	links, err := statuspage.Links(ctx, l, base, addresses...)
	if err != nil {
		return err
	}
	if a.json {
		pages := make([]pageLink, len(links))
		for i, link := range links {
			pages[i] = pageLink(link)
		}
		a.printJSON(map[string]any{"pages": pages})
		return nil
	}
	for _, link := range links {
		note := "private: whoever has this link reads the page"
		if link.Open {
			note = "public"
		}
		fmt.Fprintf(a.out, "  %-16s %s  %s\n", link.Address, link.URL, a.style(a.out).dim(note))
	}
	return nil
}

func (a *app) servePages(ctx context.Context, l ledger.Ledger, cfg *config.Config, listen string, addresses []string) error {
	handler, err := statuspage.New(statuspage.Options{
		Pages: l, Title: cfg.Page.Title, BaseURL: cfg.Page.BaseURL, Now: a.now, Log: a.log(),
	})
	if err != nil {
		return &coded{exitConfig, err}
	}
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", listen)
	if err != nil {
		if op, ok := errors.AsType[*net.OpError](err); ok {
			err = op.Err // the address is named already
		}
		return fmt.Errorf("the pages cannot be served on %s: %w. Choose another address with --listen", listen, err)
	}
	if err := a.printLinks(ctx, l, cfg, "http://"+ln.Addr().String(), addresses); err != nil {
		return errors.Join(err, ln.Close())
	}
	fmt.Fprintf(a.errOut, "Serving the status pages on http://%s. Stop with Ctrl-C.\n", ln.Addr())
	return serveUntil(ctx, ln, handler)
}

// serveUntil serves HTTP until ctx is done, then lets requests under way end, for a
// few seconds at most.
func serveUntil(ctx context.Context, ln net.Listener, handler http.Handler) error {
	srv := &http.Server{
		Handler: handler, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second,
		WriteTimeout: time.Minute, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
	}
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(ln) }()
	select {
	case err := <-ended:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if srv.Shutdown(grace) == nil {
		return nil
	}
	return srv.Close() // a browser may hold a connection open that it never used
}
