package drive

import (
	"iter"
	"maps"
	"net/http"
	"slices"
	"time"

	"prevmtable/internal/gcesim/api"
)

// Request is a call of the Compute API that concerns the resources of a store. The functions are the project's.
type Request struct {
	Scope string // the path before the collection: zones/us-central1-a
	Name  string // the resource in the path; "" if the call is to the collection
	Body  []byte
	Mask  api.Mask
	Now   time.Time

	VM      func(name string) (vm string, id uint64, err *api.Error) // finds a VM of the zone by its name or URL
	List    func(kind, path string, items iter.Seq[api.Item]) api.Reply
	Changed func(r *Resource, kind string) api.Reply // starts an operation on the resource, and answers with it
}

// ResourceMethod is a method of the Compute API for the resources of a store. The command fault knows the methods that change a resource
// by its collection.
type ResourceMethod struct {
	api.Method
	Handle func(s *Store, r *Request) api.Reply
}

// ResourceMethods returns the methods for all kinds of resources.
func ResourceMethods() []ResourceMethod {
	var out []ResourceMethod
	for _, k := range Kinds {
		all := k.Scope + "/" + k.Collection
		one := all + "/{resource}"
		out = append(out,
			ResourceMethod{api.Method{ID: k.Methods + ".insert", Verb: http.MethodPost, Path: all, Fault: k.Collection, Group: "default", Schema: "Operation"}, k.insert},
			ResourceMethod{api.Method{ID: k.Methods + ".delete", Verb: http.MethodDelete, Path: one, Fault: k.Collection, Group: "default", Schema: "Operation"}, k.remove},
			ResourceMethod{api.Method{ID: k.Methods + ".get", Verb: http.MethodGet, Path: one, Fault: "project", Group: "read_requests", Schema: k.Schema}, k.get},
			ResourceMethod{api.Method{ID: k.Methods + ".list", Verb: http.MethodGet, Path: all, Fault: "project", Group: "list_requests", Schema: k.Schema + "List"}, k.list})
	}
	const service, group = "regions/{region}/backendServices/{resource}", "zones/{zone}/networkEndpointGroups/{resource}/"
	return append(out,
		ResourceMethod{api.Method{ID: "regionBackendServices.update", Verb: http.MethodPut, Path: service, Fault: "backendServices", Group: "default", Schema: "Operation"}, updateBackendService},
		ResourceMethod{api.Method{ID: "networkEndpointGroups.attachNetworkEndpoints", Verb: http.MethodPost, Path: group + "attachNetworkEndpoints", Fault: "networkEndpointGroups", Group: "default", Schema: "Operation"},
			changeEndpoints((*Resource).attach, "attachNetworkEndpoints", "NetworkEndpointGroupsAttachEndpointsRequest")},
		ResourceMethod{api.Method{ID: "networkEndpointGroups.detachNetworkEndpoints", Verb: http.MethodPost, Path: group + "detachNetworkEndpoints", Fault: "networkEndpointGroups", Group: "default", Schema: "Operation"},
			changeEndpoints((*Resource).detach, "detachNetworkEndpoints", "NetworkEndpointGroupsDetachEndpointsRequest")},
		ResourceMethod{api.Method{ID: "networkEndpointGroups.listNetworkEndpoints", Verb: http.MethodPost, Path: group + "listNetworkEndpoints", Fault: "project", Group: "list_requests", Schema: "NetworkEndpointGroupsListNetworkEndpoints"}, listEndpoints})
}

// resource returns the resource that a call names.
func (s *Store) resource(k *Kind, r *Request) (*Resource, *api.Error) {
	path := r.Scope + "/" + k.Collection + "/" + r.Name
	if found := s.Find(path); found != nil {
		return found, nil
	}
	return nil, api.NotFound("projects/" + s.host.URLs.Project + "/" + path)
}

func (k *Kind) insert(s *Store, r *Request) api.Reply {
	body, err := api.ReadBody(k.Schema, "resource", r.Body)
	if err != nil {
		return api.Refused(err)
	}
	made, err := s.Insert(k, r.Scope, body, r.Now)
	if err != nil {
		return api.Refused(err)
	}
	return r.Changed(made, "insert")
}

func (k *Kind) remove(s *Store, r *Request) api.Reply {
	found, err := s.resource(k, r)
	if err == nil {
		err = s.remove(found)
	}
	if err != nil {
		return api.Refused(err)
	}
	return r.Changed(found, "delete")
}

func (k *Kind) get(s *Store, r *Request) api.Reply {
	found, err := s.resource(k, r)
	if err != nil {
		return api.Refused(err)
	}
	return api.OK(api.Render(s.describe(found), r.Mask))
}

func (k *Kind) list(s *Store, r *Request) api.Reply {
	return r.List("compute#"+k.Type()+"List", r.Scope+"/"+k.Collection, s.Within(r.Scope, k))
}

// updateBackendService answers regionBackendServices.update.
func updateBackendService(s *Store, r *Request) api.Reply {
	found, err := s.resource(backendServices, r)
	if err != nil {
		return api.Refused(err)
	}
	body, err := api.ReadBody(backendServices.Schema, "resource", r.Body)
	if err == nil {
		err = s.update(found, body)
	}
	if err != nil {
		return api.Refused(err)
	}
	return r.Changed(found, "update")
}

// changeEndpoints returns the handler that attaches VMs to an endpoint group or detaches them.
func changeEndpoints(change func(group *Resource, vms map[string]uint64) *api.Error, name, schema string) func(*Store, *Request) api.Reply {
	return func(s *Store, r *Request) api.Reply {
		group, err := s.resource(endpointGroups, r)
		if err != nil {
			return api.Refused(err)
		}
		body, err := api.ReadBody(schema, "resource", r.Body)
		if err != nil {
			return api.Refused(err)
		}
		vms := map[string]uint64{}
		for _, one := range api.List(body["networkEndpoints"]) {
			vm, id, err := r.VM(api.Text(api.Object(one)["instance"]))
			if err != nil {
				return api.Refused(err)
			}
			vms[vm] = id
		}
		if err := change(group, vms); err != nil {
			return api.Refused(err)
		}
		return r.Changed(group, "compute.networkEndpointGroups."+name)
	}
}

// listEndpoints answers networkEndpointGroups.listNetworkEndpoints.
func listEndpoints(s *Store, r *Request) api.Reply {
	group, err := s.resource(endpointGroups, r)
	if err != nil {
		return api.Refused(err)
	}
	out := map[string]any{"kind": "compute#networkEndpointGroupsListNetworkEndpoints", "id": "projects/" + s.host.URLs.Project + "/" + group.Path}
	var items []any
	for _, name := range slices.Sorted(maps.Keys(group.members)) {
		items = append(items, map[string]any{"networkEndpoint": map[string]any{"instance": name}})
	}
	if items != nil {
		out["items"] = items
	}
	return api.OK(r.Mask.Apply(out))
}
