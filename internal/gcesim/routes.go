package gcesim

import (
	"net/http"
	"slices"

	"prevmtable/internal/gcesim/api"
)

// route is a method of the Compute API with its handler.
type route struct {
	api.Method
	handle func(*call) api.Reply
}

func apiRoutes() []route {
	const get, post, del = http.MethodGet, http.MethodPost, http.MethodDelete
	routes := []route{
		{api.Method{ID: "instances.insert", Verb: post, Path: "zones/{zone}/instances", Fault: "insert", Group: "default", Schema: "Operation"}, insertInstance},
		{api.Method{ID: "instances.delete", Verb: del, Path: "zones/{zone}/instances/{instance}", Fault: "delete", Group: "default", Schema: "Operation"}, deleteInstance},
		{api.Method{ID: "instances.get", Verb: get, Path: "zones/{zone}/instances/{instance}", Fault: "get", Group: "read_requests", Schema: "Instance"}, getInstance},
		{api.Method{ID: "instances.list", Verb: get, Path: "zones/{zone}/instances", Fault: "list", Group: "list_requests", Schema: "InstanceList"}, listInstances},
		{api.Method{ID: "instances.aggregatedList", Verb: get, Path: "aggregated/instances", Fault: "list", Group: "heavy_weight_read_requests", Schema: "InstanceAggregatedList"}, aggregateInstances},
		{api.Method{ID: "globalOperations.aggregatedList", Verb: get, Path: "aggregated/operations", Fault: "operations", Group: "heavy_weight_read_requests", Schema: "OperationAggregatedList"}, aggregateOperations},
		{api.Method{ID: "projects.get", Verb: get, Path: "", Fault: "project", Group: "read_requests", Schema: "Project"}, getProject},
		{api.Method{ID: "projects.setCommonInstanceMetadata", Verb: post, Path: "setCommonInstanceMetadata", Fault: "project", Group: "project_set_common_instance_metadata_requests", Schema: "Operation"}, setCommonMetadata},
		{api.Method{ID: "zones.get", Verb: get, Path: "zones/{zone}", Fault: "project", Group: "read_requests", Schema: "Zone"}, getZone},
		{api.Method{ID: "zones.list", Verb: get, Path: "zones", Fault: "project", Group: "list_requests", Schema: "ZoneList"}, listZones},
		{api.Method{ID: "regions.get", Verb: get, Path: "regions/{region}", Fault: "project", Group: "read_requests", Schema: "Region"}, getRegion},
		{api.Method{ID: "regions.list", Verb: get, Path: "regions", Fault: "project", Group: "list_requests", Schema: "RegionList"}, listRegions},
		{api.Method{ID: "machineTypes.get", Verb: get, Path: "zones/{zone}/machineTypes/{machineType}", Fault: "project", Group: "read_requests", Schema: "MachineType"}, getMachineType},
		{api.Method{ID: "machineTypes.list", Verb: get, Path: "zones/{zone}/machineTypes", Fault: "project", Group: "list_requests", Schema: "MachineTypeList"}, listMachineTypes},
		{api.Method{ID: "images.get", Verb: get, Path: "global/images/{image}", Fault: "project", Group: "read_requests", Schema: "Image"}, getImage},
		{api.Method{ID: "images.getFromFamily", Verb: get, Path: "global/images/family/{family}", Fault: "project", Group: "read_requests", Schema: "Image"}, getImageFamily},
		{api.Method{ID: "networks.get", Verb: get, Path: "global/networks/{network}", Fault: "project", Group: "read_requests", Schema: "Network"}, getNetwork},
	}
	for _, scope := range [][2]string{{"zone", "zones/{zone}"}, {"region", "regions/{region}"}, {"global", "global"}} {
		methods, all := scope[0]+"Operations.", scope[1]+"/operations"
		routes = append(routes,
			route{api.Method{ID: methods + "get", Verb: get, Path: all + "/{operation}", Fault: "operation", Group: "operation_read_requests", Schema: "Operation"}, getOperation},
			route{api.Method{ID: methods + "list", Verb: get, Path: all, Fault: "operations", Group: "list_requests", Schema: "OperationList"}, listOperations},
			route{api.Method{ID: methods + "wait", Verb: post, Path: all + "/{operation}/wait", Fault: "wait", Group: "heavy_weight_read_requests", Schema: "Operation"}, getOperation})
	}
	for name := range vmChanges {
		routes = append(routes, route{api.Method{ID: "instances." + name, Verb: post, Path: "zones/{zone}/instances/{instance}/" + name, Fault: "instances", Group: "default", Schema: "Operation"}, changeInstance(name)})
	}
	return slices.Concat(routes, resourceRoutes(), adviceRoutes())
}
