// Package misc holds what comes along with the daemon. The status page shows the guide.
package misc

import _ "embed"

// Guide is the guide, in Markdown.
//
//go:embed GUIDE.md
var Guide string
