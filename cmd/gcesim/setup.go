package main

import (
	"context"
	"embed"
	"fmt"
	"log"
	"net/http"
	"os"
	"strings"
	"time"

	"prevmtable/internal/gcesim"
)

// demo has the hooks of all demonstrations, and the configuration and the script of each.
//
//go:embed demo
var demo embed.FS

// demos are the names of the demonstrations.
var demos = []string{"minute", "rollout"}

// setUp returns the project and the steps of its script.
func setUp(o *options) (*gcesim.Project, []gcesim.Step, error) {
	attributes, script, err := content(o)
	if err != nil {
		return nil, nil, err
	}
	options := gcesim.Options{Project: o.project, Seed: o.seed, Metadata: attributes}
	if o.zones != "" {
		options.Zones = strings.Split(o.zones, ",")
	}
	steps, err := gcesim.ParseScript(script)
	if err != nil {
		return nil, nil, fmt.Errorf("script: %w", err)
	}
	if err := gcesim.CheckScript(options, steps); err != nil {
		return nil, nil, err
	}
	project := gcesim.New(options)
	for _, path := range o.absent {
		if _, err := project.Do("absent " + path); err != nil {
			return nil, nil, err
		}
	}
	return project, steps, nil
}

// content returns the project's attributes and its script, from the flags or from the demonstration.
func content(o *options) (attributes map[string]string, script string, err error) {
	if len(o.metadata) == 0 && len(o.metadataFiles) == 0 && o.script == "" {
		return demoContent(o.demo)
	}
	attributes = map[string]string{}
	for _, pair := range o.metadata {
		attributes[pair[0]] = pair[1]
	}
	for _, pair := range o.metadataFiles {
		text, err := os.ReadFile(pair[1])
		if err != nil {
			return nil, "", fmt.Errorf("-metadata-from-file: %w", err)
		}
		attributes[pair[0]] = string(text)
	}
	if o.script == "" {
		return attributes, "", nil
	}
	text, err := os.ReadFile(o.script)
	if err != nil {
		return nil, "", fmt.Errorf("-script: %w", err)
	}
	return attributes, string(text), nil
}

func demoContent(name string) (map[string]string, string, error) {
	attributes := map[string]string{}
	files, err := demo.ReadDir("demo/hooks")
	if err != nil {
		return nil, "", err
	}
	for _, f := range files {
		text, err := demo.ReadFile("demo/hooks/" + f.Name())
		if err != nil {
			return nil, "", err
		}
		attributes[strings.TrimSuffix(f.Name(), ".sh")] = string(text)
	}
	config, err := demo.ReadFile("demo/" + name + "/prevmtable.rjson")
	if err != nil {
		return nil, "", err
	}
	attributes["prevmtable"] = string(config)
	script, err := demo.ReadFile("demo/" + name + "/script")
	return attributes, string(script), err
}

// runSteps runs the steps without a time, and starts a goroutine that runs the others at their times and logs a description of each.
func runSteps(ctx context.Context, p *gcesim.Project, steps []gcesim.Step, logger *log.Logger) error {
	start := time.Now()
	for len(steps) > 0 && steps[0].At == 0 {
		if err := runStep(p, steps[0], logger); err != nil {
			return err
		}
		steps = steps[1:]
	}
	if len(steps) == 0 {
		return nil
	}
	go func() {
		for _, s := range steps {
			select {
			case <-time.After(time.Until(start.Add(s.At))):
			case <-ctx.Done():
				return
			}
			logger.Print(describe(s.Command))
			if err := runStep(p, s, logger); err != nil {
				logger.Print(err)
			}
		}
		logger.Print("the story is over; Ctrl-C ends it")
	}()
	return nil
}

func runStep(p *gcesim.Project, s gcesim.Step, logger *log.Logger) error {
	out, err := s.Run(p)
	if out != "" {
		logger.Print(strings.TrimSpace(out))
	}
	return err
}

// logged logs each request.
func logged(h http.Handler, logger *log.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		status := &statusWriter{ResponseWriter: w}
		start := time.Now()
		defer func() { // a fault that breaks the connection panics
			answer := "no answer"
			if status.code != 0 {
				answer = fmt.Sprint(status.code)
			}
			logger.Printf("%s %s %s %v", r.Method, r.URL.RequestURI(), answer, time.Since(start).Round(time.Millisecond))
		}()
		h.ServeHTTP(status, r)
	})
}

// statusWriter keeps the status of an answer.
type statusWriter struct {
	http.ResponseWriter
	code int
}

func (w *statusWriter) WriteHeader(code int) {
	w.code = code
	w.ResponseWriter.WriteHeader(code)
}

func (w *statusWriter) Write(b []byte) (int, error) {
	if w.code == 0 {
		w.code = http.StatusOK
	}
	return w.ResponseWriter.Write(b)
}

// Flush is for the fault truncate, which sends the first half of an answer.
func (w *statusWriter) Flush() {
	if f, ok := w.ResponseWriter.(http.Flusher); ok {
		f.Flush()
	}
}
