package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// A browser is a headless Chromium.
type browser struct {
	t   *testing.T
	ctx context.Context
	dir string

	mu  sync.Mutex
	bad []string
}

func newBrowser(t *testing.T, chromium string) *browser {
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(chromium), chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-component-update", true), chromedp.DisableGPU, chromedp.UserDataDir(t.TempDir()))
	if os.Getuid() == 0 {
		options = append(options, chromedp.NoSandbox) // its sandbox does not work for root
	}
	allocator, stop := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(stop)
	ctx, cancel := chromedp.NewContext(allocator)
	t.Cleanup(cancel)
	b := &browser{t: t, ctx: ctx, dir: t.ArtifactDir()}
	if err := chromedp.Listen(ctx, b.record); err != nil {
		t.Fatal(err)
	}
	for _, enable := range []cdp.Command[cdp.Empty, cdp.Empty]{log.Enable, runtime.Enable} {
		if _, err := chromedp.Call(ctx, enable, cdp.Empty{}); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

// record records what the browser reports: errors in scripts, violations of the content security policy, failed requests.
func (b *browser) record(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		b.bad = append(b.bad, fmt.Sprintf("%+v", e.ExceptionDetails))
	case *log.EventEntryAdded:
		b.bad = append(b.bad, fmt.Sprint(e.Entry.Source, ": ", e.Entry.Text))
	}
}

func (b *browser) problems() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.bad
}

// act takes an action within a time that is more than enough.
func act[T any](b *browser, action chromedp.Action[T]) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 30*time.Second)
	defer cancel()
	v, err := chromedp.Run(ctx, action)
	if err != nil {
		b.t.Fatal(err)
	}
	return v
}

func (b *browser) look(width, height int64, address string) {
	b.t.Helper()
	act(b, chromedp.Steps(chromedp.EmulateViewport(width, height), chromedp.Navigate(address)))
}

func (b *browser) scripts(on bool) {
	b.t.Helper()
	params := emulation.SetScriptExecutionDisabledParams{Value: !on}
	if _, err := chromedp.Call(b.ctx, emulation.SetScriptExecutionDisabled, params); err != nil {
		b.t.Fatal(err)
	}
}

func (b *browser) js(expression string) {
	b.t.Helper()
	act(b, chromedp.Evaluate[chromedp.Void](expression))
}

func (b *browser) is(condition string) (bool, error) {
	ctx, cancel := context.WithTimeout(b.ctx, 30*time.Second)
	defer cancel()
	return chromedp.Run(ctx, chromedp.Evaluate[bool]("Boolean("+condition+")"))
}

// until waits for a condition in JavaScript.
func (b *browser) until(what, condition string) {
	b.t.Helper()
	for range 450 {
		if so, err := b.is(condition); so && err == nil { // while a page is on its way there is an error
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	b.fail(what, condition)
}

func (b *browser) holds(what, condition string) {
	b.t.Helper()
	if so, err := b.is(condition); err != nil {
		b.t.Fatalf("%s: %v", what, err)
	} else if !so {
		b.fail(what, condition)
	}
}

func (b *browser) fail(what, condition string) {
	b.t.Helper()
	b.picture("failed.png")
	b.t.Fatalf("not so: %s: %s\n%s", what, condition, act(b, chromedp.Evaluate[string]("document.body.innerText")))
}

// picture saves a picture of the whole page among the test's artifacts (go test -artifacts).
func (b *browser) picture(name string) {
	b.t.Helper()
	if err := os.WriteFile(filepath.Join(b.dir, name), act(b, chromedp.FullScreenshot(100)), 0o644); err != nil {
		b.t.Fatal(err)
	}
}
