package gce

import (
	"context"
	"fmt"
	"path"
	"regexp"
	"strings"
	"time"

	"google.golang.org/api/compute/v1"
)

// operationFields are those that operationOf reads.
const operationFields = "name,clientOperationId,operationType,targetLink,status,insertTime,httpErrorStatusCode,httpErrorMessage,error(errors(code,message,errorDetails(errorInfo(metadatas))))"

// operationName is what an operation's name is like, which goes on into the path of the calls that ask for it.
var operationName = regexp.MustCompile(`^[-a-zA-Z0-9_]{1,200}$`)

// Bounds of what is read of operations. A zone keeps those of two weeks or so.
const (
	maxOperations = 200_000
	maxOperation  = 1000 // bytes of one's kind, target and request
)

// An Operation is a zonal operation on a VM.
type Operation struct {
	Name     string
	Kind     Mutation  // or what else there is
	Target   string    // the VM's name
	Request  string    // the requestId of the call that asked for it
	Inserted time.Time // when Google took it on, by Google's clock
	Done     bool
	Failure  *Failure // how it ended, if badly; only with Done
}

// begun is an operation that a call has begun. Without a proper name it cannot be followed, and whether it exists is open.
func begun(op *compute.Operation, err error) (*compute.Operation, error) {
	op, err = object(op, err)
	if err == nil && !operationName.MatchString(op.Name) {
		err = fmt.Errorf("the answer names no operation: %.100q", op.Name)
	}
	return op, err
}

func operationOf(op *compute.Operation) Operation {
	inserted, _ := time.Parse(time.RFC3339, op.InsertTime)
	o := Operation{
		Name: op.Name, Kind: Mutation(op.OperationType), Target: path.Base(op.TargetLink),
		Request: op.ClientOperationId, Inserted: inserted, Done: op.Status == "DONE",
	}
	if o.Done {
		o.Failure = operationFailure(op)
	}
	return o
}

// Operations returns the operations of a zone, newest first, on VMs whose names start with prefix, that Google took on at
// since or later, done or not. One call tells of up to 500. With an error come those that were read before it.
func (c *Client) Operations(ctx context.Context, zone, prefix string, since time.Time) ([]Operation, error) {
	call := c.service.ZoneOperations.List(c.project, zone).
		Filter(fmt.Sprintf("targetLink eq '.*/instances/%s.*'", prefix)).OrderBy("creationTimestamp desc").
		Fields("items("+operationFields+")", "nextPageToken")
	var ops []Operation
	total := 0
	for range maxPages {
		var page *compute.OperationList
		err := c.read(ctx, zone, "zoneOperations.list", func(ctx context.Context) (err error) {
			page, err = object(call.Context(ctx).Do())
			return err
		})
		if err != nil {
			return ops, fmt.Errorf("list operations of %s: %w", zone, err)
		}
		if total += len(page.Items); total > maxOperations {
			return ops, fmt.Errorf("list operations of %s: more than %d", zone, maxOperations)
		}
		for _, item := range page.Items {
			if item == nil || !operationName.MatchString(item.Name) || len(item.OperationType+item.TargetLink+item.ClientOperationId) > maxOperation {
				continue
			}
			op := operationOf(item)
			if op.Inserted.Before(since) {
				return ops, nil
			}
			if strings.HasPrefix(op.Target, prefix) && vmName.MatchString(op.Target) {
				ops = append(ops, op)
			}
		}
		if page.NextPageToken == "" {
			return ops, nil
		}
		call.PageToken(page.NextPageToken)
	}
	return ops, fmt.Errorf("list operations of %s: still not at the end after %d pages", zone, maxPages)
}

// Operation returns one operation; found is false if Google no longer knows of it, which says nothing about its VM.
func (c *Client) Operation(ctx context.Context, zone, name string) (op Operation, found bool, err error) {
	err = c.read(ctx, zone, "zoneOperations.get", func(ctx context.Context) error {
		o, err := object(c.service.ZoneOperations.Get(c.project, zone, name).Fields(operationFields).Context(ctx).Do())
		if err == nil && o.Name != name {
			err = fmt.Errorf("the answer is about %.100q", o.Name)
		}
		if err == nil {
			op = operationOf(o)
		}
		return err
	})
	if Is(err, NotFound) {
		return Operation{}, false, nil
	}
	if err != nil {
		return Operation{}, false, fmt.Errorf("get operation %s of %s: %w", name, zone, err)
	}
	return op, true, nil
}
