package statuspage

// Safe is the body of a section as a page shows it.
func Safe(body, text string, level int) string {
	return string((&site{policy: newPolicy()}).safe(body, text, level))
}

// Line is a one-line text as a page shows it.
func Line(s string) string { return line(s) }

// Style is the style sheet.
func Style() (string, error) {
	css, err := files.ReadFile("templates/style.css")
	return string(css), err
}
