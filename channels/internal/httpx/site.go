package httpx

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
)

// Site checks an address from the configuration and returns it without a trailing
// slash. It must be https; http is taken for a loopback host or if plain is set,
// because credentials travel on it. The error does not show the address if it may
// be secret: the caller names the setting.
func Site(raw string, plain bool) (string, error) {
	u, err := url.Parse(strings.TrimSpace(raw))
	switch {
	case raw == "":
		return "", errors.New("is empty; give the address, like https://chat.example.com")
	case err != nil || u.Host == "" || u.Opaque != "":
		return "", errors.New("is not an address like https://chat.example.com")
	case u.User != nil:
		return "", errors.New("contains a user name or password; put credentials into their own setting")
	case u.Scheme == "https", u.Scheme == "http" && (plain || loopback(u.Hostname())):
		u.Fragment = ""
		return strings.TrimRight(u.String(), "/"), nil
	case u.Scheme == "http":
		return "", fmt.Errorf("is not encrypted (http://%s), so that anyone on the way could read it; use https (a few kinds can do without: allow_http: true)", u.Host)
	default:
		return "", fmt.Errorf("has the scheme %q; use https", u.Scheme)
	}
}

func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || (err == nil && ip.IsLoopback())
}
