// Package cli parses flags and prints the version, in the same way for each of the project's commands.
package cli

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
)

// Parse parses a command's flags, and adds -version. After it has printed the help or the version it returns [flag.ErrHelp]. Any
// other error is a usage error, which the caller prints.
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

// The linker sets these for the image, which is built without the repository; see Dockerfile.
var stampedVersion, stampedRevision string

// Version returns the version, the commit and the Go version of this build.
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
