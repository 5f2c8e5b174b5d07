// Package incident is the domain: incidents, their updates, and who may hear of
// them. It has no plumbing and imports nothing of this module.
//
// # What it promises
//
//   - [Parse] reads the team's Markdown template (with or without its heading
//     marks) into a [Draft]. It never panics and never guesses silently: whatever
//     it cannot understand becomes a [Problem] with a line and a remedy.
//   - [Draft.Resolve] turns a draft into an [Update] against what is already known
//     (customers, open incidents, the clock). It reports every problem at once,
//     those of Parse included.
//   - [Compose] writes the template filled in; what it writes, Parse reads.
//   - An [Update] is a plain value. Its section bodies are Markdown as the author
//     wrote it and are hostile text to everybody downstream.
//   - Elapsed time and promises ([Update.Elapsed], [Update.Next]) are arithmetic on
//     instants only; a wall-clock reading ("8am ET") becomes an instant once, on
//     the way in ([Clock]).
//
// # How times are read
//
// A time without a day is, in a title, the latest such instant that is not more
// than 12 hours ahead of now; as a promise, the next such instant after the update.
// A name such as ET or CET is a place with its daylight saving rule; a name that
// does not fit the season (EST in July) is read as that place's local time, with a
// warning. A reading that the clock skipped in spring is taken as by a clock that
// was not put forward (02:30 becomes 03:30); one that the clock showed twice in
// autumn is the earlier, unless the name says which (EST, EDT). In both cases a
// warning says which instant was taken and how to write it with its offset.
//
// # What is read out of running text
//
// A line that says a status or a time in the midst of a section ("Next Update: 8am
// ET", without a heading mark) is understood and taken out of the text; the section
// goes on below it, so that nothing moves to another audience. A line that says more
// ("Next update: 8am ET, sooner if fixed") is a sentence: it is understood and stays.
// In sections that only internal readers see, such lines stay and count for nothing;
// a warning says so.
//
// An update that resolves its incident promises nothing: a next update that it, or
// the sender, names all the same is left out, with a warning.
//
// Words follow docs/architecture.md: an incident is one outage of one customer, an
// update is one dated report on it, a promise is when the next update is due.
package incident
