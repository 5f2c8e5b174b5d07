package config

import "reflect"

// Keys are all keys of the file that are no kind's.
func Keys() []string {
	keys := recipientKeys()
	for _, v := range []any{&file{}, &guardSettings{}, &pageSettings{}, &rawChannel{}, &Retry{}, &rawCustomer{}, &rawList{}} {
		keys = append(keys, sortedKeys(fieldsOf(reflect.ValueOf(v).Elem()))...)
	}
	return keys
}

// ReadCSV reads a recipient file as a list would, and returns what is wrong.
func ReadCSV(src []byte) (addresses []string, err error) {
	d := &decoder{file: "f.csv", out: &collector{}, warnings: &collector{}, used: &nameSet{}}
	for _, f := range d.csv(src, text{}) {
		addresses = append(addresses, f.Address)
	}
	return addresses, d.out.err()
}
