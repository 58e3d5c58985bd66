// Package gce makes the Compute Engine calls that a pool needs, stays within the API's quotas, and says what each failure means.
//
// It drives Google's own client library and repeats nothing by itself: whether a call is made again is for the caller to
// decide, who goes by the Class of the Failure.
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

// Bounds of one list. A page of Google's has up to 500; a server that never stops handing them out must not stall a zone for
// ever, nor fill the memory.
const (
	maxPages = 1000
	maxVMs   = 500_000
)

// maxStatus is how much of a VM's status is kept, more than the longest has.
const maxStatus = 50

// vmName is what a VM's name is like (https://cloud.google.com/compute/docs/naming-resources).
var vmName = regexp.MustCompile(`^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$`)

// A Client calls the Compute Engine API for one project. It is safe for concurrent use.
type Client struct {
	project string
	service *compute.Service
	jitter  func() time.Duration

	// Observe, if not nil, is told of each call that was sent: the API's name of its method, and the HTTP status of the answer,
	// 0 if there was none. It is set before the first call.
	Observe func(method string, status int)

	attributes singleflight.Group
	mu         sync.Mutex
	regions    map[string]*pacer
	slots      map[string]chan struct{}
}

// New returns a client for a project. The HTTP client brings the credentials. An empty endpoint is Google's own; jitter is
// added to each wait for the next minute, so that daemons refused together do not come back together.
func New(ctx context.Context, hc *http.Client, endpoint, project string, jitter func() time.Duration) (*Client, error) {
	wary := *hc
	wary.Transport = onlyOK{bounded(cmp.Or(hc.Transport, http.DefaultTransport))}
	// Compute Engine sends nobody elsewhere, and the transport would take the token along to anybody's server.
	wary.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	opts := []option.ClientOption{option.WithHTTPClient(&wary)}
	if endpoint != "" {
		// The library resolves its paths relative to the endpoint, so that one without the slash would lose its last element.
		opts = append(opts, option.WithEndpoint(strings.TrimSuffix(endpoint, "/")+"/"))
	}
	service, err := compute.NewService(ctx, opts...)
	if err != nil {
		return nil, fmt.Errorf("make the Compute Engine client: %w", err)
	}
	service.UserAgent = "prevmtable"
	return &Client{
		project: project, service: service, jitter: jitter,
		regions: map[string]*pacer{}, slots: map[string]chan struct{}{},
	}, nil
}

// A VM is an instance as far as a pool is concerned.
type VM struct {
	Name    string
	Status  string    // Instance.status as the API gives it
	Created time.Time // by Google's clock
}

// Live reports whether the VM is, or will be, running. A status that this program does not know counts as live, since
// taking a running VM for dead costs more than the reverse.
// See https://cloud.google.com/compute/docs/instances/instance-lifecycle.
func (vm VM) Live() bool {
	switch vm.Status {
	case "PENDING_STOP", "STOPPING", "SUSPENDING", "DEPROVISIONING":
		return false
	}
	return !vm.Stopped() && vm.Status != "SUSPENDED"
}

// Stopped reports whether the VM has come to rest and only costs its disks, its addresses and its name.
func (vm VM) Stopped() bool { return vm.Status == "TERMINATED" || vm.Status == "STOPPED" }

// Running reports whether the VM has been started and handed to its guest.
func (vm VM) Running() bool { return vm.Status == "RUNNING" }

// List returns the VMs of a zone whose names start with prefix. An answer that says of itself that it is incomplete is an
// error.
func (c *Client) List(ctx context.Context, zone, prefix string) ([]VM, error) {
	call := c.service.Instances.List(c.project, zone).
		Filter(fmt.Sprintf("name eq '%s.*'", prefix)).
		Fields("items(name,status,creationTimestamp)", "nextPageToken", "warning(code,message)")
	var vms []VM
	for range maxPages {
		var page *compute.InstanceList
		err := c.read(ctx, zone, "instances.list", func(ctx context.Context) (err error) {
			page, err = object(call.Context(ctx).Do())
			return err
		})
		if err == nil && page.Warning != nil && incomplete(page.Warning.Code) {
			err = fmt.Errorf("the answer is incomplete: %s %s", page.Warning.Code, oneLine(page.Warning.Message))
		}
		if err != nil {
			return nil, fmt.Errorf("list %s: %w", zone, err)
		}
		for _, i := range page.Items {
			// What is no VM's name would go on into commands, paths and pages. To leave it out would be to lose a VM.
			if i == nil || !vmName.MatchString(i.Name) {
				return nil, fmt.Errorf("list %s: the answer has a VM without a proper name: %.100q", zone, nameOf(i))
			}
			// A server may ignore the filter, or understand it otherwise.
			if strings.HasPrefix(i.Name, prefix) {
				vms = append(vms, vmOf(i))
			}
		}
		if len(vms) > maxVMs {
			return nil, fmt.Errorf("list %s: more than %d VMs", zone, maxVMs)
		}
		if page.NextPageToken == "" {
			return vms, nil
		}
		call.PageToken(page.NextPageToken)
	}
	return nil, fmt.Errorf("list %s: still not at the end after %d pages", zone, maxPages)
}

// incomplete reports whether a list with this warning lacks something. NO_RESULTS_ON_PAGE, for one, does not.
func incomplete(warning string) bool {
	return warning == "UNREACHABLE" || warning == "PARTIAL_SUCCESS" || warning == "LIST_OVERHEAD_QUOTA_EXCEED"
}

// Get returns one VM; found is false if it does not exist.
func (c *Client) Get(ctx context.Context, zone, name string) (vm VM, found bool, err error) {
	err = c.read(ctx, zone, "instances.get", func(ctx context.Context) error {
		i, err := object(c.service.Instances.Get(c.project, zone, name).Fields("name,status,creationTimestamp").Context(ctx).Do())
		if err == nil {
			vm = vmOf(i)
		}
		return err
	})
	if isGone(err, name) {
		return VM{}, false, nil
	}
	if err == nil && vm.Name != name {
		err = fmt.Errorf("the answer is about %.100q", vm.Name)
	}
	if err != nil {
		return VM{}, false, fmt.Errorf("get %s in %s: %w", name, zone, err)
	}
	return vm, true, nil
}

// isGone reports whether an error says that this very VM does not exist. Not any 404 will do: the zone may be gone, or a proxy
// have lost its way.
func isGone(err error, name string) bool {
	f, ok := errors.AsType[*Failure](err)
	return ok && f.Class == NotFound && strings.Contains(f.Message, "/instances/"+name+"'")
}

func nameOf(i *compute.Instance) string {
	if i == nil {
		return ""
	}
	return i.Name
}

func vmOf(i *compute.Instance) VM {
	created, _ := time.Parse(time.RFC3339, i.CreationTimestamp) // zero where the API leaves it out
	status := i.Status
	if len(status) > maxStatus {
		status = strings.Clone(status[:maxStatus])
	}
	return VM{Name: i.Name, Status: status, Created: created}
}

// Insert asks for a VM. The answer is an operation that has only begun: stock-outs are found out in it. Admit comes first.
func (c *Client) Insert(ctx context.Context, zone, requestID string, instance *compute.Instance) (Operation, error) {
	var op *compute.Operation
	err := c.call(ctx, zone, string(Creation), "instances.insert", func(ctx context.Context) (err error) {
		op, err = begun(c.service.Instances.Insert(c.project, zone, instance).RequestId(requestID).Fields(operationFields).Context(ctx).Do())
		return err
	})
	if err != nil {
		return Operation{}, fmt.Errorf("insert %s in %s: %w", instance.Name, zone, err)
	}
	return operationOf(op), nil
}

// Delete asks for a VM's end. Admit comes first.
func (c *Client) Delete(ctx context.Context, zone, requestID, name string) (Operation, error) {
	var op *compute.Operation
	err := c.call(ctx, zone, string(Deletion), "instances.delete", func(ctx context.Context) (err error) {
		op, err = begun(c.service.Instances.Delete(c.project, zone, name).RequestId(requestID).Fields(operationFields).Context(ctx).Do())
		return err
	})
	if f, ok := errors.AsType[*Failure](err); ok && f.Class == NotFound && !isGone(err, name) {
		f.Class = Trouble
	}
	if err != nil {
		return Operation{}, fmt.Errorf("delete %s in %s: %w", name, zone, err)
	}
	return operationOf(op), nil
}

// Attribute returns a metadata attribute of the project; found is false if it does not exist. Calls at the same time share
// one answer, since all attributes come at once.
func (c *Client) Attribute(ctx context.Context, key string) (value []byte, found bool, err error) {
	answer := c.attributes.DoChan("", func() (any, error) {
		var p *compute.Project
		// It is for others too. Two minutes are enough for the end of a rate limit, and the call.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Minute)
		defer cancel()
		err := c.read(ctx, global, "projects.get", func(ctx context.Context) (err error) {
			p, err = object(c.service.Projects.Get(c.project).Fields("commonInstanceMetadata(items(key,value))").Context(ctx).Do())
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

// global is where calls go that concern no zone; they have quotas of their own.
const global = "global"
