package gce

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// A rule gives the class of a failure that has one of the codes, a code that contains one of the parts, or a text that matches. Codes
// and texts are in lower case, and codes have no underscores: Google writes insufficientCapacity or INSUFFICIENT_CAPACITY.
type rule struct {
	class Class
	codes []string
	parts []string
	texts *regexp.Regexp
}

// rules are tried in order. The codes were gathered from Google's pages "Resource availability errors", "API rate limits" and "REST
// errors", and from answers that users of Compute Engine have published.
var rules = []rule{
	// First, since a stock-out may come with status 429 and the codes of a rate limit.
	{Exhausted, nil,
		[]string{"resourcepoolexhausted", "stockout", "capacity", "resourceavailability", "vmmincountnotreached"},
		regexp.MustCompile(`stockout|resource_pool_exhausted|out of (capacity|resources)|(enough|sufficient|no more) (capacity|resources)|\bno capacity|` +
			`(have|no|enough|without) available (capacity|resources)|currently unavailable in .*\bzone|capacity is (currently )?(not available|unavailable|exhausted)`)},
	// Before quota, since the texts overlap: "Quota exceeded for quota metric 'Read requests' …".
	{RateLimited, nil,
		[]string{"ratelimit", "rateexceeded", "concurrentoperationsquota", "toomanyrequests"},
		regexp.MustCompile(`rate (limit )?exceeded|quota exceeded for quota (metric|group)|too many requests|too frequent operations|requests per (second|minute|\d+ seconds)`)},
	{AddressSpace, nil, []string{"ipspaceexhausted"}, regexp.MustCompile(`ip space .*\bexhausted|\b(no|enough|insufficient) (free|available|more) ip\b`)},
	{Quota, nil, []string{"quota", "limitexceeded"},
		regexp.MustCompile(`exceeded\. limit: |exceeded limit '|\bquota '[\w-]+' exceeded|quota exceeded|quota limit|exceed\w* .*\bquota\b|insufficient .*\bquota\b`)},
	// Before what is refused: these come with status 400 or 403 as well, but not because of the request.
	{Transient, []string{"unsupportedoperation", "backenderror", "internalerror", "internal", "unavailable", "aborted"},
		[]string{"notready", "inusebyanother", "serviceunavailable", "canceled", "cancelled", "timeout", "deadlineexceeded", "preempted"},
		regexp.MustCompile(`due to preemption|was preempted|internal error|operation was cancell?ed`)},
	{NotFound, []string{"notfound", "resourcenotfound"}, nil, nil},
	{Exists, []string{"alreadyexists", "resourcealreadyexists"}, nil, nil},
	{Forbidden, []string{"forbidden", "unauthenticated", "accessnotconfigured"},
		[]string{"permission", "accessdenied", "billing", "servicedisabled"},
		regexp.MustCompile(`is not found or access is unauthorized|required '[\w.]+' permission|does not have (access|permission)|permission .*\bdenied`)},
	{Refused, []string{"invalid", "required", "badrequest", "invalidargument", "invalidfieldvalue", "missingrequiredfield",
		"fieldsizetoolarge", "conditionnotmet", "failedprecondition"},
		[]string{"notfound"}, nil},
}

// class is the only place that decides what a failure means: by its codes and texts, then by its HTTP status.
func (s *statement) class() Class {
	class := s.classByRules()
	if s.status == http.StatusUnauthorized && class != RateLimited && class != Quota {
		return Forbidden // the code may be "required", which otherwise means a missing field
	}
	if class != "" {
		return class
	}
	switch s.status {
	case http.StatusTooManyRequests:
		return RateLimited
	case http.StatusNotFound:
		return NotFound
	case http.StatusConflict:
		return Exists
	case http.StatusForbidden:
		return Forbidden
	case http.StatusBadRequest, http.StatusPreconditionFailed, http.StatusRequestEntityTooLarge:
		return Refused
	case 0, http.StatusRequestTimeout:
		return Uncertain
	}
	if s.status >= 500 {
		return Uncertain
	}
	return Transient
}

// quotedValue matches a field's value as Google quotes it. The user's words say nothing about the failure.
var quotedValue = regexp.MustCompile(`(Invalid value for field '[^']*': ').*?('\.)`)

// classByRules returns the class of the first rule that matches a code or a text; empty if none does.
func (s *statement) classByRules() Class {
	codes := slices.Concat(s.codes, s.facts)
	for i, code := range codes {
		codes[i] = strings.ToLower(strings.NewReplacer("_", "", "-", "").Replace(code))
	}
	texts := strings.ToLower(quotedValue.ReplaceAllString(strings.Join(s.texts, "\n"), "$1$2"))
	for _, r := range rules {
		matches := func(code string) bool {
			return slices.Contains(r.codes, code) || slices.ContainsFunc(r.parts, func(part string) bool { return strings.Contains(code, part) })
		}
		if slices.ContainsFunc(codes, matches) || r.texts != nil && r.texts.MatchString(texts) {
			return r.class
		}
	}
	return ""
}
