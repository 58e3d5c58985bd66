package main

import (
	"bytes"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"prevmtable/internal/metadataserver"
)

func TestFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "configuration")
	var err error
	write := func(text string) { err = errors.Join(err, os.WriteFile(path, []byte(text), 0o600)) }
	remove := func() { err = errors.Join(err, os.Remove(path)) }
	directory := func() { err = errors.Join(err, os.Mkdir(path, 0o700)) }
	var said bytes.Buffer
	server := metadataserver.New()
	value := func() string {
		v, _ := server.Get("project/attributes/k")
		return v
	}
	write("one")
	f, bad := open(metadataserver.Pairs{{"k", path}}, server, log.New(&said, "", 0))
	if bad != nil {
		t.Fatal(bad)
	}
	largest := strings.Repeat("x", 256<<10)
	for i, step := range []struct {
		do          func()
		value, says string // after two updates
	}{
		{func() {}, "one", ""},
		{func() { write("two") }, "two", "attribute k has changed"},
		{remove, "two", "attribute k keeps its last value: stat " + path + ": no such file or directory"},
		{func() {}, "two", ""},
		{func() { write(largest + "x") }, "two", "more than 262144 bytes"},
		{func() {}, "two", ""},
		{func() { remove(); directory() }, "two", "not a regular file"},
		{remove, "two", "no such file or directory"},
		{func() { write("two") }, "two", ""},
		{remove, "two", "no such file or directory"},
		{func() { write(largest) }, largest, "has changed"},
		{func() { write("") }, "", "has changed"},
	} {
		step.do()
		f.update(f.all[0])
		f.update(f.all[0])
		if value() != step.value {
			t.Errorf("step %d: the attribute is %.20q, want %.20q", i, value(), step.value)
		}
		if got := said.String(); (got == "") != (step.says == "") || !strings.Contains(got, step.says) || strings.Count(got, "\n") > 1 {
			t.Errorf("step %d: said %q, want one line with %q", i, got, step.says)
		}
		said.Reset()
	}
	for i := range 5 { // a text that changes at each read is not served
		write(fmt.Sprint(i))
		f.update(f.all[0])
		if value() != "" {
			t.Errorf("the attribute is %q while the file is being written", value())
		}
	}
	if err != nil {
		t.Error(err)
	}
}

func TestFilesAtTheStart(t *testing.T) {
	dir := t.TempDir()
	for path, want := range map[string]string{"nothing": "attribute k: stat ", ".": "not a regular file"} {
		_, err := open(metadataserver.Pairs{{"k", filepath.Join(dir, path)}}, metadataserver.New(), log.Default())
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %s", path, err, want)
		}
	}
}
