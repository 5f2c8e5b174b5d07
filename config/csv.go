package config

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"sitrep/incident"
)

// csvFiles are the recipient files read so far, so that a file that many lists
// use is read, and complained about, once.
type csvFiles map[string][]member

// csvColumns are the columns a file can have, in any order. Only address must be
// there.
func csvColumns() []string { return []string{"address", "name", "locale", "zone", "required"} }

const (
	maxCSV  = 10 << 20
	maxRows = 100_000
)

// read reads recipients from a CSV file (RFC 4180; semicolons too, as some
// spreadsheets write them). The first row names the columns. There are no
// comments, for addresses begin with # on some channels.
func (files csvFiles) read(d *decoder, name text) []member {
	path := d.abs(name.Value)
	d.note(path)
	if rows, ok := files[path]; ok {
		return rows
	}
	files[path] = nil
	src, _, err := readSmall(path, maxCSV)
	if err != nil {
		d.problem(name.At, "The list of recipients: "+reason(d.display(path), err)+".", fileRemedy(err))
		return nil
	}
	e := *d
	e.file = d.display(path)
	files[path] = e.csv(src, name)
	return files[path]
}

// csv reads the rows; d.file is the CSV file.
func (d *decoder) csv(src []byte, from text) []member {
	src = bytes.TrimPrefix(src, []byte("\ufeff"))
	if i := invalidUTF8(src); i >= 0 {
		d.problem(position{Line: bytes.Count(src[:i], []byte("\n")) + 1}, "The line is not UTF-8 text.", "Save the file with the encoding UTF-8.")
		return nil
	}
	r := csv.NewReader(bytes.NewReader(src))
	r.FieldsPerRecord, r.TrimLeadingSpace, r.ReuseRecord = -1, true, true
	if first, _, _ := bytes.Cut(bytes.TrimSpace(src), []byte("\n")); bytes.ContainsRune(first, ';') && !bytes.ContainsRune(first, ',') {
		r.Comma = ';'
	}
	columns := d.header(r)
	if columns == nil {
		return nil
	}
	var out []member
	for rows := 0; ; rows++ {
		record, err := r.Read()
		switch {
		case errors.Is(err, io.EOF):
			if len(out) == 0 && rows == 0 {
				d.warn(position{Line: 1}, "The file has no recipients.", "Add a row for each.")
			}
			return out
		case err != nil:
			d.csvError(err)
			return out
		case rows >= maxRows:
			d.problem(position{Line: 1}, fmt.Sprintf("The file has more than %d recipients.", maxRows), "Is it the right file?")
			return out
		}
		line, _ := r.FieldPos(0)
		if f, ok := d.row(columns, record, line); ok {
			out = append(out, f)
		}
	}
}

// header reads the names of the columns; "" stands for one to ignore.
func (d *decoder) header(r *csv.Reader) []string {
	const remedy = "The first row names the columns: address,name,locale,zone,required. Only address must be there."
	record, err := r.Read()
	if errors.Is(err, io.EOF) {
		d.problem(position{Line: 1}, "The file is empty.", remedy)
		return nil
	} else if err != nil {
		d.csvError(err)
		return nil
	}
	columns := make([]string, len(record))
	line, _ := r.FieldPos(0)
	for i, title := range record {
		column := strings.ToLower(strings.TrimSpace(title))
		switch {
		case column == "":
		case slices.Contains(columns, column):
			d.problem(position{Line: line}, "The column `"+clip(column)+"` is there twice.", "Remove one.")
		case slices.Contains(csvColumns(), column):
			columns[i] = column
		case strings.Contains(column, "@"): // a row, not a title
		default:
			d.problem(position{Line: line}, "`"+clip(title)+"` is not a column.", didYouMean(column, csvColumns()))
		}
	}
	if !slices.Contains(columns, "address") {
		d.problem(position{Line: line}, "There is no column `address`.", remedy)
		return nil
	}
	return columns
}

// row reads one recipient. Rows without anything in them are passed over.
func (d *decoder) row(columns, record []string, line int) (member, bool) {
	place := position{Line: line}
	if !slices.ContainsFunc(record, func(s string) bool { return strings.TrimSpace(s) != "" }) {
		return member{}, false
	}
	if len(record) > len(columns) {
		d.problem(place, fmt.Sprintf("The row has %d fields, and there are %d columns.", len(record), len(columns)), "Put a field that holds a comma into quotes.")
		return member{}, false
	}
	get := map[string]string{}
	cell := func(column string) spot {
		return spot{Problem{File: d.file, Line: line}, "`" + column + "`", "`" + clip(get[column]) + "`", d.out}
	}
	for i, s := range record {
		get[columns[i]] = strings.TrimSpace(s)
	}
	good := true
	for i, s := range record {
		if _, bad := controls(s); bad && (columns[i] == "address" || columns[i] == "name") {
			good = cell(columns[i]).oneLine(s)
		}
	}
	if !good {
		return member{}, false
	}
	f := member{place: Problem{File: d.file, Line: line}}
	f.Name, f.Address = incident.SplitName(get["address"])
	if get["name"] != "" {
		f.Name = get["name"]
	}
	f.shown = f.Address
	if f.Address == "" {
		d.problem(place, "The row has no address.", "Write one, or remove the row.")
		return member{}, false
	}
	f.Locale = d.locale(get["locale"], cell("locale"))
	if get["zone"] != "" {
		f.Zone = d.zone(get["zone"], cell("zone"))
	}
	f.Required = yes(get["required"], cell("required"))
	return f, true
}

// yes reads a cell that says yes or no, as spreadsheets and people write it. Empty is
// no.
func yes(s string, at spot) bool {
	switch strings.ToLower(s) {
	case "true", "yes", "1", "x":
		return true
	case "", "false", "no", "0":
	default:
		at.problem("must be yes or no, not "+at.shown+".", "Write true or false; empty is false.")
	}
	return false
}

func (d *decoder) csvError(err error) {
	line, what := 1, err.Error()
	if p, ok := errors.AsType[*csv.ParseError](err); ok {
		line, what = p.StartLine, p.Err.Error()
	}
	d.problem(position{Line: line}, "This is not CSV: "+what+".", `A field with quotes in it is written "like ""this""".`)
}
