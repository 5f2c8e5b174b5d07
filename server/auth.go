package server

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"errors"
	"fmt"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"sitrep/incident"
	"sitrep/ledger"
)

// Role is what a caller may do. The zero value may do nothing.
type Role string

// The roles, each with the rights of those before it.
const (
	Viewer Role = "viewer"
	Author Role = "author"
	Admin  Role = "admin"
)

// Roles returns all roles, least first.
func Roles() []Role { return []Role{Viewer, Author, Admin} }

// covers reports whether r has the rights of need.
func (r Role) covers(need Role) bool {
	have := slices.Index(Roles(), r)
	return have >= 0 && have >= slices.Index(Roles(), need)
}

// AllCustomers is the scope of a token that is for every customer, also those to come.
const AllCustomers = "*"

// Grant is what a new token is to permit.
type Grant struct {
	Name      string // whose it is: recorded with what it does
	Role      Role
	Customers []string  // ids, or AllCustomers alone
	Expires   time.Time // zero: never
}

// check reports every mistake.
func (g Grant) check(now time.Time) incident.Problems {
	var all incident.Problems
	refuse := func(bad bool, what, remedy string) {
		if bad {
			all = append(all, incident.Problem{What: what, Remedy: remedy})
		}
	}
	refuse(strings.TrimSpace(g.Name) == "" || len(g.Name) > 100 || !printable(g.Name), "The token needs a name of up to 100 printable characters.", "Say whose it is, such as \"on-call\" or \"ci\".")
	refuse(!slices.Contains(Roles(), g.Role), fmt.Sprintf("%q is not a role.", g.Role), "Write viewer, author or admin.")
	refuse(len(g.Customers) == 0, "The token is for no customer.", "Name their ids, or * for all of them.")
	refuse(len(g.Customers) > 1 && slices.Contains(g.Customers, AllCustomers), "The token is for all customers and for some.", "Name * alone, or the ids alone.")
	refuse(slices.Contains(g.Customers, ""), "A customer's id is empty.", "Leave it out.")
	refuse(!g.Expires.IsZero() && !g.Expires.After(now), "The token would have expired already.", "Name a later time.")
	return all
}

func printable(s string) bool {
	return !strings.ContainsFunc(s, func(c rune) bool { return c < ' ' || c == 0x7f || c == '\uFFFD' })
}

// Issue makes a token, records it and returns it. It is shown this once: what is kept
// is its hash. Mistakes in the grant are an incident.Problems.
func Issue(ctx context.Context, tokens ledger.Tokens, g Grant, now time.Time) (string, ledger.Token, error) {
	if err := g.check(now).Err(); err != nil {
		return "", ledger.Token{}, err
	}
	id := strings.ToLower(rand.Text())[:10]
	secret := make([]byte, 32)
	rand.Read(secret) // never fails, see its documentation
	token := "sitrep_" + id + "_" + lower32.EncodeToString(secret)
	row := ledger.Token{
		ID: id, Name: strings.TrimSpace(g.Name), Role: string(g.Role), Customers: slices.Clone(g.Customers),
		Hash: hashOf(token), Created: now, Expires: g.Expires,
	}
	if err := tokens.AddToken(ctx, row); err != nil {
		return "", ledger.Token{}, fmt.Errorf("record the token: %w", err)
	}
	return token, row, nil
}

var (
	lower32   = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)
	tokenForm = regexp.MustCompile(`^sitrep_([a-z2-7]{10})_[a-z2-7]{52}$`)
)

func hashOf(token string) []byte {
	sum := sha256.Sum256([]byte(token))
	return sum[:]
}

// principal is who calls.
type principal struct {
	id        string // of the token, or "local"
	name      string // for the record
	role      Role
	all       bool // every customer
	customers []string
}

// may reports whether the caller may know of a customer.
func (p principal) may(customer string) bool {
	return p.all || customer != "" && slices.Contains(p.customers, customer)
}

// parties are those the caller may know of.
func (p principal) parties(all []incident.Party) []incident.Party {
	if p.all {
		return all
	}
	return slices.DeleteFunc(slices.Clone(all), func(x incident.Party) bool { return !p.may(x.ID) })
}

type contextKey int

const (
	keyLocal contextKey = iota
	keyPrincipal
	keyTrace
)

// Local is http.Server.ConnContext: it marks requests that come by a Unix socket. Who
// may open the socket's file is trusted as an admin, without a token. No header can
// set the mark.
func Local(ctx context.Context, c net.Conn) context.Context {
	inner := c
	if t, ok := c.(interface{ NetConn() net.Conn }); ok { // TLS
		inner = t.NetConn()
	}
	u, ok := inner.(*net.UnixConn)
	if !ok {
		return ctx
	}
	return context.WithValue(ctx, keyLocal, principal{id: "local", name: "socket:" + peer(u), role: Admin, all: true})
}

// caller is who sent the request, as authenticate found out.
func caller(ctx context.Context) principal {
	p, _ := ctx.Value(keyPrincipal).(principal)
	return p
}

// authenticate finds out who calls. Every failure is the same.
func (s *Server) authenticate(r *http.Request) (principal, error) {
	if p, ok := r.Context().Value(keyLocal).(principal); ok {
		return p, nil
	}
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	token = strings.TrimSpace(token)
	m := tokenForm.FindStringSubmatch(token)
	if !strings.EqualFold(scheme, "Bearer") || m == nil {
		return principal{}, unauthorized()
	}
	row, err := s.o.Ledger.Token(r.Context(), m[1])
	if err != nil && !errors.Is(err, ledger.ErrNotFound) {
		return principal{}, s.explain(err, principal{})
	}
	right := subtle.ConstantTimeCompare(hashOf(token), row.Hash) == 1
	if !right || !inForce(row, s.o.Now()) {
		return principal{}, unauthorized()
	}
	return principalOf(row), nil
}

func inForce(t ledger.Token, now time.Time) bool {
	return t.Revoked.IsZero() && (t.Expires.IsZero() || now.Before(t.Expires))
}

func principalOf(t ledger.Token) principal {
	return principal{
		id: t.ID, name: t.Name, role: Role(t.Role),
		all: slices.Contains(t.Customers, AllCustomers), customers: t.Customers,
	}
}

// stillMay reports whether a caller admitted before is still to be served.
func (s *Server) stillMay(ctx context.Context, p principal) bool {
	if p.id == "local" {
		return true
	}
	row, err := s.o.Ledger.Token(ctx, p.id)
	if errors.Is(err, ledger.ErrNotFound) {
		return false
	}
	return err != nil || inForce(row, s.o.Now()) // a ledger that does not answer revokes nothing
}

// touches remembers when the use of a token was last recorded, so that it is recorded
// once a minute. The zero value is ready.
type touches struct {
	mu   sync.Mutex
	last map[string]time.Time
}

const touchEvery = time.Minute

// due reports whether a token's use is to be recorded now.
func (t *touches) due(id string, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.last == nil {
		t.last = map[string]time.Time{}
	}
	if last, ok := t.last[id]; ok && now.Sub(last) < touchEvery {
		return false
	}
	t.last[id] = now
	return true
}

// touch records that a token was used. It is worth little patience.
func (s *Server) touch(ctx context.Context, p principal) {
	if now := s.o.Now(); p.id != "local" && s.touched.due(p.id, now) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 250*time.Millisecond)
		defer cancel()
		if err := s.o.Ledger.TouchToken(ctx, p.id, now); err != nil {
			s.o.Log.Debug("the use of a token could not be recorded", "token", p.id, "error", err)
		}
	}
}
