package drive

import (
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"prevmtable/internal/gcesim/api"
)

// serviceAccount is a service account. For some seconds after its creation, IAM refuses policies that name it.
type serviceAccount struct {
	email, displayName string
	id                 uint64
	created            time.Time
}

// role is a custom role. The ID of a deleted role stays in use for 37 days, and for 7 days the role can be undeleted. Here both last for
// ever. See https://cloud.google.com/iam/docs/creating-custom-roles#deleting-custom-role.
type role struct {
	id      string
	body    map[string]any
	deleted bool
}

// accountDelay is the time for which policies cannot name a new service account.
const accountDelay = 2 * time.Second

var (
	validAccountID = regexp.MustCompile(`^[a-z][-a-z0-9]{4,28}[a-z0-9]$`)
	validRoleID    = regexp.MustCompile(`^[a-zA-Z0-9_.]{3,64}$`)

	// The simulator has no list of permissions, so it checks only their form.
	validPermission = regexp.MustCompile(`^[a-z]+\.[a-zA-Z]+\.[a-zA-Z]+$`)
)

var iamRoutes = []Method{
	method("iam.serviceAccounts.create", http.MethodPost, "v1/projects/([^/]+)/serviceAccounts", createAccount),
	method("iam.serviceAccounts.delete", http.MethodDelete, "v1/projects/[^/]+/serviceAccounts/([^/:]+)", deleteAccount),
	method("iam.roles.create", http.MethodPost, "v1/projects/([^/]+)/roles", createRole),
	method("iam.roles.get", http.MethodGet, "v1/projects/[^/]+/roles/([^/:]+)", getRole),
	method("iam.roles.patch", http.MethodPatch, "v1/projects/[^/]+/roles/([^/:]+)", patchRole),
	method("iam.roles.delete", http.MethodDelete, "v1/projects/[^/]+/roles/([^/:]+)", deleteRole),
	method("iam.roles.undelete", http.MethodPost, "v1/projects/[^/]+/roles/([^/:]+):undelete", undeleteRole),
	method("iam.permissions.queryTestablePermissions", http.MethodPost, "v1/permissions:queryTestablePermissions", noPermissions),
	method("cloudresourcemanager.projects.get", http.MethodGet, "v1/projects/([^/:]+)", getProjectResource),
	method("cloudresourcemanager.projects.getIamPolicy", http.MethodPost, "v1/projects/([^/:]+):getIamPolicy", getPolicy),
	method("cloudresourcemanager.projects.setIamPolicy", http.MethodPost, "v1/projects/([^/:]+):setIamPolicy", setPolicy),
}

func (a *serviceAccount) json(s *Services) map[string]any {
	return map[string]any{"name": "projects/" + s.host.URLs.Project + "/serviceAccounts/" + a.email, "projectId": s.host.URLs.Project, "email": a.email,
		"uniqueId": strconv.FormatUint(a.id, 10), "displayName": a.displayName}
}

func createAccount(c *call) api.Reply {
	s, id := c.s, api.Text(c.body["accountId"])
	email := id + "@" + s.host.URLs.Project + ".iam.gserviceaccount.com"
	switch {
	case !validAccountID.MatchString(id):
		return api.Refused(api.RefuseNewer(http.StatusBadRequest, "INVALID_ARGUMENT", "The account ID %q must match %s.", id, validAccountID))
	case s.accounts[email] != nil:
		return api.Refused(api.RefuseNewer(http.StatusConflict, "ALREADY_EXISTS", "Service account %s already exists within project projects/%s.", id, s.host.URLs.Project))
	}
	a := &serviceAccount{email: email, displayName: api.Text(api.Object(c.body["serviceAccount"])["displayName"]),
		id: api.ResourceID(s.host.Draw("service account", email, c.now.UnixNano())), created: c.now}
	s.accounts[email] = a
	return api.OK(a.json(s))
}

func (c *call) account() (*serviceAccount, *api.Error) {
	if a := c.s.accounts[c.args[0]]; a != nil {
		return a, nil
	}
	return nil, api.RefuseNewer(http.StatusNotFound, "NOT_FOUND", "Unknown service account")
}

// deleteAccount answers serviceAccounts.delete. As in IAM, the bindings of the account stay.
func deleteAccount(c *call) api.Reply {
	a, err := c.account()
	if err != nil {
		return api.Refused(err)
	}
	delete(c.s.accounts, a.email)
	return api.OK(map[string]any{})
}

func (r *role) json(s *Services) map[string]any {
	out := api.Overlay(map[string]any{}, r.body)
	out["name"] = "projects/" + s.host.URLs.Project + "/roles/" + r.id
	if r.deleted {
		out["deleted"] = true
	}
	return out
}

func createRole(c *call) api.Reply {
	id := api.Text(c.body["roleId"])
	old := c.s.roles[id]
	switch {
	case !validRoleID.MatchString(id):
		return api.Refused(api.RefuseNewer(http.StatusBadRequest, "INVALID_ARGUMENT", "The role_id %q must match %s.", id, validRoleID))
	case old != nil && old.deleted:
		return api.Refused(api.RefuseNewer(http.StatusBadRequest, "FAILED_PRECONDITION", "You can't create a role with role_id (%s) where there is an existing role with that role_id in a deleted state.", id))
	case old != nil:
		return api.Refused(api.RefuseNewer(http.StatusConflict, "ALREADY_EXISTS", "A role named %s in projects/%s already exists.", id, c.s.host.URLs.Project))
	}
	for _, permission := range api.List(api.Object(c.body["role"])["includedPermissions"]) {
		if !validPermission.MatchString(api.Text(permission)) {
			return api.Refused(api.RefuseNewer(http.StatusBadRequest, "INVALID_ARGUMENT", "Permission %s is not valid.", api.Text(permission)))
		}
	}
	r := &role{id: id, body: api.Object(c.body["role"])}
	c.s.roles[id] = r
	return api.OK(r.json(c.s))
}

// noPermissions answers permissions.queryTestablePermissions, by which gcloud looks for permissions in a testing stage.
func noPermissions(*call) api.Reply { return api.OK(map[string]any{}) }

// onRole returns the handler of a method that takes deleted roles, or roles that are not deleted.
func onRole(deleted bool, do func(c *call, r *role)) func(*call) api.Reply {
	return func(c *call) api.Reply {
		r := c.s.roles[c.args[0]]
		switch {
		case r == nil:
			return api.Refused(api.RefuseNewer(http.StatusNotFound, "NOT_FOUND", "The role named projects/%s/roles/%s was not found.", c.s.host.URLs.Project, c.args[0]))
		case r.deleted != deleted:
			return api.Refused(api.RefuseNewer(http.StatusBadRequest, "FAILED_PRECONDITION", "The role %s has the wrong state: deleted is %t.", r.id, r.deleted))
		}
		do(c, r)
		return api.OK(r.json(c.s))
	}
}

func getRole(c *call) api.Reply {
	r := c.s.roles[c.args[0]]
	return onRole(r != nil && r.deleted, func(*call, *role) {})(c)
}

var (
	patchRole    = onRole(false, func(c *call, r *role) { r.body = api.Overlay(api.Overlay(map[string]any{}, r.body), c.body) })
	deleteRole   = onRole(false, func(_ *call, r *role) { r.deleted = true })
	undeleteRole = onRole(true, func(_ *call, r *role) { r.deleted = false })
)

// checkProject returns an error for a call to another project.
func (c *call) checkProject() *api.Error {
	if c.s.host.URLs.IsMe(c.args[0]) {
		return nil
	}
	return api.RefuseNewer(http.StatusForbidden, "PERMISSION_DENIED", "The caller does not have permission")
}

func getProjectResource(c *call) api.Reply {
	if err := c.checkProject(); err != nil {
		return api.Refused(err)
	}
	return api.OK(map[string]any{"projectId": c.s.host.URLs.Project, "projectNumber": strconv.FormatUint(c.s.host.URLs.Number, 10), "name": c.s.host.URLs.Project, "lifecycleState": "ACTIVE"})
}

func (s *Services) policyJSON() map[string]any {
	var bindings []any
	roles := make([]string, 0, len(s.policy))
	for role := range s.policy {
		roles = append(roles, role)
	}
	slices.Sort(roles)
	for _, role := range roles {
		members := []any{}
		for _, m := range s.policy[role] {
			members = append(members, m)
		}
		bindings = append(bindings, map[string]any{"role": role, "members": members})
	}
	out := map[string]any{"version": 1, "etag": api.Fingerprint(s.host.Draw("policy", api.JSON(bindings)))}
	if bindings != nil {
		out["bindings"] = bindings
	}
	return out
}

func getPolicy(c *call) api.Reply {
	if err := c.checkProject(); err != nil {
		return api.Refused(err)
	}
	return api.OK(c.s.policyJSON())
}

func setPolicy(c *call) api.Reply {
	if err := c.checkProject(); err != nil {
		return api.Refused(err)
	}
	policy := api.Object(c.body["policy"])
	given := map[string][]string{}
	for _, b := range api.List(policy["bindings"]) {
		name := api.Text(api.Object(b)["role"])
		for _, m := range api.List(api.Object(b)["members"]) {
			if err := c.checkBinding(name, api.Text(m)); err != nil {
				return api.Refused(err)
			}
			given[name] = append(given[name], api.Text(m))
		}
	}
	c.s.policy = given
	return api.OK(c.s.policyJSON())
}

// checkBinding returns an error if a new binding names an account or a custom role of the project that does not exist.
func (c *call) checkBinding(name, member string) *api.Error {
	s := c.s
	if slices.Contains(s.policy[name], member) {
		return nil
	}
	if email, ok := strings.CutPrefix(member, "serviceAccount:"); ok && strings.HasSuffix(email, "@"+s.host.URLs.Project+".iam.gserviceaccount.com") {
		if a := s.accounts[email]; a == nil || c.now.Before(a.created.Add(accountDelay)) {
			return api.RefuseNewer(http.StatusBadRequest, "INVALID_ARGUMENT", "Service account %s does not exist.", email)
		}
	}
	if id, ok := strings.CutPrefix(name, "projects/"+s.host.URLs.Project+"/roles/"); ok {
		if r := s.roles[id]; r == nil || r.deleted {
			return api.RefuseNewer(http.StatusBadRequest, "INVALID_ARGUMENT", "Role %s does not exist in the resource's hierarchy.", name)
		}
	}
	return nil
}
