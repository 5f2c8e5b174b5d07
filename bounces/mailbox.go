package bounces

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"

	"sitrep/ledger"
)

// round works off what is unseen and returns how many messages were received.
func (m *mailbox) round(ctx context.Context) (received int, err error) {
	select {
	case <-m.news: // it is looked for now
	default:
	}
	err = m.within(ctx, round, func() error {
		unseen, err := m.unseen()
		if err != nil {
			return fmt.Errorf("look for mail: %w", err)
		}
		began := time.Now()
		for _, uid := range unseen {
			if time.Since(began) > round/2 {
				m.ring() // the rest is next, after a look at who has the duty
				return nil
			}
			done, err := m.handle(ctx, uid)
			if err != nil {
				return err
			}
			if done {
				received++
			}
		}
		return nil
	})
	return received, err
}

func (m *mailbox) unseen() ([]imap.UID, error) {
	found, err := m.client.UIDSearch(&imap.SearchCriteria{NotFlag: []imap.Flag{imap.FlagSeen, imap.FlagDeleted}}, nil).Wait()
	if err != nil {
		return nil, err
	}
	return found.AllUIDs(), nil
}

// handle receives a message and puts it away, and reports whether it did. An error is the
// connection's.
func (m *mailbox) handle(ctx context.Context, uid imap.UID) (bool, error) {
	content, err := m.content(uid)
	if err != nil {
		return false, fmt.Errorf("fetch a message: %w", err)
	}
	if content == nil {
		return false, nil // somebody has removed it
	}
	bounded, cancel := context.WithTimeout(ctx, recording)
	defer cancel()
	err = m.f.o.Receiver.Receive(bounded, Mail{Trusted: m.f.o.Trusted, Content: bytes.NewReader(content)})
	switch {
	case err == nil:
		return true, m.putAway(uid)
	case ctx.Err() != nil:
		return false, ctx.Err()
	case !errors.Is(err, ledger.ErrUnderWay):
		m.f.o.Log.Warn("a returned message could not be recorded; it stays unseen and is read again", "error", err)
	}
	return false, nil
}

// content is the first megabyte of a message, and nil for one that is not there any more.
// It stays unseen.
func (m *mailbox) content(uid imap.UID) ([]byte, error) {
	fetch := m.client.Fetch(imap.UIDSetNum(uid), &imap.FetchOptions{
		UID: true, BodySection: []*imap.FetchItemBodySection{{Peek: true, Partial: &imap.SectionPartial{Size: maxRead}}},
	})
	var content []byte
	for msg := fetch.Next(); msg != nil; msg = fetch.Next() {
		got, err := one(msg, uid)
		if err != nil {
			return nil, errors.Join(err, fetch.Close())
		}
		if got != nil {
			content = got
		}
	}
	return content, fetch.Close()
}

// one reads the content out of an answer, if it is of the message.
func one(msg *imapclient.FetchMessageData, uid imap.UID) (content []byte, err error) {
	var of imap.UID
	for item := msg.Next(); item != nil; item = msg.Next() {
		switch item := item.(type) {
		case imapclient.FetchItemDataUID:
			of = item.UID
		case imapclient.FetchItemDataBodySection:
			if item.Literal == nil {
				continue
			}
			if content, err = readLiteral(item.Literal); err != nil {
				return nil, err
			}
		}
	}
	if of != uid {
		return nil, nil
	}
	return content, nil
}

// putAway makes sure that a message is not read again.
func (m *mailbox) putAway(uid imap.UID) error {
	set := imap.UIDSetNum(uid)
	switch {
	case m.f.o.Done != "":
		return m.move(set)
	case m.f.o.Delete:
		return m.remove(set)
	}
	return m.flag(set, imap.FlagSeen)
}

func (m *mailbox) flag(set imap.UIDSet, flags ...imap.Flag) error {
	if err := m.client.Store(set, &imap.StoreFlags{Op: imap.StoreFlagsAdd, Silent: true, Flags: flags}, nil).Close(); err != nil {
		return fmt.Errorf("mark a message: %w", err)
	}
	return nil
}

// move is not the library's, which without MOVE (RFC 6851) deletes what it has not copied
// and expunges what others have deleted.
func (m *mailbox) move(set imap.UIDSet) error {
	if err := m.flag(set, imap.FlagSeen); err != nil {
		return err
	}
	if m.client.Caps().Has(imap.CapMove) {
		if _, err := m.client.Move(set, m.f.o.Done).Wait(); err != nil {
			return fmt.Errorf("move a message to %q; does it exist?: %w", m.f.o.Done, err)
		}
		return nil
	}
	if _, err := m.client.Copy(set, m.f.o.Done).Wait(); err != nil {
		return fmt.Errorf("copy a message to %q; does it exist?: %w", m.f.o.Done, err)
	}
	return m.remove(set)
}

// remove deletes messages. Without UIDPLUS (RFC 4315), which removes just these, they stay
// until somebody expunges the mailbox.
func (m *mailbox) remove(set imap.UIDSet) error {
	if err := m.flag(set, imap.FlagSeen, imap.FlagDeleted); err != nil {
		return err
	}
	if !m.client.Caps().Has(imap.CapUIDPlus) {
		return nil
	}
	if err := m.client.UIDExpunge(set).Close(); err != nil {
		return fmt.Errorf("remove a message: %w", err)
	}
	return nil
}

// readLiteral reads what was asked for, whatever the server sends.
func readLiteral(r io.Reader) ([]byte, error) {
	content, err := io.ReadAll(io.LimitReader(r, maxRead))
	if err != nil {
		return nil, err
	}
	_, err = io.Copy(io.Discard, r)
	return content, err
}
