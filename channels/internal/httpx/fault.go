package httpx

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode"
	"unicode/utf8"

	"sitrep/channels"
	"sitrep/internal/secret"
)

// Fault is what most services mean by a status; an adapter overrides it where its
// service means something else. safe is as in [Request.Safe]. 2xx has no fault.
//
// A gateway's 502 and 504, and a plain 500, may come after the work was done, so
// for a request that creates something they are Ambiguous. 503 is a refusal.
func Fault(status int, safe bool) channels.Fault {
	switch {
	case status >= 200 && status < 300:
		return ""
	case status == http.StatusUnauthorized, status == http.StatusForbidden, status == http.StatusProxyAuthRequired:
		return channels.Unauthorized
	case status == http.StatusTooManyRequests:
		return channels.RateLimited
	case slices.Contains([]int{http.StatusRequestTimeout, http.StatusTooEarly, http.StatusServiceUnavailable}, status):
		return channels.Unavailable
	case slices.Contains([]int{501, 505, 507, 508, 510, 511}, status): // will be the same the next time
		return channels.Rejected
	case status >= 500 && safe:
		return channels.Unavailable
	case status >= 500:
		return channels.Ambiguous
	default:
		return channels.Rejected
	}
}

// Fail is the response as an error of the given fault, with the remote side's
// status and words; an empty fault means the usual one for the status. Where a
// complete answer was needed and it broke off, use Fail(""): a broken 2xx is
// Ambiguous (Unavailable if safe).
func (r Response) Fail(f channels.Fault) *channels.Error {
	if f == "" {
		f = Fault(r.Status, r.safe)
	}
	if f == "" && r.safe {
		f = channels.Unavailable
	}
	if f == "" {
		f = channels.Ambiguous
	}
	return &channels.Error{Fault: f, RetryAfter: r.RetryAfter, Err: errors.New(r.describe())}
}

func (r Response) describe() string {
	s := fmt.Sprintf("%s answered %d %s", r.host, r.Status, http.StatusText(r.Status))
	if r.Status >= 300 && r.Status < 400 {
		return s + ": it redirects to " + place(r.Header.Get("Location")) +
			", which is not followed with credentials; put the final address into the configuration"
	}
	if r.Broken {
		s += " and broke off, or answered more than we read"
	}
	if text := r.Text(); text != "" {
		s += ": " + text
	}
	return s
}

// place is a URL's scheme and host, which are no secret.
func place(location string) string {
	u, err := url.Parse(location)
	if err != nil || u.Host == "" {
		return "another path of the same host"
	}
	return u.Scheme + "://" + u.Host
}

// MaxWait is the longest wait RetryAfter believes in.
const MaxWait = time.Hour

// RetryAfter is how long an answer asks to wait, at most MaxWait, or zero. It reads
// Retry-After (RFC 9110 section 10.2.3: seconds or a date), and failing that
// X-RateLimit-Reset-After, X-RateLimit-Reset and RateLimit-Reset (seconds to wait,
// or, where the number can be nothing else, a Unix time in seconds or milliseconds).
func RetryAfter(h http.Header, now time.Time) time.Duration {
	for _, name := range []string{"Retry-After", "X-RateLimit-Reset-After", "X-RateLimit-Reset", "RateLimit-Reset"} {
		if d := wait(h.Get(name), now); d > 0 {
			return min(d, MaxWait)
		}
	}
	return 0
}

func wait(value string, now time.Time) time.Duration {
	value = strings.TrimSpace(value)
	if value == "" {
		return 0
	}
	if at, err := http.ParseTime(value); err == nil {
		return at.Sub(now)
	}
	n, err := strconv.ParseFloat(value, 64)
	switch {
	case err != nil || math.IsNaN(n) || n <= 0:
		return 0
	case n > 1e9 && n < 1e11: // a Unix time
		return time.Unix(int64(n), 0).Sub(now)
	case n > 1e12 && n < 1e14: // the same in milliseconds, as Rocket.Chat has it
		return time.UnixMilli(int64(n)).Sub(now)
	default:
		return time.Duration(math.Ceil(min(n, MaxWait.Seconds()) * float64(time.Second)))
	}
}

// explain says why no answer came, in words for the operator. It is built from the
// kinds of error Go's transport makes, innermost first, so that no URL gets in.
func explain(err error) string {
	var (
		unknown  x509.UnknownAuthorityError
		host     x509.HostnameError
		invalid  x509.CertificateInvalidError
		cert     *tls.CertificateVerificationError
		notTLS   tls.RecordHeaderError
		dns      *net.DNSError
		op       *net.OpError
		parseErr *url.Error
	)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return "no answer within the time limit"
	case errors.Is(err, context.Canceled):
		return "the attempt was called off before an answer came"
	case errors.As(err, &unknown):
		return "its certificate is not signed by an authority this machine trusts; install the authority's certificate here, or renew the server's"
	case errors.As(err, &host):
		return "its certificate is for another host name: " + host.Error()
	case errors.As(err, &invalid), errors.As(err, &cert):
		return "its certificate is not valid: " + err.Error()
	case errors.As(err, &notTLS):
		return "it does not speak TLS on this port; https:// may be wrong in the configured URL"
	case errors.As(err, &dns):
		return "its name cannot be resolved: " + dns.Err
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused; is the server running?"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "the server closed the connection without an answer"
	case errors.As(err, &op):
		return op.Op + ": " + op.Err.Error()
	case errors.As(err, &parseErr):
		return parseErr.Err.Error()
	default:
		return err.Error()
	}
}

const shown = 300 // runes of a remote side's words that an error repeats

// tidy makes a remote side's words fit for one line of a log: no secret, no control
// character, no novel.
func tidy(hide *strings.Replacer, s string) string {
	if hide != nil {
		s = hide.Replace(s)
	}
	s = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(s, "�"), func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r) || unicode.Is(unicode.Cf, r)
	}), " ")
	if utf8.RuneCountInString(s) > shown {
		s = string([]rune(s)[:shown]) + "…"
	}
	return s
}

// hider replaces secrets in every form they take in URLs and JSON. A secret that
// is a URL also hides its path, its query and the ids in them by themselves.
func hider(secrets []secret.String) *strings.Replacer {
	forms := map[string]bool{}
	add := func(s string) {
		if len(s) >= 4 { // shorter ones would only garble the text
			forms[s], forms[url.QueryEscape(s)], forms[url.PathEscape(s)] = true, true, true
		}
	}
	for _, s := range secrets {
		add(s.Reveal())
		if u, err := url.Parse(s.Reveal()); err == nil && u.Host != "" {
			add(u.RequestURI())
			add(u.Path)
			add(u.RawQuery)
			for _, part := range strings.Split(u.Path, "/") {
				if len(part) >= 12 { // an id, not a word like "hooks"
					add(part)
				}
			}
			for _, values := range u.Query() {
				for _, v := range values {
					if len(v) >= 12 {
						add(v)
					}
				}
			}
		}
	}
	longest := make([]string, 0, len(forms))
	for s := range forms {
		longest = append(longest, s)
	}
	slices.SortFunc(longest, func(a, b string) int { return len(b) - len(a) })
	pairs := make([]string, 0, 2*len(longest))
	for _, s := range longest {
		pairs = append(pairs, s, "[secret]")
	}
	return strings.NewReplacer(pairs...)
}

// Redact is s without the client's secrets, for words that reach an adapter
// another way.
func (c *Client) Redact(s string) string { return tidy(c.hide, s) }
