// Package incident is the domain: incidents, their updates, and who may hear of
// them. It has no plumbing and imports nothing of this module.
//
// # What it promises
//
//   - [Parse] reads the team's Markdown template (with or without its heading
//     marks) into a [Draft]. It never panics and never guesses silently: whatever
//     it cannot understand becomes a [Problem] with a line and a remedy.
//   - [Draft.Resolve] turns a draft into an [Update] against what is already known
//     (customers, open incidents, the clock). It reports every problem at once.
//   - An [Update] is a plain value. Its section bodies are Markdown as the author
//     wrote it and are hostile text to everybody downstream.
//   - Elapsed time and promise arithmetic ([Update.Elapsed], [Promise]) use
//     instants only; a wall-clock reading ("8am ET") becomes an instant once, on
//     the way in.
//
// Words follow docs/architecture.md: an incident is one outage of one customer, an
// update is one dated report on it, a promise is when the next update is due.
package incident
