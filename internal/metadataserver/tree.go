// Package metadataserver serves Compute Engine metadata the way the metadata server of a VM does.
//
// A Server holds a tree of values under /computeMetadata/v1/ and answers with directory listings, single values,
// recursive JSON, ETags, wait_for_change and access tokens, by the rules of
// https://cloud.google.com/compute/docs/metadata/querying-metadata. Its user provides values and tokens, so a simulator and a
// stand-in for the real server can both be built on it.
//
// It starts no goroutines. Only a waiting request has a timer, which stops with the request.
//
// Limits: there are no identity tokens and no guest attributes (nothing can be written over HTTP). A request without timeout_sec
// may wait forever.
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
	ExpiresIn   time.Duration // remaining lifetime
	Type        string        // empty means "Bearer"
}

// Server is a metadata server: an http.Handler over a tree of values that can change while it serves.
type Server struct {
	// Token returns an access token of an account in the tree, for instance/service-accounts/ACCOUNT/token. scopes are those of
	// the request, which may have none. If Token is nil, the answer is 404. It must be set before serving.
	Token func(ctx context.Context, account string, scopes []string) (Token, error)

	mu      sync.Mutex
	root    *node
	changed chan struct{} // closed and replaced at each change
}

// A node is a directory if children is not nil, else a value.
type node struct {
	children map[string]*node
	text     string // the value as it is served by default
	json     string // its JSON form; empty means text as a JSON string
}

// New returns a server without values. It has the directories for attributes of instance and project.
func New() *Server {
	s := &Server{root: newDir(), changed: make(chan struct{})}
	s.MakeDir("instance/attributes")
	s.MakeDir("project/attributes")
	return s
}

func newDir() *node { return &node{children: map[string]*node{}} }

// Set sets the value of a path such as "project/attributes/key". It makes missing directories.
func (s *Server) Set(path, value string) { s.setLeaf(path, &node{text: value}) }

// SetJSON sets a value whose JSON form is not a string: a number, or a list such as the scopes of an account. The server sends
// text unless the client asks for JSON.
func (s *Server) SetJSON(path, text, json string) { s.setLeaf(path, &node{text: text, json: json}) }

// MakeDir makes an empty directory, so that listing it is not a 404.
func (s *Server) MakeDir(path string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dir(split(path))
	s.signal()
}

// Remove removes a path and everything below it. It reports whether the path existed.
func (s *Server) Remove(path string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.apply(path, nil)
}

// Get returns the value at path.
func (s *Server) Get(path string) (value string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.find(split(path))
	if n == nil || n.children != nil {
		return "", false
	}
	return n.text, true
}

func (s *Server) setLeaf(path string, leaf *node) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.apply(path, leaf)
}

// apply sets a path, or removes it if leaf is nil, and wakes waiting requests. It reports whether there was a change. The caller
// holds mu.
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

// dir returns a directory. It makes missing directories, and replaces values that are in the way.
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
