package gcesim_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/api/compute/v1"
)

// TestPages lists more VMs than fit on a page, in both orders, while one of them is deleted between two pages.
func TestPages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, s := newProject(t, "rate * default_per_region off\noptime * 0s 0s")
		for n := range 1203 {
			insert(t, s, zoneA, fmt.Sprintf("vm-%04d", n))
			if n%100 == 0 {
				time.Sleep(time.Millisecond)
			}
		}
		for _, order := range []string{"name", "creationTimestamp desc"} {
			var sizes []int
			seen := map[string]bool{}
			err := s.Instances.List("gcesim-project", zoneA).OrderBy(order).Pages(t.Context(), func(l *compute.InstanceList) error {
				sizes = append(sizes, len(l.Items))
				for _, i := range l.Items {
					seen[i.Name] = true
				}
				if len(sizes) == 1 && order == "name" {
					if _, err := s.Instances.Delete("gcesim-project", zoneA, "vm-0499").Do(); err != nil {
						t.Fatal(err)
					}
					time.Sleep(time.Millisecond)
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			want := map[string]string{"name": "[500 500 203] 1203", "creationTimestamp desc": "[500 500 202] 1202"}[order]
			equal(t, "pages by "+order, fmt.Sprint(sizes, " ", len(seen)), want)
		}
		l, err := s.Instances.List("gcesim-project", zoneA).OrderBy("creationTimestamp desc").MaxResults(1).Do()
		if err != nil || l.Items[0].Name != "vm-1201" { // created at the same instant as vm-1202
			t.Errorf("newest: %v, %v", l, err)
		}
		do(t, p, "order-mode ignore")
		l, err = s.Instances.List("gcesim-project", zoneA).OrderBy("creationTimestamp desc").MaxResults(1).Do()
		if err != nil || l.Items[0].Name != "vm-0000" {
			t.Errorf("first of a list whose order is ignored: %v, %v", l, err)
		}
		for _, bad := range []string{"status", "creationTimestamp"} {
			_, err = s.Instances.List("gcesim-project", zoneA).OrderBy(bad).Do()
			equal(t, "order by "+bad, refusal(err), "400 invalid")
		}
		_, err = s.Instances.List("gcesim-project", zoneA).MaxResults(501).Do()
		equal(t, "501 a page", refusal(err), "400 invalid")
		_, err = s.Instances.List("gcesim-project", zoneA).PageToken("?").Do()
		equal(t, "bad token", refusal(err), "400 invalid")
	})
}

func TestFilters(t *testing.T) {
	p, s := newProject(t, "vm us-central1-a pool-1 RUNNING spot\nvm us-central1-a pool-2 STOPPING spot\nvm us-central1-a other RUNNING standard")
	tests := []struct{ filter, want string }{
		{`name eq pool-.*`, "pool-1 pool-2"},
		{`name eq 'pool-.*'`, "pool-1 pool-2"},
		{`name eq "pool-(1|3)"`, "pool-1"},
		{`name eq pool-(1|3)`, "pool-1"},
		{`(name eq pool-.*)`, "pool-1 pool-2"},
		{`name eq pool`, ""}, // the whole name has to match
		{`name ne pool-.*`, "other"},
		{`(name eq pool-.*) (status eq RUNNING)`, "pool-1"},
		{`status = RUNNING`, "other pool-1"},
		{`status=RUNNING`, "other pool-1"},
		{`status != RUNNING`, "pool-2"},
		{`(status = RUNNING) (scheduling.preemptible = true)`, "pool-1"},
		{`status = RUNNING AND scheduling.preemptible = false`, "other"},
		{`(status = STOPPING) OR (name = "other")`, "other pool-2"},
		{`NOT status = RUNNING`, "pool-2"},
		{`name : pool`, "pool-1 pool-2"},
		{`name = pool-*`, "pool-1 pool-2"},
		{`name = "pool-*"`, "pool-1 pool-2"},
		{`name:pool-*`, "pool-1 pool-2"},
		{`name = *-2`, "pool-2"},
		{`name = p*l-*`, "pool-1 pool-2"},
		{`name != pool-*`, "other"},
		{`name = pool*x`, ""},
		{`(name = pool-*) (status = RUN*)`, "pool-1"},
		{`name:*`, "other pool-1 pool-2"},
		{`labels.pool:*`, ""},
		{`name >= pool-2`, "pool-2"},
		{`name < "pool"`, "other"},
		{`creationTimestamp > "2000-01-01T00:00:00Z"`, "other pool-1 pool-2"},
		{`creationTimestamp < "2000-01-01T00:00:00Z"`, ""},
		{`name eq pool-.* status = RUNNING`, "400 invalid"}, // two languages
		{`(name eq pool-.*) AND (status = RUNNING)`, "400 invalid"},
		{`name eq pool-(`, "400 invalid"},
		{`name`, "400 invalid"},
		{`name =`, "400 invalid"},
		{`(name = x`, "400 invalid"},
		{`name = "x`, "400 invalid"},
		{`name is x`, "400 invalid"},
	}
	for _, test := range tests {
		l, err := s.Instances.List(p.Name(), zoneA).Filter(test.filter).Do()
		got := refusal(err)
		if err == nil {
			var names []string
			for _, i := range l.Items {
				names = append(names, i.Name)
			}
			got = strings.Join(names, " ")
		}
		if got != test.want {
			t.Errorf("%s: got %q, want %q", test.filter, got, test.want)
		}
	}
	do(t, p, "filter-mode ignore")
	equal(t, "filter ignored", list(t, s, zoneA, "name eq pool-.*"), "other pool-1 pool-2")
	do(t, p, "filter-mode none")
	equal(t, "filter that lets nothing through", list(t, s, zoneA, "name eq pool-.*"), "")
	equal(t, "no filter", list(t, s, zoneA, ""), "other pool-1 pool-2")
}

func TestMasks(t *testing.T) {
	p, _ := newProject(t, "vm us-central1-a vm-1 RUNNING spot\nvm us-central1-a vm-2")
	const path = "/compute/v1/projects/gcesim-project/zones/us-central1-a/instances?prettyPrint=false&fields="
	for _, test := range []struct{ fields, more, want string }{
		{"items(name,status)", "", `{"items":[{"name":"vm-1","status":"RUNNING"},{"name":"vm-2","status":"RUNNING"}]}`},
		{"items/name", "", `{"items":[{"name":"vm-1"},{"name":"vm-2"}]}`},
		{"items(name,scheduling/preemptible)", "", `{"items":[{"name":"vm-1","scheduling":{"preemptible":true}},{"name":"vm-2","scheduling":{"preemptible":false}}]}`},
		{"items(disks(boot,autoDelete))", "&maxResults=1", `{"items":[{"disks":[{"autoDelete":true,"boot":true}]}]}`},
		{"kind,warning", "", `{"kind":"compute#instanceList"}`},
		{"nextPageToken", "", `{}`},
		{"nextPageToken", "&filter=name+%3D+nothing", `{}`},
		{"*/name", "&maxResults=2", `{"id":"projects/gcesim-project/zones/us-central1-a/instances","items":[{"name":"vm-1"},{"name":"vm-2"}],"kind":"compute#instanceList","selfLink":"https://www.googleapis.com/compute/v1/projects/gcesim-project/zones/us-central1-a/instances"}`},
	} {
		if got := send(t, p, "GET", path+url.QueryEscape(test.fields)+test.more, ""); got != "200 "+test.want+"\n" {
			t.Errorf("%s: got %s", test.fields, got)
		}
	}
	if got := send(t, p, "GET", path+"items/name&maxResults=1", ""); strings.Contains(got, "nextPageToken") {
		t.Errorf("a mask without nextPageToken shows it: %s", got)
	}
	for _, bad := range []string{"itmes(name)", "items(nmae)", "items(name", "items()", "items,,kind", "items(name))"} {
		got := send(t, p, "GET", path+url.QueryEscape(bad), "")
		if !strings.HasPrefix(got, "400 ") || !strings.Contains(got, "Invalid field selection") {
			t.Errorf("%s: got %s", bad, got)
		}
	}
}

func TestStaleAndHidden(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, s := newProject(t, "")
		create(t, s, zoneA, "vm-1")
		time.Sleep(time.Minute)
		create(t, s, zoneA, "vm-2")
		do(t, p, "stale us-central1-a 30s")
		equal(t, "stale list", list(t, s, zoneA, ""), "vm-1")
		do(t, p, "delete-vm vm-1")
		time.Sleep(seconds(25))
		equal(t, "stale list with a VM that is gone", list(t, s, zoneA, "status = RUNNING"), "vm-1")
		equal(t, "get", status(t, s, zoneA, "vm-1"), "gone")
		do(t, p, "stale us-central1-a off")
		equal(t, "fresh list", list(t, s, zoneA, ""), "vm-2")

		create(t, s, zoneA, "vm-3")
		do(t, p, "hide us-central1-a 1")
		equal(t, "list that lacks one", list(t, s, zoneA, "name eq vm-.*"), "vm-3")
		do(t, p, "hide us-central1-a off\nhide us-central1-a vm-3")
		equal(t, "list that lacks vm-3", list(t, s, zoneA, ""), "vm-2")
		equal(t, "get of a hidden VM", status(t, s, zoneA, "vm-3"), "RUNNING")
		do(t, p, "hide us-central1-a off")
		equal(t, "full list", list(t, s, zoneA, ""), "vm-2 vm-3")

		insert(t, s, zoneA, "vm-4")
		operations := func() string {
			l, err := s.ZoneOperations.List("gcesim-project", zoneA).Filter("status != DONE").Do()
			if err != nil {
				t.Fatal(err)
			}
			var targets []string
			for _, o := range l.Items {
				targets = append(targets, o.TargetLink[strings.LastIndex(o.TargetLink, "/")+1:])
			}
			return strings.Join(targets, " ")
		}
		equal(t, "operations", operations(), "vm-4")
		do(t, p, "ops-hide us-central1-a 1")
		equal(t, "operations that lack one", operations(), "")
		do(t, p, "ops-hide us-central1-a off\nops-stale us-central1-a 5s")
		equal(t, "stale operations", operations(), "vm-3")
		do(t, p, "ops-stale us-central1-a off\nops-filter-mode none")
		equal(t, "operations behind a bad filter", operations(), "")
	})
}

func TestAggregatedList(t *testing.T) {
	p, s := newProject(t, "vm us-central1-a vm-1\nvm us-central1-b vm-2\nvm us-central1-b vm-3\nzone us-east1-b down\nzone us-east1-c absent")
	l, err := s.Instances.AggregatedList(p.Name()).Do()
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "VMs of us-central1-b", len(l.Items["zones/us-central1-b"].Instances), 2)
	equal(t, "empty zone", l.Items["zones/us-west1-a"].Warning.Code, "NO_RESULTS_ON_PAGE")
	equal(t, "zone that is down", l.Items["zones/us-east1-b"].Warning.Code, "UNREACHABLE")
	equal(t, "unreachable", fmt.Sprint(l.Unreachables), "[https://www.googleapis.com/compute/v1/projects/gcesim-project/zones/us-east1-b]")
	if _, there := l.Items["zones/us-east1-c"]; there {
		t.Error("an absent zone is listed")
	}
	var names []string
	pages := 0
	err = s.Instances.AggregatedList(p.Name()).MaxResults(2).Pages(t.Context(), func(l *compute.InstanceAggregatedList) error {
		pages++
		for _, zone := range []string{zoneA, zoneB} {
			for _, i := range l.Items["zones/"+zone].Instances {
				names = append(names, i.Name)
			}
		}
		return nil
	})
	equal(t, "all pages", fmt.Sprint(pages, names, err), "2 [vm-1 vm-2 vm-3] <nil>")
}

// TestAggregatedOperations lists the operations of zones, regions and the project at once.
func TestAggregatedOperations(t *testing.T) {
	p, s := newProject(t, "")
	insert(t, s, zoneA, "vm-1")
	insert(t, s, zoneB, "vm-2")
	if _, err := s.Addresses.Insert(p.Name(), "us-central1", &compute.Address{Name: "web"}).Do(); err != nil {
		t.Fatal(err)
	}
	do(t, p, "zone us-east1-b down")
	var got []string
	pages := 0
	err := s.GlobalOperations.AggregatedList(p.Name()).MaxResults(2).Pages(t.Context(), func(l *compute.OperationAggregatedList) error {
		pages++
		for _, scope := range []string{"regions/us-central1", "zones/us-central1-a", "zones/us-central1-b"} {
			for _, o := range l.Items[scope].Operations {
				got = append(got, o.TargetLink[strings.LastIndex(o.TargetLink, "/")+1:])
			}
		}
		equal(t, "unreachable", len(l.Unreachables), 1)
		return nil
	})
	equal(t, "operations", fmt.Sprint(pages, got, err), "2 [web vm-1 vm-2] <nil>")
}

func TestZoneStates(t *testing.T) {
	p, s := newProject(t, "")
	for _, test := range []struct{ command, zone, want, text string }{
		{"zone us-central1-a down", zoneA, "503 backendError", ""},
		{"zone us-central1-a absent", zoneA, "404 notFound", "The resource 'projects/gcesim-project/zones/us-central1-a' was not found"},
		{"zone us-central1-a unknown", zoneA, "400 invalid", "Invalid value for field 'zone': 'us-central1-a'. Unknown zone."},
		{"zone us-central1-a up", zoneA, "", ""},
		{"", "mars-north1-a", "404 notFound", "The resource 'projects/gcesim-project/zones/mars-north1-a' was not found"},
		{"", "a/b", "400 invalid", ""},
	} {
		do(t, p, test.command)
		_, err := s.Instances.List(p.Name(), test.zone).Do()
		equal(t, test.command+" "+test.zone, refusal(err), test.want)
		if !strings.Contains(fmt.Sprint(err), test.text) {
			t.Errorf("%s: text is %v", test.command, err)
		}
	}
}
