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

// operationFields are the fields that operationOf reads.
const operationFields = "name,clientOperationId,operationType,targetLink,status,insertTime,endTime,httpErrorStatusCode,httpErrorMessage,error(errors(code,message,errorDetails(errorInfo(reason,metadatas),localizedMessage(message),quotaInfo(limitName))))"

// operationName matches the name of an operation, which becomes part of paths.
var operationName = regexp.MustCompile(`^[-a-zA-Z0-9_]{1,200}$`)

// googleName matches the names that Google gives operations. Such a name can hold no secret, and the check for secrets is slow.
var googleName = regexp.MustCompile(`^(operation|systemevent)-\d{12,13}-[0-9a-f]{13}-[0-9a-f]{8}-[0-9a-f]{8}$`)

// maxOperation bounds the length of an operation's other texts, together.
const maxOperation = 1000

// An Operation is a zonal operation on a VM.
type Operation struct {
	Name     string
	Kind     Mutation  // Creation, Deletion or another of Google's operation types
	Target   string    // the VM's name; empty if the operation concerns something else
	Request  string    // the requestId of the call that began it
	Inserted time.Time // when Google accepted it, by Google's clock
	Ended    time.Time // by Google's clock; zero unless known
	Done     bool
	Failure  *Failure // nil if the operation succeeded, or is not done
}

// proper reports whether an answer is an operation whose texts are fit for paths and logs.
func (c *Client) proper(op *compute.Operation) bool {
	return op != nil && (googleName.MatchString(op.Name) || operationName.MatchString(op.Name) && c.Mask(op.Name) == op.Name) &&
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

// Operations returns the operations of a zone on VMs whose names start with prefix, newest first, done or not, that Google accepted
// at since or later, by Google's clock. After an error it also returns the operations that were read before the error.
func (c *Client) Operations(ctx context.Context, zone, prefix string, since time.Time) ([]Operation, error) {
	call := c.service.ZoneOperations.List(c.project, zone).
		Filter(fmt.Sprintf("targetLink eq '.*/instances/%s.*'", prefix)).OrderBy("creationTimestamp desc").
		Fields("items("+operationFields+")", "nextPageToken")
	var ops []Operation
	var last time.Time // when the previous operation was accepted
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
			// The server may ignore the filter.
			if target := targetVM(item.TargetLink); strings.HasPrefix(target, prefix) && vmName.MatchString(target) {
				ops = append(ops, c.operationOf(item))
			}
		}
		if older > 0 && newer == 0 && ordered { // if the server ignores the order, later pages may have newer operations
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
