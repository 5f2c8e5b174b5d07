package renderers

import (
	"strings"
)

// table draws a table in columns if it fits, with cells on several lines where need
// be, and else writes each row as labelled lines. Nothing is left out either way.
func (p plain) table(b block, cols int) []string {
	rows := p.cells(b)
	if p.grid && cols > 0 {
		if widths, ok := fit(rows, cols); ok {
			return draw(rows, widths, b.align)
		}
	}
	return p.records(rows, cols)
}

func (p plain) cells(b block) [][]string {
	rows := make([][]string, len(b.rows))
	for i, row := range b.rows {
		for _, c := range row {
			rows[i] = append(rows[i], strings.Join(strings.Fields(p.inlines(c)), " "))
		}
	}
	return rows
}

const columnGap = " | "

// fit shares cols among the columns: each gets at least its longest word, and what
// is left goes where the text is longest.
func fit(rows [][]string, cols int) ([]int, bool) {
	least, natural := columnWidths(rows)
	room := cols - len(columnGap)*(len(least)-1)
	need, want := 0, 0
	for i := range least {
		need += least[i]
		want += natural[i] - least[i]
	}
	spare := room - need
	if spare < 0 || len(least) == 0 {
		return nil, false
	}
	if want <= spare {
		return natural, true
	}
	for i := range least {
		least[i] += (natural[i] - least[i]) * spare / want
	}
	return least, true
}

// columnWidths are the width of each column's longest word and of its longest cell.
func columnWidths(rows [][]string) (least, natural []int) {
	for _, row := range rows {
		for i, c := range row {
			if i == len(least) {
				least, natural = append(least, 1), append(natural, 1)
			}
			least[i] = max(least[i], widest(strings.Fields(c)))
			natural[i] = max(natural[i], width(c))
		}
	}
	return least, natural
}

// draw writes the header, a line and the rows. If a cell takes several lines, there
// is a line after every row.
func draw(rows [][]string, widths []int, align []string) []string {
	between := line(widths, "-", "-+-")
	var lines []string
	tall := false
	for i, row := range rows {
		part := drawRow(row, widths, align)
		tall = tall || len(part) > 1 && i > 0
		lines = append(lines, part...)
		if i == 0 || tall && i < len(rows)-1 {
			lines = append(lines, between)
		}
	}
	return lines
}

func drawRow(row []string, widths []int, align []string) []string {
	cells := make([][]string, len(widths))
	height := 1
	for i := range row {
		cells[i] = wrap(row[i], widths[i])
		height = max(height, len(cells[i]))
	}
	lines := make([]string, height)
	for l := range lines {
		parts := make([]string, len(widths))
		for i, w := range widths {
			text, how := "", ""
			if l < len(cells[i]) {
				text = cells[i][l]
			}
			if i < len(align) {
				how = align[i]
			}
			parts[i] = pad(text, w, how)
		}
		lines[l] = strings.TrimRight(strings.Join(parts, columnGap), " ")
	}
	return lines
}

func line(widths []int, fill, cross string) string {
	parts := make([]string, len(widths))
	for i, w := range widths {
		parts[i] = strings.Repeat(fill, w)
	}
	return strings.Join(parts, cross)
}

// records writes each row as "Heading: cell" lines, an empty line between rows.
func (p plain) records(rows [][]string, cols int) []string {
	if len(rows) == 0 {
		return nil
	}
	head := rows[0]
	if len(rows) == 1 {
		return wrap(strings.Join(head, columnGap), cols)
	}
	var lines []string
	for i, row := range rows[1:] {
		if i > 0 {
			lines = append(lines, "")
		}
		for j, c := range row {
			lines = append(lines, wrap(label(head, j)+c, cols)...)
		}
	}
	return lines
}

func label(head []string, i int) string {
	if i >= len(head) || head[i] == "" {
		return ""
	}
	return strings.TrimSuffix(head[i], ":") + ": "
}
