package gce

import (
	"context"
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"google.golang.org/api/compute/v1"
)

// operationFields are those that operationOf reads.
const operationFields = "name,clientOperationId,operationType,targetLink,status,insertTime,endTime,httpErrorStatusCode,httpErrorMessage,error(errors(code,message,errorDetails(errorInfo(reason,metadatas),localizedMessage(message),quotaInfo(limitName))))"

// operationName is what an operation's name is like, which goes on into the path of the calls that ask for it.
var operationName = regexp.MustCompile(`^[-a-zA-Z0-9_]{1,200}$`)

// maxOperation bounds the texts of an operation that go on into other places.
const maxOperation = 1000

// An Operation is a zonal operation on a VM.
type Operation struct {
	Name     string
	Kind     Mutation  // or what else there is
	Target   string    // the VM's name; empty if it concerns something else
	Request  string    // the requestId of the call that asked for it
	Inserted time.Time // when Google took it on, by Google's clock
	Ended    time.Time // by Google's clock; zero unless known
	Done     bool
	Failure  *Failure // how it ended, if badly; only with Done
}

// proper reports whether an answer is an operation whose texts are fit for paths and logs.
func (c *Client) proper(op *compute.Operation) bool {
	return op != nil && operationName.MatchString(op.Name) && c.Mask(op.Name) == op.Name &&
		len(op.OperationType+op.TargetLink+op.ClientOperationId) <= maxOperation
}

func (c *Client) operationOf(op *compute.Operation) Operation {
	inserted, _ := time.Parse(time.RFC3339, op.InsertTime)
	ended, _ := time.Parse(time.RFC3339, op.EndTime)
	o := Operation{
		Name: op.Name, Kind: Mutation(op.OperationType), Target: targetVM(op.TargetLink),
		Request: op.ClientOperationId, Inserted: inserted, Ended: ended, Done: op.Status == "DONE",
	}
	if o.Done {
		o.Failure = c.operationFailure(op)
	}
	return o
}

// targetVM returns the name of the VM that a link is to.
func targetVM(link string) string {
	if dir, name := path.Split(link); path.Base(dir) == "instances" {
		return name
	}
	return ""
}

// Operations returns the operations of a zone, newest first, on VMs whose names start with prefix, that Google took on at since (by
// Google's clock) or later, done or not. One call returns up to 500. With an error come those that were read before it.
func (c *Client) Operations(ctx context.Context, zone, prefix string, since time.Time) ([]Operation, error) {
	call := c.service.ZoneOperations.List(c.project, zone).
		Filter(fmt.Sprintf("targetLink eq '.*/instances/%s.*'", prefix)).OrderBy("creationTimestamp desc").
		Fields("items("+operationFields+")", "nextPageToken")
	var ops []Operation
	var last time.Time // of the page before
	err := eachPage(func(token string) (items int, next string, err error) {
		var page *compute.OperationList
		err = c.read(ctx, zone, "zoneOperations.list", func(ctx context.Context) (err error) {
			page, err = notNull(call.PageToken(token).Context(ctx).Do())
			return err
		})
		if err != nil {
			return 0, "", err
		}
		next = page.NextPageToken
		ordered, older, newer := true, 0, 0
		for _, item := range page.Items {
			if !c.proper(item) {
				continue
			}
			inserted, _ := time.Parse(time.RFC3339, item.InsertTime)
			ordered = ordered && (last.IsZero() || !inserted.After(last))
			last = inserted
			if inserted.Before(since) {
				older++
				continue
			}
			newer++
			// A server may ignore the filter.
			if target := targetVM(item.TargetLink); strings.HasPrefix(target, prefix) && vmName.MatchString(target) {
				ops = append(ops, c.operationOf(item))
			}
		}
		if older > 0 && newer == 0 && ordered { // a server that ignores the order may still have newer ones
			next = ""
		}
		return len(page.Items), next, nil
	})
	slices.SortStableFunc(ops, newestFirst)
	if err != nil {
		return ops, fmt.Errorf("list operations of %s: %w", zone, err)
	}
	return ops, nil
}

// newestFirst orders operations. Within a millisecond, a VM's creation comes before all else that happens to it.
func newestFirst(a, b Operation) int {
	switch order := b.Inserted.Compare(a.Inserted); {
	case order != 0 || a.Kind == b.Kind:
		return order
	case a.Kind == Creation:
		return 1
	case b.Kind == Creation:
		return -1
	}
	return 0
}

// Operation returns one operation; found is false if Google no longer knows of it, which says nothing about its VM.
func (c *Client) Operation(ctx context.Context, zone, name string) (op Operation, found bool, err error) {
	err = c.read(ctx, zone, "zoneOperations.get", func(ctx context.Context) error {
		answer, err := notNull(c.service.ZoneOperations.Get(c.project, zone, name).Fields(operationFields).Context(ctx).Do())
		if err == nil && (answer.Name != name || !c.proper(answer)) {
			err = errors.New("the answer concerns another operation")
		}
		if err == nil {
			op = c.operationOf(answer)
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
