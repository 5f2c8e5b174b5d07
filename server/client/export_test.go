package client

import (
	"io"
	"time"
)

// ReadEvents is the reader of a stream, without a server.
func ReadEvents(body io.Reader, yield func(Event, error) bool) error {
	alive := time.NewTimer(time.Hour)
	defer alive.Stop()
	return (&stream{yield: yield}).lines(body, alive)
}
