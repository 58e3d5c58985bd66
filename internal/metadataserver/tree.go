// Package metadataserver serves Compute Engine metadata the way the metadata server of a VM does.
//
// A Server holds a tree of values under /computeMetadata/v1/ and answers with directory listings, single values,
// recursive JSON, ETags, wait_for_change and access tokens, by the rules of
// https://cloud.google.com/compute/docs/metadata/querying-metadata. It knows nothing of where values and tokens come
// from: a simulator and a stand-in for the real server can both be built on it.
//
// It starts no goroutine and no timer of its own; only a waiting request has a timer, which ends with the request.
//
// Limits: there is no identity endpoint, no guest attributes (nothing can be written over HTTP), and no limit on how
// long a request without timeout_sec may wait.
package metadataserver

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"
)

// Token is an OAuth access token as the metadata server hands it out.
type Token struct {
	AccessToken string
	ExpiresIn   time.Duration // how long it is still good
	Type        string        // "Bearer" where empty
}

// Server is a metadata server: an http.Handler over a tree of values that can change while it serves.
type Server struct {
	// Token answers instance/service-accounts/ACCOUNT/token for every account in the tree. Scopes is what the request
	// asked for and may be empty. Nil means that there are no tokens (404). Set it before serving.
	Token func(ctx context.Context, account string, scopes []string) (Token, error)

	mu      sync.Mutex
	root    *node
	changed chan struct{} // closed and replaced at each change
	planned []plannedSet  // by time
}

// node is a directory when children is not nil, else a value.
type node struct {
	children map[string]*node
	text     string // the value as it is served by default
	json     string // its JSON form; empty means: the text as a JSON string
}

type plannedSet struct {
	at   time.Time
	path string
	leaf *node // nil: remove
}

// New returns a server with the two empty directories every metadata server has.
func New() *Server {
	s := &Server{root: newDir(), changed: make(chan struct{})}
	s.MakeDir("instance/attributes")
	s.MakeDir("project/attributes")
	return s
}

func newDir() *node { return &node{children: map[string]*node{}} }

// Set gives path, such as "project/attributes/key", a value. Directories are made as needed.
func (s *Server) Set(path, value string) { s.setLeaf(path, &node{text: value}) }

// SetJSON gives path a value that is not a string in JSON: a number, or a list such as the scopes of an account, which
// is served as lines of text unless JSON is asked for.
func (s *Server) SetJSON(path, text, json string) { s.setLeaf(path, &node{text: text, json: json}) }

// SetAfter gives path a value that is served only when delay has passed, as a changed project attribute takes some
// seconds to reach each zone.
func (s *Server) SetAfter(path, value string, delay time.Duration) {
	s.plan(path, &node{text: value}, delay)
}

// RemoveAfter removes path when delay has passed.
func (s *Server) RemoveAfter(path string, delay time.Duration) { s.plan(path, nil, delay) }

// MakeDir makes an empty directory, so that listing it is not a 404.
func (s *Server) MakeDir(path string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dir(split(path))
	s.signal()
}

// Remove takes path and all below it out. It reports whether there was something.
func (s *Server) Remove(path string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.catchUp(time.Now())
	return s.apply(path, nil)
}

// Get returns the value at path.
func (s *Server) Get(path string) (value string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.catchUp(time.Now())
	n := s.find(split(path))
	if n == nil || n.children != nil {
		return "", false
	}
	return n.text, true
}

func (s *Server) setLeaf(path string, leaf *node) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.catchUp(time.Now())
	s.apply(path, leaf)
}

func (s *Server) plan(path string, leaf *node, delay time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	s.catchUp(now)
	if delay <= 0 {
		s.apply(path, leaf)
		return
	}
	s.planned = append(s.planned, plannedSet{at: now.Add(delay), path: path, leaf: leaf})
	slices.SortStableFunc(s.planned, func(a, b plannedSet) int { return a.at.Compare(b.at) })
	s.signal() // whoever waits must learn of the new time to look again
}

// catchUp applies what was planned for a time that has come. The caller holds mu.
func (s *Server) catchUp(now time.Time) {
	for len(s.planned) > 0 && !s.planned[0].at.After(now) {
		s.apply(s.planned[0].path, s.planned[0].leaf)
		s.planned = s.planned[1:]
	}
}

// apply sets or removes one path and wakes those who wait. The caller holds mu.
func (s *Server) apply(path string, leaf *node) bool {
	parts := split(path)
	if len(parts) == 0 {
		return false
	}
	last := parts[len(parts)-1]
	if leaf == nil {
		parent := s.find(parts[:len(parts)-1])
		if parent == nil || parent.children[last] == nil {
			return false
		}
		delete(parent.children, last)
		s.signal()
		return true
	}
	s.dir(parts[:len(parts)-1]).children[last] = leaf
	s.signal()
	return true
}

func (s *Server) signal() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// dir finds or makes a directory; a value that stands in the way gives way.
func (s *Server) dir(parts []string) *node {
	n := s.root
	for _, part := range parts {
		next := n.children[part]
		if next == nil || next.children == nil {
			next = newDir()
			n.children[part] = next
		}
		n = next
	}
	return n
}

func (s *Server) find(parts []string) *node {
	n := s.root
	for _, part := range parts {
		if n = n.children[part]; n == nil {
			return nil
		}
	}
	return n
}

func (n *node) names() []string {
	names := make([]string, 0, len(n.children))
	for name, child := range n.children {
		if child.children != nil {
			name += "/"
		}
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func split(path string) []string {
	return strings.FieldsFunc(path, func(r rune) bool { return r == '/' })
}
