// Package gce makes the Compute Engine calls that a pool needs, stays within the API's quotas, and says what each failure means.
//
// It uses Google's client library, and never retries a call. The caller decides that, by the Class of the Failure.
package gce

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
	"google.golang.org/api/compute/v1"
	"google.golang.org/api/option"
)

// CallTimeout bounds one API call. Compute Engine answers within a few seconds or, seen in the field, not at all.
const CallTimeout = 30 * time.Second

// vmStatus matches the status of a VM.
var vmStatus = regexp.MustCompile(`^[A-Z_]{0,50}$`)

// vmName matches the name of a VM (https://cloud.google.com/compute/docs/naming-resources).
var vmName = regexp.MustCompile(`^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$`)

// A Client calls the Compute Engine API for one project. It is safe for concurrent use.
type Client struct {
	project string
	service *compute.Service
	jitter  func() time.Duration
	secrets secrets

	// Observe, if not nil, is called for each call that was sent, with the API's name of the method and the HTTP status of the
	// answer, or 0 without an answer. It must be set before the first call.
	Observe func(method string, status int)

	attributes singleflight.Group
	mu         sync.Mutex // guards the fields below
	pacers     map[pacerKey]*pacer
	offset     time.Duration // how far the API's clock is ahead of the daemon's
	tokenAfter time.Time     // no mutation is sent before it, because there was no token for the last one
	tokenWait  time.Duration // how long that wait is
}

// New returns a client for a project. The HTTP client adds the credentials. An empty endpoint means Google's. jitter is added to each
// wait for the next minute, so that daemons that are refused together do not retry together.
func New(ctx context.Context, hc *http.Client, endpoint, project string, jitter func() time.Duration) (*Client, error) {
	c := &Client{project: project, jitter: jitter, pacers: map[pacerKey]*pacer{}}
	checked := *hc
	checked.Transport = answers{Limit(cmp.Or(hc.Transport, http.DefaultTransport), maxAnswer), c.setClock}
	// Compute Engine never redirects; following a redirect would leak the token.
	checked.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	opts := []option.ClientOption{option.WithHTTPClient(&checked)}
	if endpoint != "" {
		// The library resolves its paths relative to the endpoint, which without a final slash would lose its last element.
		opts = append(opts, option.WithEndpoint(strings.TrimSuffix(endpoint, "/")+"/"))
	}
	var err error
	if c.service, err = compute.NewService(ctx, opts...); err != nil {
		return nil, fmt.Errorf("make the Compute Engine client: %w", err)
	}
	c.service.UserAgent = "prevmtable"
	return c, nil
}

// Now returns the time by Google's clock, estimated from the dates of the answers so far.
func (c *Client) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.offset)
}

// setClock updates the offset of the API's clock from the date of an answer. Dates have whole seconds, so it ignores small changes.
func (c *Client) setClock(date time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	offset := time.Until(date.Add(time.Second / 2))
	if (offset - c.offset).Abs() >= 2*time.Second {
		c.offset = offset
	}
}

// Mask returns a text on one line of bounded length, in which the tokens and the template's metadata that the client has sent are masked.
func (c *Client) Mask(text string) string { return c.secrets.mask(text) }

// read makes one read-only call as soon as the quotas allow it.
func (c *Client) read(ctx context.Context, zone, method string, do func(context.Context) error) error {
	if err := c.waitToRead(ctx, zone); err != nil {
		return err
	}
	return c.call(ctx, zone, method, reading, do)
}

// call makes one call within its deadline.
func (c *Client) call(ctx context.Context, zone, method string, m Mutation, do func(context.Context) error) error {
	x := &exchange{reads: m == reading}
	ctx, cancel := context.WithTimeout(context.WithValue(ctx, exchangeKey{}, x), CallTimeout)
	defer cancel()
	begun := time.Now()
	err := do(ctx)
	c.secrets.add(x.token)
	var f *Failure
	if err != nil {
		f = c.callFailure(err, x)
		err = f
	}
	c.answered(zone, m, begun, f, x.status)
	if c.Observe != nil && !x.unsent {
		c.Observe(method, x.status)
	}
	return err
}

// A VM is what a pool needs to know about an instance.
type VM struct {
	Name    string
	Status  string    // Instance.status as the API gives it
	Created time.Time // by Google's clock
}

// Live reports whether the VM is running or will be. An unknown status counts as live, because to take a running VM for dead costs
// more than the reverse.
// See https://cloud.google.com/compute/docs/instances/instance-lifecycle.
func (vm VM) Live() bool {
	switch vm.Status {
	case "PENDING_STOP", "STOPPING", "SUSPENDING", "DEPROVISIONING":
		return false
	}
	return !vm.Stopped() && vm.Status != "SUSPENDED"
}

// Stopped reports whether the VM is stopped. A stopped VM keeps its disks, its addresses and its name.
func (vm VM) Stopped() bool { return vm.Status == "TERMINATED" || vm.Status == "STOPPED" }

// Running reports whether the VM has started.
func (vm VM) Running() bool { return vm.Status == "RUNNING" }

// List returns the VMs of a zone whose names start with prefix. An answer with a warning that it is incomplete is an error.
func (c *Client) List(ctx context.Context, zone, prefix string) ([]VM, error) {
	call := c.service.Instances.List(c.project, zone).
		Filter(fmt.Sprintf("name eq '%s.*'", prefix)).
		Fields("items(name,status,creationTimestamp)", "nextPageToken", "warning(code,message)")
	var vms []VM
	err := eachPage(func(token string) (items int, next string, err error) {
		err = c.read(ctx, zone, "instances.list", func(ctx context.Context) error {
			page, err := notNull(call.PageToken(token).Context(ctx).Do())
			if err != nil {
				return err
			}
			if w := page.Warning; w != nil && incomplete(w.Code) {
				return fmt.Errorf("the answer is incomplete: %s %s", w.Code, w.Message)
			}
			items, next = len(page.Items), page.NextPageToken
			for _, i := range page.Items {
				// A malformed name must not reach commands, paths and pages, and leaving it out could lose a VM.
				if i == nil || !vmName.MatchString(i.Name) {
					return errors.New("the answer has a VM without a proper name")
				}
				// The server may ignore the filter.
				if strings.HasPrefix(i.Name, prefix) {
					vms = append(vms, vmOf(i))
				}
			}
			return nil
		})
		return items, next, err
	})
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", zone, err)
	}
	return vms, nil
}

// Bounds of one list. Google's pages have up to 500 items. A list without end must neither stall a zone nor fill the memory.
const (
	maxPages      = 1000
	maxItems      = 500_000
	maxEmptyPages = 10 // in a row
	maxPageToken  = 64 << 10
)

// eachPage calls get for each page of a list, with its token. get returns the number of items and the next page's token, empty
// at the end.
func eachPage(get func(token string) (items int, next string, err error)) error {
	seen := map[string]bool{}
	total, empty := 0, 0
	for token := ""; ; {
		items, next, err := get(token)
		if err != nil || next == "" {
			return err
		}
		total += items
		if empty++; items > 0 {
			empty = 0
		}
		switch {
		case seen[next]:
			return errors.New("the list has no end: a page token repeats")
		case empty > maxEmptyPages:
			return fmt.Errorf("more than %d empty pages in a row", maxEmptyPages)
		case total > maxItems, len(seen)+1 == maxPages:
			return fmt.Errorf("the list does not end after %d items on %d pages", total, len(seen)+1)
		case len(next) > maxPageToken:
			return fmt.Errorf("a page token of %d bytes", len(next))
		}
		seen[next], token = true, next
	}
}

// incomplete reports whether a list with this warning lacks items. Other warnings, such as NO_RESULTS_ON_PAGE, do not matter.
func incomplete(warning string) bool {
	return warning == "UNREACHABLE" || warning == "PARTIAL_SUCCESS" || warning == "LIST_OVERHEAD_QUOTA_EXCEED"
}

// Get returns one VM; found is false if it does not exist.
func (c *Client) Get(ctx context.Context, zone, name string) (vm VM, found bool, err error) {
	err = c.read(ctx, zone, "instances.get", func(ctx context.Context) error {
		i, err := notNull(c.service.Instances.Get(c.project, zone, name).Fields("name,status,creationTimestamp").Context(ctx).Do())
		if err == nil && i.Name != name {
			err = errors.New("the answer concerns another VM")
		}
		if err == nil {
			vm = vmOf(i)
		}
		return err
	})
	if isGone(err, name) {
		return VM{}, false, nil
	}
	if err != nil {
		return VM{}, false, fmt.Errorf("get %s in %s: %w", name, zone, err)
	}
	return vm, true, nil
}

func vmOf(i *compute.Instance) VM {
	created, _ := time.Parse(time.RFC3339, i.CreationTimestamp) // zero if the API leaves it out
	status := i.Status
	if !vmStatus.MatchString(status) { // log and page show it
		status = "UNKNOWN"
	}
	return VM{Name: i.Name, Status: status, Created: created}
}

// Insert starts the creation of a VM. source is empty, or the URL of an instance template from which Google fills in what instance
// leaves out. The operation has only begun: a stock-out shows when it ends. The caller must have called Take.
func (c *Client) Insert(ctx context.Context, zone, requestID, source string, instance *compute.Instance) (Operation, error) {
	c.secrets.addMetadata(instance, instance.Name, zone, regionOf(zone), c.project, "googleapis.com")
	return c.mutate(ctx, zone, instance.Name, Creation, func(ctx context.Context) (*compute.Operation, error) {
		call := c.service.Instances.Insert(c.project, zone, instance).RequestId(requestID)
		if source != "" {
			call.SourceInstanceTemplate(source)
		}
		return call.Fields(operationFields).Context(ctx).Do()
	})
}

// Delete starts the deletion of a VM. The caller must have called Take.
func (c *Client) Delete(ctx context.Context, zone, requestID, name string) (Operation, error) {
	op, err := c.mutate(ctx, zone, name, Deletion, func(ctx context.Context) (*compute.Operation, error) {
		return c.service.Instances.Delete(c.project, zone, name).RequestId(requestID).Fields(operationFields).Context(ctx).Do()
	})
	if f, ok := errors.AsType[*Failure](err); ok && f.Class == NotFound && !isGone(err, name) {
		f.Class = Transient
	}
	return op, err
}

// mutate makes one call that begins an operation on a VM. After any other answer it is unknown whether there is an operation.
func (c *Client) mutate(ctx context.Context, zone, name string, m Mutation, do func(context.Context) (*compute.Operation, error)) (op Operation, err error) {
	err = c.call(ctx, zone, "instances."+string(m), m, func(ctx context.Context) error {
		answer, err := notNull(do(ctx))
		if err != nil {
			return err
		}
		if op = c.operationOf(answer); !c.proper(answer) || op.Target != name || op.Kind != m {
			return fmt.Errorf("the answer is not the operation to %s the VM", m)
		}
		return nil
	})
	if err != nil {
		return Operation{}, fmt.Errorf("%s %s in %s: %w", m, name, zone, err)
	}
	return op, nil
}

// Attribute returns a metadata attribute of the project; found is false if it does not exist. Concurrent calls share one answer,
// which has all attributes.
func (c *Client) Attribute(ctx context.Context, key string) (value []byte, found bool, err error) {
	answer := c.attributes.DoChan("", func() (any, error) {
		var p *compute.Project
		// Other callers wait for this call too, so it outlives ctx. Two minutes are enough for a rate limit to end, and the call.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Minute)
		defer cancel()
		err := c.read(ctx, global, "projects.get", func(ctx context.Context) (err error) {
			p, err = notNull(c.service.Projects.Get(c.project).Fields("commonInstanceMetadata(items(key,value))").Context(ctx).Do())
			return err
		})
		return p, err
	})
	select {
	case <-ctx.Done():
		return nil, false, ctx.Err()
	case r := <-answer:
		if r.Err != nil {
			return nil, false, fmt.Errorf("get project %s: %w", c.project, r.Err)
		}
		if m := r.Val.(*compute.Project).CommonInstanceMetadata; m != nil {
			for _, item := range m.Items {
				if item != nil && item.Key == key && item.Value != nil {
					return []byte(*item.Value), true, nil
				}
			}
		}
		return nil, false, nil
	}
}

// global is the zone of calls that concern no zone. They have quotas of their own.
const global = "global"
