package status

import (
	"fmt"
	"html"
	"net/http"
	"regexp"

	"prevmtable/misc"
)

// anchor matches a place in the escaped guide that a problem links to.
var anchor = regexp.MustCompile(`&lt;a id=&#34;([a-z-]+)&#34;&gt;&lt;/a&gt;`)

// serveGuide serves the guide as plain text with anchors, so that the links from problems work without a network.
func serveGuide(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	fmt.Fprintf(w, "<!DOCTYPE html>\n<html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'><title>prevmtable: the guide</title><style>%s</style><body><pre>%s</pre>\n",
		style, anchor.ReplaceAllString(html.EscapeString(misc.Guide), `<a id="$1"></a>`))
}
