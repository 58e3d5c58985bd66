// Package cli parses and checks flags and prints the version, in the same way for each of the project's commands.
package cli

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"regexp"
	"runtime"
	"runtime/debug"
	"strconv"
)

// Parse parses a command's flags, -help and -version among them. It returns [flag.ErrHelp] after it has printed what these two ask
// for. Other errors are the user's, and are not printed.
func Parse(f *flag.FlagSet, args []string, usage string, stdout io.Writer) error {
	version := f.Bool("version", false, "print the version and exit")
	f.SetOutput(io.Discard)
	f.Usage = func() {}
	err := f.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprintf(stdout, "usage: %s\n\n", usage)
		f.SetOutput(stdout)
		f.PrintDefaults()
	case err != nil:
		return fmt.Errorf("%w; see %s -help", err, f.Name())
	case *version:
		fmt.Fprintln(stdout, f.Name(), Version())
		return flag.ErrHelp
	}
	return err
}

// CheckAddress checks the value of a flag that is an address to serve at.
func CheckAddress(flag, address string) error {
	_, port, err := net.SplitHostPort(address)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		return fmt.Errorf("-%s %q: HOST:PORT or :PORT with a number from 0 to 65535, as in localhost:9797", flag, address)
	}
	return nil
}

// projectPattern is the API's own pattern, without project numbers: the daemon compares the ID with the metadata server's.
var projectPattern = regexp.MustCompile(`^(?:[-a-z0-9.]{1,127}:)?[a-z](?:[-a-z0-9]{0,61}[a-z0-9])?$`)

// CheckProject checks the value of the flag -project.
func CheckProject(id string) error {
	if !projectPattern.MatchString(id) {
		return fmt.Errorf("-project %q: the ID of a project is wanted, not its number, as in my-project-123", id)
	}
	return nil
}

// The linker sets these for the image, which is built without the repository; see Dockerfile.
var stampedVersion, stampedRevision string

// Version says which build this is: version, commit, Go version.
func Version() string {
	v, commit := stampedVersion, stampedRevision
	if info, ok := debug.ReadBuildInfo(); ok {
		if v == "" && info.Main.Version != "(devel)" {
			v = info.Main.Version
		}
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" && commit == "" {
				commit = s.Value
			}
		}
	}
	return fmt.Sprintf("%s (%s, %s)", cmp.Or(v, "devel"), cmp.Or(commit, "unknown commit"), runtime.Version())
}
