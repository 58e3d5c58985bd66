package gcesim

import (
	"context"
	"iter"
	"time"

	"prevmtable/internal/gcesim/api"
)

// getOperation answers zoneOperations.get, regionOperations.get and globalOperations.get.
func getOperation(c *call) api.Reply {
	o, err := c.findOperation()
	return c.operation(o, err)
}

// operation answers with the current state of an operation.
func (c *call) operation(o *operation, err *api.Error) api.Reply {
	if err != nil {
		return api.Refused(err)
	}
	return api.OK(api.Render(opView{c.p, o, c.now}, c.mask))
}

func (c *call) findOperation() (*operation, *api.Error) {
	ops, name := c.p.opsOf(c.zone, c.param("region")), c.param("operation")
	c.p.dropOld(ops, c.now)
	if o := ops.byName[name]; o != nil {
		return o, nil
	}
	return nil, api.NotFound("projects/" + c.p.urls.Project + "/" + c.scope() + "/operations/" + name)
}

func (c *call) scope() string {
	return scopeOf(c.zone, c.param("region"))
}

// listOperations answers zoneOperations.list, regionOperations.list and globalOperations.list.
func listOperations(c *call) api.Reply {
	q, err := c.listQuery(c.p.settings.opsFilterMode)
	if err != nil {
		return api.Refused(err)
	}
	page, more := q.Page(c.p.visibleOps(c.zone, c.param("region"), c.now, q.Filter))
	return api.OK(q.List("compute#operationList", c.p.link("%s/operations", c.scope()), page, more, c.mask))
}

// aggregateOperations answers globalOperations.aggregatedList.
func aggregateOperations(c *call) api.Reply {
	return c.aggregate("operation", "operations", c.p.settings.opsFilterMode, "", func(s scope, q api.Query) iter.Seq[api.Item] {
		return c.p.visibleOps(s.zone, s.region, c.now, q.Filter)
	})
}

// visibleOps yields the operations that a list shows, sorted by name.
func (p *Project) visibleOps(z *zone, region string, now time.Time, filter api.Filter) iter.Seq[api.Item] {
	ops := p.opsOf(z, region)
	p.dropOld(ops, now)
	at, hide := now, 0
	if z != nil {
		at, hide = now.Add(-z.opsStale), z.opsHide
	}
	return func(yield func(api.Item) bool) {
		for _, o := range ops.list {
			r := opView{p, o, at}
			if o.start.After(at) {
				continue
			}
			if hide > 0 && filter(r) {
				hide--
				continue
			}
			if !yield(r) {
				return
			}
		}
	}
}

// longestWait is the longest time that a wait call takes; it returns then even if the operation is not done.
const longestWait = 2 * time.Minute

// waitForOperation blocks until the operation is done, for two minutes at most. The caller does not hold mu. See https://cloud.google.com/compute/docs/reference/rest/v1/zoneOperations/wait.
func (p *Project) waitForOperation(ctx context.Context, zone, region, name string) {
	var deadline time.Time
	p.waitUntil(ctx, deadline, func(now time.Time) (bool, time.Time) {
		z := p.zones[zone]
		if zone != "" && z == nil {
			return true, now
		}
		o := p.opsOf(z, region).byName[name]
		if o == nil {
			return true, now
		}
		if deadline.IsZero() {
			deadline = now.Add(longestWait)
		}
		if o.done(now) || !now.Before(deadline) {
			return true, now
		}
		if o.end.IsZero() || o.end.After(deadline) {
			return false, deadline
		}
		return false, o.end
	})
}
