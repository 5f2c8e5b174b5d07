// Holds mails to what mail programs can show, by the data of caniemail.com:
//
//     node lint.mjs FOLDER
//
// looks at every *.html in the folder. A feature that one of the programs below does not support, or only in part, is an
// error unless accepted.json says why the mail is fine without it. So is a reason in accepted.json that nothing needs any
// more. Exit code 1 means that something was found, 2 that the linter could not do its work.
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { caniemail, rawData } from "caniemail";

// The programs that a mail has to be right in: what customers of companies read mail with.
const programs = ["apple-mail.*", "gmail.*", "gmx.*", "outlook.*", "thunderbird.*", "web-de.*", "yahoo.*"];

// Gmail drops a style sheet that is longer, all of it (https://github.com/hteumeuleu/email-bugs/issues/90).
const longestStyle = 16384;

// What caniemail.com has not tested (no entry, or "u") is not held against a mail; the linter would stop at the one and
// take the other for half supported.
for (const { stats } of rawData.data) {
  for (const family of Object.keys(rawData.nicenames.family)) {
    stats[family] ??= {};
    for (const platform of Object.keys(rawData.nicenames.platform)) {
      const versions = (stats[family][platform] ??= { untested: "y" });
      for (const [version, how] of Object.entries(versions)) if (how.startsWith("u")) versions[version] = "y";
    }
  }
}

// The linter does not look into @media: what is in there is handed to it once more, by itself.
function conditional(css) {
  const inner = [];
  for (let at = css.indexOf("@media"); at >= 0; at = css.indexOf("@media", at + 1)) {
    const start = css.indexOf("{", at) + 1;
    let end = start;
    for (let depth = 1; depth > 0; end++) {
      if (end >= css.length) throw new Error("a style sheet has an @media that does not end");
      depth += { "{": 1, "}": -1 }[css[end]] ?? 0;
    }
    inner.push(css.slice(start, end - 1));
  }
  return inner.join("\n");
}

// found returns what is not supported everywhere, as feature → {programs, notes, line}.
function found(html) {
  const features = new Map();
  const add = (options) => {
    const { issues } = caniemail({ clients: programs, ...options });
    for (const [how, byProgram] of [["not", issues.errors], ["partly", issues.warnings]]) {
      for (const [program, list] of byProgram) {
        for (const { title, notes, position } of list) {
          if (!features.has(title)) features.set(title, { not: new Set(), partly: new Set(), notes: new Set(), line: options.html && position?.start.line });
          features.get(title)[how].add(program);
          for (const note of notes ?? []) features.get(title).notes.add(note);
        }
      }
    }
  };
  add({ html });
  for (const [, css] of html.matchAll(/<style>([^]*?)<\/style>/g)) {
    if (css.length > longestStyle) features.set("a style sheet of more than 16 KB", { not: new Set(["gmail.*"]), partly: new Set(), notes: new Set() });
    const inner = conditional(css);
    if (inner.trim()) add({ css: inner });
  }
  return features;
}

function describe({ not, partly, notes }) {
  return [
    not.size ? `not in ${[...not].sort().join(", ")}` : "",
    partly.size ? `in part in ${[...partly].sort().join(", ")}` : "",
    notes.size ? `(${[...notes].join(" ")})` : "",
  ].filter(Boolean).join("; ");
}

function main(folder) {
  const accepted = JSON.parse(readFileSync(new URL("accepted.json", import.meta.url), "utf8")).features;
  const files = readdirSync(folder).filter((name) => name.endsWith(".html")).sort();
  if (files.length === 0) throw new Error(`there is no *.html in ${folder}`);
  const needed = new Set();
  const wrong = new Map();
  for (const name of files) {
    for (const [title, feature] of found(readFileSync(join(folder, name), "utf8"))) {
      needed.add(title);
      if (accepted[title]) continue;
      const at = feature.line ? `${name}:${feature.line}` : name;
      if (wrong.has(title)) wrong.get(title).more++;
      else wrong.set(title, { at, said: describe(feature), more: 0 });
    }
  }
  for (const [title, { at, said, more }] of wrong) console.log(`${at}${more ? ` and ${more} more` : ""}: ${title}: supported ${said}`);
  const idle = Object.keys(accepted).filter((title) => !needed.has(title));
  for (const title of idle) console.log(`accepted.json: ${title}: no mail needs this any more; remove it`);
  console.log(`${files.length} mails, ${wrong.size} features to mend, ${needed.size - wrong.size} accepted`);
  return wrong.size + idle.length > 0 ? 1 : 0;
}

try {
  process.exitCode = main(process.argv[2] ?? ".");
} catch (err) {
  console.error(`lint.mjs: ${err.stack}`);
  process.exitCode = 2;
}
