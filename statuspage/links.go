package statuspage

import (
	"context"
	"fmt"
	"strings"

	"sitrep/ledger"
)

// Link is how a page is reached.
type Link struct {
	Address string // as in the distribution lists

	// URL always works. Unless Open is set it is a secret: whoever has it reads the
	// page. Show it to the operator; keep it out of logs.
	URL  string
	Open bool // the page is for everybody, and URL is no secret
}

// Links returns the links of the pages with these addresses, making those pages
// that are not there yet. base is where readers reach the page from outside, such
// as "https://status.example.com".
func Links(ctx context.Context, pages ledger.Pages, base string, addresses ...string) ([]Link, error) {
	links := make([]Link, 0, len(addresses))
	for _, address := range addresses {
		l, err := link(ctx, pages, strings.TrimRight(base, "/"), address)
		if err != nil {
			return nil, fmt.Errorf("link of page %q: %w", address, err)
		}
		links = append(links, l)
	}
	return links, nil
}

func link(ctx context.Context, pages ledger.Pages, base, address string) (Link, error) {
	page, err := pages.Page(ctx, address)
	if err != nil {
		return Link{}, err
	}
	if address == publicAddress {
		return Link{Address: address, URL: base + "/", Open: true}, nil
	}
	entries, _, err := read(ctx, pages, address)
	if err != nil {
		return Link{}, err
	}
	if len(entries) > 0 && forEverybody(entries) {
		return Link{Address: address, URL: base + "/p/" + address, Open: true}, nil
	}
	return Link{Address: address, URL: base + "/c/" + page.Token}, nil
}
