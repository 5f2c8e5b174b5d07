#!/usr/bin/env bash
# Makes a picture of every mail, of all statuses to all audiences and with awkward contents, in a pane of 700 px and on a
# phone of 320 px, light and dark, and screenshots/index.html, which shows them side by side. Run it as `make screenshots`
# or docs/screenshots.sh [FOLDER].
#
# Needs chromium and Node.js. On Debian: apt-get install chromium nodejs npm fonts-noto-core fonts-noto-color-emoji
set -euo pipefail
out=$(realpath -m "${1:-$(dirname "$0")/../screenshots}")
cd "$(dirname "$0")/.."
.ci/mail/install

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
if ! SITREP_REAL=require go test -count=1 -timeout 20m -run '^TestMailsInBrowser$' -artifacts -outputdir "$work" ./internal/acceptance >"$work/log" 2>&1; then
	grep -v '=== ARTIFACTS' "$work/log" >&2
	echo "docs/screenshots.sh: the mails do not look as they should; the pictures are made all the same" >&2
	failed=1
fi

mkdir -p "$out"
rm -f "$out"/*.png "$out/index.html"
while IFS= read -r -d '' picture; do
	name=$(basename "$picture")
	name=${name#TestMailsInBrowser }
	mv "$picture" "$out/${name// /_}"
done < <(find "$work/_artifacts" -name 'TestMailsInBrowser *.png' -print0)

# One row a mail, one column a view.
{
	echo '<!doctype html><html lang="en"><meta charset="utf-8"><title>Mails</title>'
	echo '<style>body{font:15px/1.4 sans-serif;background:#c9ced8;margin:24px}section{display:flex;gap:16px;align-items:start;margin:0 0 40px}h2{margin:0 0 8px}img{display:block;max-width:none}</style>'
	for first in "$out"/*_320_px_light.png; do
		mail=$(basename "$first" _320_px_light.png)
		echo "<h2>${mail//_/ }</h2><section>"
		for view in 700_px_light 700_px_dark 320_px_light 320_px_dark; do
			echo "<img src=\"${mail}_$view.png\" alt=\"${mail//_/ }, ${view//_/ }\">"
		done
		echo '</section>'
	done
} >"$out/index.html"
echo "$(find "$out" -name '*.png' | wc -l) pictures; open $out/index.html"
exit "${failed:-0}"
