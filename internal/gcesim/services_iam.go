package gcesim

import (
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
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

func (a *serviceAccount) json(s *services) map[string]any {
	return map[string]any{"name": "projects/" + s.host.urls.project + "/serviceAccounts/" + a.email, "projectId": s.host.urls.project, "email": a.email,
		"uniqueId": strconv.FormatUint(a.id, 10), "displayName": a.displayName}
}

func createAccount(c *serviceCall) reply {
	s, id := c.s, text(c.body["accountId"])
	email := id + "@" + s.host.urls.project + ".iam.gserviceaccount.com"
	switch {
	case !validAccountID.MatchString(id):
		return refused(denied(http.StatusBadRequest, "INVALID_ARGUMENT", "The account ID %q does not have a length between 6 and 30, or not its form.", id))
	case s.accounts[email] != nil:
		return refused(denied(http.StatusConflict, "ALREADY_EXISTS", "Service account %s already exists within project projects/%s.", id, s.host.urls.project))
	}
	a := &serviceAccount{email: email, displayName: text(object(c.body["serviceAccount"])["displayName"]),
		id: resourceID(s.host.draw("service account", email, c.now.UnixNano())), created: c.now}
	s.accounts[email] = a
	return ok(a.json(s))
}

func (c *serviceCall) account() (*serviceAccount, *apiError) {
	if a := c.s.accounts[c.args[0]]; a != nil {
		return a, nil
	}
	return nil, denied(http.StatusNotFound, "NOT_FOUND", "Unknown service account")
}

func getAccount(c *serviceCall) reply {
	a, err := c.account()
	if err != nil {
		return refused(err)
	}
	return ok(a.json(c.s))
}

// deleteAccount leaves the account's bindings behind, under a name that says so, as IAM does.
func deleteAccount(c *serviceCall) reply {
	a, err := c.account()
	if err != nil {
		return refused(err)
	}
	delete(c.s.accounts, a.email)
	for role, members := range c.s.policy {
		for i, m := range members {
			if m == "serviceAccount:"+a.email {
				c.s.policy[role][i] = "deleted:" + m + "?uid=" + strconv.FormatUint(a.id, 10)
			}
		}
	}
	return ok(map[string]any{})
}

func (r *role) json(s *services) map[string]any {
	out := over(map[string]any{}, r.body)
	out["name"] = "projects/" + s.host.urls.project + "/roles/" + r.id
	if r.deleted {
		out["deleted"] = true
	}
	return out
}

func createRole(c *serviceCall) reply {
	id := text(c.body["roleId"])
	old := c.s.roles[id]
	switch {
	case !validRoleID.MatchString(id):
		return refused(denied(http.StatusBadRequest, "INVALID_ARGUMENT", "The role_id %q must match %s.", id, validRoleID))
	case old != nil && old.deleted:
		return refused(denied(http.StatusBadRequest, "FAILED_PRECONDITION", "You can't create a role with role_id (%s) where there is an existing role with that role_id in a deleted state.", id))
	case old != nil:
		return refused(denied(http.StatusConflict, "ALREADY_EXISTS", "A role named %s in projects/%s already exists.", id, c.s.host.urls.project))
	}
	for _, permission := range list(object(c.body["role"])["includedPermissions"]) {
		if !validPermission.MatchString(text(permission)) {
			return refused(denied(http.StatusBadRequest, "INVALID_ARGUMENT", "Permission %s is not valid.", text(permission)))
		}
	}
	r := &role{id: id, body: object(c.body["role"])}
	c.s.roles[id] = r
	return ok(r.json(c.s))
}

// noPermissions answers permissions.queryTestablePermissions, by which gcloud looks for those that are still being tested.
func noPermissions(*serviceCall) reply { return ok(map[string]any{}) }

// onRole answers a call that concerns a role in one of two states.
func onRole(deleted bool, do func(c *serviceCall, r *role)) func(*serviceCall) reply {
	return func(c *serviceCall) reply {
		r := c.s.roles[c.args[0]]
		switch {
		case r == nil:
			return refused(denied(http.StatusNotFound, "NOT_FOUND", "The role named projects/%s/roles/%s was not found.", c.s.host.urls.project, c.args[0]))
		case r.deleted != deleted:
			return refused(denied(http.StatusBadRequest, "FAILED_PRECONDITION", "The role %s is not in the state for this: deleted is %t.", r.id, r.deleted))
		}
		do(c, r)
		return ok(r.json(c.s))
	}
}

func getRole(c *serviceCall) reply {
	r := c.s.roles[c.args[0]]
	return onRole(r != nil && r.deleted, func(*serviceCall, *role) {})(c)
}

var (
	patchRole    = onRole(false, func(c *serviceCall, r *role) { r.body = over(over(map[string]any{}, r.body), c.body) })
	deleteRole   = onRole(false, func(_ *serviceCall, r *role) { r.deleted = true })
	undeleteRole = onRole(true, func(_ *serviceCall, r *role) { r.deleted = false })
)

// mine refuses what is asked of another project.
func (c *serviceCall) mine() *apiError {
	if c.s.host.urls.isMe(c.args[0]) {
		return nil
	}
	return denied(http.StatusForbidden, "PERMISSION_DENIED", "The caller does not have permission")
}

func getProjectResource(c *serviceCall) reply {
	if err := c.mine(); err != nil {
		return refused(err)
	}
	return ok(map[string]any{"projectId": c.s.host.urls.project, "projectNumber": strconv.FormatUint(c.s.host.urls.number, 10), "name": c.s.host.urls.project, "lifecycleState": "ACTIVE"})
}

func (s *services) policyJSON() map[string]any {
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
	out := map[string]any{"version": 1, "etag": fingerprint(s.host.draw("policy", show(bindings)))}
	if bindings != nil {
		out["bindings"] = bindings
	}
	return out
}

func getPolicy(c *serviceCall) reply {
	if err := c.mine(); err != nil {
		return refused(err)
	}
	return ok(c.s.policyJSON())
}

func setPolicy(c *serviceCall) reply {
	if err := c.mine(); err != nil {
		return refused(err)
	}
	policy := object(c.body["policy"])
	if etag := text(policy["etag"]); etag != "" && etag != c.s.policyJSON()["etag"] {
		return refused(denied(http.StatusConflict, "ABORTED", "There were concurrent policy changes. Please retry the whole read-modify-write with exponential backoff."))
	}
	given := map[string][]string{}
	for _, b := range list(policy["bindings"]) {
		name := text(object(b)["role"])
		for _, m := range list(object(b)["members"]) {
			if err := c.checkBinding(name, text(m)); err != nil {
				return refused(err)
			}
			given[name] = append(given[name], text(m))
		}
	}
	c.s.policy = given
	return ok(c.s.policyJSON())
}

// checkBinding refuses accounts and custom roles of the project that are not there. What is bound already may stay.
func (c *serviceCall) checkBinding(name, member string) *apiError {
	s := c.s
	if slices.Contains(s.policy[name], member) {
		return nil
	}
	if email, ok := strings.CutPrefix(member, "serviceAccount:"); ok && strings.HasSuffix(email, "@"+s.host.urls.project+".iam.gserviceaccount.com") {
		if a := s.accounts[email]; a == nil || c.now.Before(a.created.Add(accountDelay)) {
			return denied(http.StatusBadRequest, "INVALID_ARGUMENT", "Service account %s does not exist.", email)
		}
	}
	if id, ok := strings.CutPrefix(name, "projects/"+s.host.urls.project+"/roles/"); ok {
		if r := s.roles[id]; r == nil || r.deleted {
			return denied(http.StatusBadRequest, "INVALID_ARGUMENT", "Role %s does not exist in the resource's hierarchy.", name)
		}
	}
	return nil
}
