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

// serviceAccount is an account that a program runs as. A new one is not known everywhere at once: for some seconds a
// policy that names it is refused.
type serviceAccount struct {
	email, displayName string
	id                 uint64
	created            time.Time
}

// role is a custom role. One that was deleted keeps its ID taken for 37 days and can be undeleted for the first 7 of them,
// by https://cloud.google.com/iam/docs/creating-custom-roles#deleting-custom-role; here it can for ever.
type role struct {
	id      string
	body    map[string]any
	deleted bool
}

// accountDelay is how long a new service account is unknown to policies.
const accountDelay = 2 * time.Second

var (
	validAccountID = regexp.MustCompile(`^[a-z][-a-z0-9]{4,28}[a-z0-9]$`)
	validRoleID    = regexp.MustCompile(`^[a-zA-Z0-9_.]{3,64}$`)

	// Which permissions there are is not known here, only what they look like.
	validPermission = regexp.MustCompile(`^[a-z]+\.[a-zA-Z]+\.[a-zA-Z]+$`)
)

var iamRoutes = []serviceRoute{
	serviceMethod("iam.serviceAccounts.create", http.MethodPost, "v1/projects/([^/]+)/serviceAccounts", createAccount),
	serviceMethod("iam.serviceAccounts.get", http.MethodGet, "v1/projects/[^/]+/serviceAccounts/([^/:]+)", getAccount),
	serviceMethod("iam.serviceAccounts.delete", http.MethodDelete, "v1/projects/[^/]+/serviceAccounts/([^/:]+)", deleteAccount),
	serviceMethod("iam.roles.create", http.MethodPost, "v1/projects/([^/]+)/roles", createRole),
	serviceMethod("iam.roles.get", http.MethodGet, "v1/projects/[^/]+/roles/([^/:]+)", getRole),
	serviceMethod("iam.roles.patch", http.MethodPatch, "v1/projects/[^/]+/roles/([^/:]+)", patchRole),
	serviceMethod("iam.roles.delete", http.MethodDelete, "v1/projects/[^/]+/roles/([^/:]+)", deleteRole),
	serviceMethod("iam.roles.undelete", http.MethodPost, "v1/projects/[^/]+/roles/([^/:]+):undelete", undeleteRole),
	serviceMethod("iam.permissions.queryTestablePermissions", http.MethodPost, "v1/permissions:queryTestablePermissions", noPermissions),
	serviceMethod("cloudresourcemanager.projects.get", http.MethodGet, "v1/projects/([^/:]+)", getProjectResource),
	serviceMethod("cloudresourcemanager.projects.getIamPolicy", http.MethodPost, "v1/projects/([^/:]+):getIamPolicy", getPolicy),
	serviceMethod("cloudresourcemanager.projects.setIamPolicy", http.MethodPost, "v1/projects/([^/:]+):setIamPolicy", setPolicy),
}

func (a *serviceAccount) json(s *Services) map[string]any {
	return map[string]any{"name": "projects/" + s.host.URLs.Project + "/serviceAccounts/" + a.email, "projectId": s.host.URLs.Project, "email": a.email,
		"uniqueId": strconv.FormatUint(a.id, 10), "displayName": a.displayName}
}

func createAccount(c *serviceCall) api.Reply {
	s, id := c.s, api.Text(c.body["accountId"])
	email := id + "@" + s.host.URLs.Project + ".iam.gserviceaccount.com"
	switch {
	case !validAccountID.MatchString(id):
		return api.Refused(api.RefuseNewer(http.StatusBadRequest, "INVALID_ARGUMENT", "The account ID %q does not have a length between 6 and 30, or not its form.", id))
	case s.accounts[email] != nil:
		return api.Refused(api.RefuseNewer(http.StatusConflict, "ALREADY_EXISTS", "Service account %s already exists within project projects/%s.", id, s.host.URLs.Project))
	}
	a := &serviceAccount{email: email, displayName: api.Text(api.Object(c.body["serviceAccount"])["displayName"]),
		id: api.ResourceID(s.host.Draw("service account", email, c.now.UnixNano())), created: c.now}
	s.accounts[email] = a
	return api.OK(a.json(s))
}

func (c *serviceCall) account() (*serviceAccount, *api.Error) {
	if a := c.s.accounts[c.args[0]]; a != nil {
		return a, nil
	}
	return nil, api.RefuseNewer(http.StatusNotFound, "NOT_FOUND", "Unknown service account")
}

func getAccount(c *serviceCall) api.Reply {
	a, err := c.account()
	if err != nil {
		return api.Refused(err)
	}
	return api.OK(a.json(c.s))
}

// deleteAccount leaves the account's bindings behind, under a name that says so, as IAM does.
func deleteAccount(c *serviceCall) api.Reply {
	a, err := c.account()
	if err != nil {
		return api.Refused(err)
	}
	delete(c.s.accounts, a.email)
	for role, members := range c.s.policy {
		for i, m := range members {
			if m == "serviceAccount:"+a.email {
				c.s.policy[role][i] = "deleted:" + m + "?uid=" + strconv.FormatUint(a.id, 10)
			}
		}
	}
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

func createRole(c *serviceCall) api.Reply {
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

// noPermissions answers permissions.queryTestablePermissions, by which gcloud looks for those that are still being tested.
func noPermissions(*serviceCall) api.Reply { return api.OK(map[string]any{}) }

// onRole answers a call that concerns a role in one of two states.
func onRole(deleted bool, do func(c *serviceCall, r *role)) func(*serviceCall) api.Reply {
	return func(c *serviceCall) api.Reply {
		r := c.s.roles[c.args[0]]
		switch {
		case r == nil:
			return api.Refused(api.RefuseNewer(http.StatusNotFound, "NOT_FOUND", "The role named projects/%s/roles/%s was not found.", c.s.host.URLs.Project, c.args[0]))
		case r.deleted != deleted:
			return api.Refused(api.RefuseNewer(http.StatusBadRequest, "FAILED_PRECONDITION", "The role %s is not in the state for this: deleted is %t.", r.id, r.deleted))
		}
		do(c, r)
		return api.OK(r.json(c.s))
	}
}

func getRole(c *serviceCall) api.Reply {
	r := c.s.roles[c.args[0]]
	return onRole(r != nil && r.deleted, func(*serviceCall, *role) {})(c)
}

var (
	patchRole    = onRole(false, func(c *serviceCall, r *role) { r.body = api.Overlay(api.Overlay(map[string]any{}, r.body), c.body) })
	deleteRole   = onRole(false, func(_ *serviceCall, r *role) { r.deleted = true })
	undeleteRole = onRole(true, func(_ *serviceCall, r *role) { r.deleted = false })
)

// mine refuses what is asked of another project.
func (c *serviceCall) mine() *api.Error {
	if c.s.host.URLs.IsMe(c.args[0]) {
		return nil
	}
	return api.RefuseNewer(http.StatusForbidden, "PERMISSION_DENIED", "The caller does not have permission")
}

func getProjectResource(c *serviceCall) api.Reply {
	if err := c.mine(); err != nil {
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

func getPolicy(c *serviceCall) api.Reply {
	if err := c.mine(); err != nil {
		return api.Refused(err)
	}
	return api.OK(c.s.policyJSON())
}

func setPolicy(c *serviceCall) api.Reply {
	if err := c.mine(); err != nil {
		return api.Refused(err)
	}
	policy := api.Object(c.body["policy"])
	if etag := api.Text(policy["etag"]); etag != "" && etag != c.s.policyJSON()["etag"] {
		return api.Refused(api.RefuseNewer(http.StatusConflict, "ABORTED", "There were concurrent policy changes. Please retry the whole read-modify-write with exponential backoff."))
	}
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

// checkBinding refuses accounts and custom roles of the project that are not there. What is bound already may stay.
func (c *serviceCall) checkBinding(name, member string) *api.Error {
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
