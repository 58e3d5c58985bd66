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

// pollInterval is how often the files are read. A change is served after two reads that agree.
const pollInterval = 500 * time.Millisecond

// files serves attributes from files.
type files struct {
	all    []*file
	server *metadataserver.Server
	log    *log.Logger
}

type file struct {
	key, path    string
	served, seen string // the text that is served, and the text that was read last
	problem      string // the error of the last read
}

// open reads the files and sets their attributes.
func open(pairs metadataserver.Pairs, server *metadataserver.Server, logger *log.Logger) (*files, error) {
	f := &files{server: server, log: logger}
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

// follow reads the files again and again until ctx ends, and updates their attributes.
func (f *files) follow(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(pollInterval):
		}
		for _, one := range f.all {
			f.update(one)
		}
	}
}

// update reads a file and updates its attribute. Somebody may be writing the file just now, so a text counts only when it is read
// twice. If the file cannot be read, the attribute keeps its value.
func (f *files) update(one *file) {
	text, err := read(one.path)
	if err != nil {
		if err.Error() != one.problem {
			f.log.Printf("attribute %s keeps its last value: %v", one.key, err)
			one.problem = err.Error()
		}
		return
	}
	one.problem = ""
	if text != one.served && text == one.seen {
		f.server.Set(attribute(one.key), text)
		one.served = text
		f.log.Printf("attribute %s has changed", one.key)
	}
	one.seen = text
}

// read returns the content of a file, if an attribute can hold it.
func read(path string) (string, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return "", err
	case !info.Mode().IsRegular(): // a pipe cannot be read twice
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
