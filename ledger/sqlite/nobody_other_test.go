//go:build !linux

package sqlite_test

import "errors"

func becomeNobody() error {
	return errors.New("root may write anywhere: run this test as somebody else")
}
