package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"os"
	"time"

	"prevmtable/internal/metadataserver"
)

// lookAgain is the time from one look at the files to the next. A change is served after two looks that find the same.
const lookAgain = 500 * time.Millisecond

// files are attributes that are read from files.
type files struct {
	all    []*file
	server *metadataserver.Server
	say    *log.Logger
}

type file struct {
	key, path    string
	served, seen string // what is served, and what the last look found
	complaint    string // what kept the last look from finding anything
}

// open serves the files as they are.
func open(pairs metadataserver.Pairs, server *metadataserver.Server, say *log.Logger) (*files, error) {
	f := &files{server: server, say: say}
	for _, pair := range pairs {
		text, err := read(pair[1])
		if err != nil {
			return nil, fmt.Errorf("attribute %s: %w", pair[0], err)
		}
		server.Set(attribute(pair[0]), text)
		f.all = append(f.all, &file{key: pair[0], path: pair[1], served: text, seen: text})
	}
	return f, nil
}

// follow serves what changes, until ctx ends.
func (f *files) follow(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(lookAgain):
		}
		for _, one := range f.all {
			f.look(one)
		}
	}
}

// look reads a file. What differs from the last look may be half of what somebody is writing just now, so it waits for
// the next one. A file that cannot be read leaves the attribute as it was.
func (f *files) look(one *file) {
	text, err := read(one.path)
	if err != nil {
		if err.Error() != one.complaint {
			f.say.Printf("attribute %s keeps its last value: %v", one.key, err)
			one.complaint = err.Error()
		}
		return
	}
	one.complaint = ""
	if text != one.served && text == one.seen {
		f.server.Set(attribute(one.key), text)
		one.served = text
		f.say.Printf("attribute %s has changed", one.key)
	}
	one.seen = text
}

// read returns the content of a file that can be an attribute.
func read(path string) (string, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return "", err
	case !info.Mode().IsRegular(): // a pipe has nothing to say the second time
		return "", &fs.PathError{Op: "read", Path: path, Err: errors.New("not a regular file")}
	}
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, metadataserver.MaxValue+1))
	if err == nil && len(text) > metadataserver.MaxValue {
		err = &fs.PathError{Op: "read", Path: path, Err: fmt.Errorf("more than %d bytes", metadataserver.MaxValue)}
	}
	return string(text), err
}
