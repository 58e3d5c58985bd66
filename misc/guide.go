// Package misc holds documents, configurations, scripts and deployment files. The status page serves the guide.
package misc

import _ "embed"

// Guide is the guide, in Markdown.
//
//go:embed GUIDE.md
var Guide string
