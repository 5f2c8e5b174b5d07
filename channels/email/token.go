package email

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"time"
)

const (
	tokenTime = 15 * time.Second // for the command to print a token
	maxToken  = 64 << 10         // what it may print, in bytes

	// tokenMargin is how long before its end a token is no longer used.
	tokenMargin = 30 * time.Second
)

// tokenCommand is a program that prints an OAuth access token. It is run when there is
// none that is good, once for all who want one. It is safe for concurrent use.
type tokenCommand struct {
	argv []string

	running sync.Mutex // one at a time
	mu      sync.Mutex
	token   string
	until   time.Time // zero: until it is refused
	latest  string    // for redaction, even after it was refused
}

// get returns a token, and whether it was kept from an earlier run.
func (t *tokenCommand) get(ctx context.Context) (token string, kept bool, err error) {
	t.running.Lock()
	defer t.running.Unlock()
	if token := t.good(); token != "" {
		return token, true, nil
	}
	token, lasts, err := t.run(ctx)
	if err != nil {
		return "", false, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.token, t.latest, t.until = token, token, time.Time{}
	if lasts > 0 {
		t.until = time.Now().Add(lasts - tokenMargin)
	}
	return token, false, nil
}

func (t *tokenCommand) good() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.until.IsZero() && time.Now().After(t.until) {
		t.token = ""
	}
	return t.token
}

// forget drops a token that was refused.
func (t *tokenCommand) forget(token string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.token == token {
		t.token = ""
	}
}

// last is the token that was seen last, whether it is good or not.
func (t *tokenCommand) last() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.latest
}

// run runs the program without a shell. What it prints is never repeated in an error.
func (t *tokenCommand) run(ctx context.Context) (token string, lasts time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, tokenTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, t.argv[0], t.argv[1:]...)
	cmd.WaitDelay = time.Second
	out := &bounded{most: maxToken}
	cmd.Stdout = out
	err = cmd.Run()
	switch {
	case ctx.Err() != nil:
		return "", 0, fmt.Errorf("token_command: %s printed no token within %s", t.argv[0], tokenTime)
	case out.over:
		return "", 0, fmt.Errorf("token_command: %s printed more than %d KiB; it must print a token and nothing else", t.argv[0], maxToken>>10)
	case err != nil:
		return "", 0, fmt.Errorf("token_command: %s failed: %w; run it by hand to see why", t.argv[0], err)
	}
	token, lasts, err = parseToken(out.kept)
	if err != nil {
		return "", 0, fmt.Errorf("token_command: %s: %w", t.argv[0], err)
	}
	return token, lasts, nil
}

// parseToken reads a token alone, or the answer of a token endpoint (RFC 6749
// section 5.1).
func parseToken(out []byte) (token string, lasts time.Duration, err error) {
	text := strings.TrimSpace(string(out))
	if strings.HasPrefix(text, "{") {
		var answer struct {
			AccessToken string  `json:"access_token"`
			ExpiresIn   float64 `json:"expires_in"`
		}
		if json.Unmarshal([]byte(text), &answer) != nil {
			return "", 0, errors.New("it printed JSON that has no text access_token, or no number expires_in")
		}
		text, lasts = answer.AccessToken, time.Duration(min(max(answer.ExpiresIn, 0), 1e6))*time.Second
	}
	switch {
	case text == "":
		return "", 0, errors.New("it printed no token")
	case strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }):
		return "", 0, errors.New("it printed something that is not one token in one line")
	}
	return text, lasts, nil
}

// bounded keeps what is written to it, up to a limit. It is not a bytes.Buffer, for
// that would be read into without asking.
type bounded struct {
	kept []byte
	most int
	over bool
}

var errTooMuch = errors.New("too much output")

func (b *bounded) Write(p []byte) (int, error) {
	if len(b.kept)+len(p) > b.most {
		b.over = true
		return 0, errTooMuch
	}
	b.kept = append(b.kept, p...)
	return len(p), nil
}
