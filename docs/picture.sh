#!/usr/bin/env bash
# Makes docs/renderings.png, the picture in the README: the example update as mail, as chat and on the status page, as
# `sitrep preview --html` draws them, photographed by a headless Chromium. Run it as `make picture` or docs/picture.sh.
#
# Needs chromium and two fonts. On Debian: apt-get install chromium fonts-inter fonts-noto-color-emoji
set -euo pipefail
cd "$(dirname "$0")/.."

browser=""
for name in chromium chromium-browser google-chrome; do
	browser=$(command -v "$name" || true)
	[ -z "$browser" ] || break
done
if [ -z "$browser" ]; then
	echo "docs/picture.sh: there is no Chromium here. On Debian: apt-get install chromium fonts-inter fonts-noto-color-emoji" >&2
	exit 1
fi
for font in "Inter" "Noto Color Emoji"; do
	if ! fc-list : family | grep -q "$font"; then
		echo "docs/picture.sh: the font $font is missing. On Debian: apt-get install fonts-inter fonts-noto-color-emoji" >&2
		exit 1
	fi
done

umask 077
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# One reader of each sort, of one audience. Nothing is sent, so the addresses need not exist.
cat >"$work/sitrep.yaml" <<'YAML'
ledger: sqlite://ledger.db
zone: America/New_York
page: {title: Example Status}
channels:
  - {id: chat, kind: mattermost, url: https://chat.example.com, team: example, token: none}
  - {id: mail, kind: email, host: smtp.example.com, from: Status <status@example.com>}
  - {id: page, kind: page}
customers:
  - id: enterprise-abc
    name: Enterprise ABC
    lists:
      - {id: contacts, audience: customer, to: [{chat: [abc]}, {mail: [alice@abc.example]}, {page: [abc]}]}
YAML

# A date, so that the picture is the same whenever it is made.
sed -e 's,- 7:20pm ET update,- 2026-11-20 14:20 America/New_York update,' -e 's,8:30pm ET,3:30pm ET,' examples/update.md >"$work/update.md"
env -i PATH="$PATH" HOME="$HOME" go run ./cmd/sitrep --config "$work/sitrep.yaml" preview "$work/update.md" --html "$work/page.html"

# The drawings and nothing else, in a row.
cat >"$work/picture.css" <<'CSS'
<style>
.top, .hero, .toc, .notice, .skip, footer, .audience > header, .card > header, .desktop, .text, figcaption { display: none !important; }
body { background: #eceff6; }
.wrap { max-width: none; padding: 0; }
.audience { display: flex; justify-content: center; align-items: flex-start; gap: 44px; margin: 0; padding: 40px 40px 60px; }
.card { border: 0; background: none; overflow: visible; margin: 0; }
.stage { padding: 0; background: none; }
.card::before { display: block; font-weight: 650; font-size: 20px; letter-spacing: -.01em; margin: 0 0 16px 8px; }
.card:has(.room)::before { content: "Chat"; }
.card:has([title^="The mail"])::before { content: "Mail"; }
.card:has([title^="Status"])::before { content: "Status page"; }
.card:has([title^="The mail"]) { order: -1; }
.device { width: 397px; }
.device iframe { width: 375px; height: 812px; }
.room { width: 600px; }
.posts { box-shadow: 0 18px 40px -18px rgb(10 14 22 / .3); }
.what { display: none; }
</style>
CSS
sed -i -e "/<\/head>/{
r $work/picture.css
N
}" "$work/page.html"

# The browser's own fonts, wherever the picture is made.
cat >"$work/fonts.conf" <<'XML'
<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <include>/etc/fonts/fonts.conf</include>
  <match target="pattern"><edit name="family" mode="append" binding="strong"><string>Inter</string></edit></match>
  <match target="pattern">
    <test name="family" compare="eq"><string>system-ui</string></test>
    <edit name="family" mode="assign" binding="strong"><string>Inter</string></edit>
  </match>
  <match target="pattern">
    <test name="family" compare="eq"><string>sans-serif</string></test>
    <edit name="family" mode="assign" binding="strong"><string>Inter</string></edit>
  </match>
</fontconfig>
XML

# Frames of their own process may not be painted when the picture is taken, so they get none.
FONTCONFIG_FILE="$work/fonts.conf" timeout 120 "$browser" --headless --no-sandbox --disable-gpu --disable-quic --no-first-run \
	--disable-background-networking --disable-component-update --disable-sync --disable-features=IsolateSandboxedIframes --hide-scrollbars --user-data-dir="$work/profile" \
	--window-size=1600,985 --virtual-time-budget=10000 --screenshot="$work/renderings.png" "file://$work/page.html" >"$work/log" 2>&1 || {
	tail -n 20 "$work/log" >&2
	exit 1
}
size=$(stat -c %s "$work/renderings.png")
if [ "$size" -lt 240000 ]; then
	echo "docs/picture.sh: the picture has only $size bytes: a frame was not painted. Run it again" >&2
	exit 1
fi
if [ "$size" -gt 400000 ]; then
	echo "docs/picture.sh: the picture has $size bytes, more than a README should carry (400000)" >&2
	exit 1
fi
mv "$work/renderings.png" docs/renderings.png
chmod 644 docs/renderings.png
echo "docs/renderings.png: $size bytes"
