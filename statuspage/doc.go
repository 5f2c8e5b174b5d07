// Package statuspage is the built-in status page: what a customer or the public
// sees in a browser or a feed reader. It is made on the server from what
// channels/page published, and from nothing else.
//
// # Pages and who may read them
//
// A page has an address ("public", "abc") and a token, its unguessable part:
//
//	/                     the page with the address "public"
//	/p/ADDRESS            any other page on which every entry is for the public
//	/c/TOKEN              any page, for whoever has its link
//
// and below each of them i/INCIDENT (one incident, for ever), history (all that is
// over) and history.atom (a feed, RFC 4287).
//
// # What it promises
//
//   - Without its token, a page is served only while every entry on it is for the
//     public. One entry for customers, and the page is as if it were not there. An
//     entry whose audience is not known counts as internal.
//   - A page that holds anything for customers or the public never shows its
//     internal entries: their link is in other hands.
//   - A wrong token, a private address and an address nobody uses get the same
//     answer, and asking makes no page.
//   - The text of an update is hostile. Its HTML was made safe by the renderer and
//     is sanitised and balanced again here; the content security policy allows no
//     script, no request to elsewhere and no style but the page's own.
//   - A private page is kept by no cache and no search engine, and its address is
//     told to no site that it links to.
//   - Nothing is claimed that the ledger does not say: no "all systems
//     operational", no percentage. A promise of a next update that was not kept is
//     shown as late.
//   - It needs no script, and reads well on a phone, in the dark, on paper and by a
//     screen reader. It reloads by itself only for a reader who asks for it.
//
// Everything is read at the moment of the request, so what is published is seen at
// once; requests that come while a page is being read share that reading, so that
// a rush of readers does not become a rush on the ledger.
package statuspage
