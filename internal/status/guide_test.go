package status

import (
	"strings"
	"testing"
)

// Every problem has a row in the guide.
func TestProblemsHaveRows(t *testing.T) {
	guide := string(body(t, New("v1", "prevmtable"), "/guide"))
	ids := []string{"stalled", "no-project", "no-configuration"}
	for _, c := range clauses {
		if c.guide != "" {
			ids = append(ids, c.guide)
		}
	}
	for _, id := range ids {
		if !strings.Contains(guide, `<a id="`+id+`"></a>`) {
			t.Errorf("the guide has no row %s", id)
		}
	}
}
