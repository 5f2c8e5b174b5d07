# Sourced by .ci/run: where the checks' tools come from. Versions are pinned here and nowhere else.
GOFUMPT=mvdan.cc/gofumpt@v0.12.0
STATICCHECK=honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOLANGCI=github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
GOVULNCHECK=golang.org/x/vuln/cmd/govulncheck@v1.1.4
DEBIAN="chromium dovecot-imapd postfix prometheus python3-dkim postgresql"
