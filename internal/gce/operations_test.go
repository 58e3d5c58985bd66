package gce

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

// operationsServer has a zone's operations, one a minute, the last being the newest, in pages of 10 and in an order of its own.
func operationsServer(t *testing.T, order []int, pages *int) *Client {
	return hostile(t, func(r *http.Request) (*http.Response, error) {
		*pages++
		from, _ := strconv.Atoi(r.URL.Query().Get("pageToken"))
		to := min(from+10, len(order))
		var items []string
		for _, minute := range order[from:to] {
			target := fmt.Sprintf("pool-%d", minute)
			collection := "instances"
			switch {
			case minute%14 == 0:
				collection = "disks"
			case minute%7 == 0:
				target = fmt.Sprintf("other-%d", minute)
			}
			items = append(items, fmt.Sprintf(`{"name": "operation-%d", "operationType": "insert", "clientOperationId": "r", "status": "DONE",
				"targetLink": "x/%s/%s", "insertTime": %q, "endTime": %q}`, minute, collection, target,
				epoch.Add(time.Duration(minute)*time.Minute).Format(time.RFC3339), epoch.Add(time.Duration(minute+1)*time.Minute).Format(time.RFC3339)))
		}
		next := ""
		if to < len(order) {
			next = fmt.Sprintf(`"nextPageToken": "%d", `, to)
		}
		return answered(200, "{"+next+`"items": [`+strings.Join(items, ",")+"]}"), nil
	})
}

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// Whatever the server's order, Operations returns all operations from a time on, newest first, and none of other VMs. If the order is
// right, it reads at most one page too many.
func TestOperations(t *testing.T) {
	var rising, falling []int
	for i := range 100 {
		rising, falling = append(rising, i), append(falling, 99-i)
	}
	shuffled := rand.New(rand.NewPCG(1, 2)).Perm(100)
	for name, test := range map[string]struct {
		order []int
		pages int
	}{"newest first": {falling, 4}, "oldest first": {rising, 10}, "in no order": {shuffled, 10}} {
		pages := 0
		c := operationsServer(t, test.order, &pages)
		ops, err := c.Operations(t.Context(), "us-central1-b", "pool-", epoch.Add(75*time.Minute))
		var minutes []int
		for _, op := range ops {
			minutes = append(minutes, int(op.Inserted.Sub(epoch).Minutes()))
			if op.Kind != Creation || op.Request != "r" || !op.Done || op.Ended.Sub(op.Inserted) != time.Minute || op.Target != "pool-"+strings.TrimPrefix(op.Name, "operation-") {
				t.Errorf("%s: %+v", name, op)
			}
		}
		want := "[99 97 96 95 94 93 92 90 89 88 87 86 85 83 82 81 80 79 78 76 75]"
		if got := fmt.Sprint(minutes); got != want || err != nil || pages != test.pages {
			t.Errorf("%s: %s, %v after %d pages, want %s after %d", name, got, err, pages, want, test.pages)
		}
	}
}

// Invalid items do not end the list.
func TestImproperOperations(t *testing.T) {
	pages := 0
	c := hostile(t, func(*http.Request) (*http.Response, error) {
		if pages++; pages == 1 {
			return answered(200, `{"items": [null, {"name": "../x"}], "nextPageToken": "1"}`), nil
		}
		return answered(200, `{"items": [{"name": "operation-1", "targetLink": "x/instances/pool-1", "insertTime": "2026-01-02T00:00:00Z"}]}`), nil
	})
	if ops, err := c.Operations(t.Context(), "us-central1-b", "pool-", epoch); len(ops) != 1 || err != nil {
		t.Errorf("%+v, %v", ops, err)
	}
}

// Google's times have milliseconds. A VM that is deleted in the millisecond of its creation is deleted afterwards, in whatever order a server
// has the two.
func TestOperationsOfOneMillisecond(t *testing.T) {
	kinds := []string{"insert", "compute.instances.preempted", "delete"}
	for _, order := range [][]int{{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}} {
		var items []string
		for _, i := range order {
			items = append(items, fmt.Sprintf(`{"name": "operation-%d", "operationType": %q, "status": "DONE", "targetLink": "x/instances/pool-1", "insertTime": "2026-01-02T00:00:00.123Z"}`, i, kinds[i]))
		}
		c := hostile(t, func(*http.Request) (*http.Response, error) {
			return answered(200, `{"items": [`+strings.Join(items, ",")+"]}"), nil
		})
		ops, err := c.Operations(t.Context(), "us-central1-b", "pool-", epoch)
		if err != nil || len(ops) != 3 || ops[2].Kind != Creation {
			t.Errorf("%v: %+v, %v", order, ops, err)
		}
	}
}
