// Package api is the HTTP face of the simulated project: it reads requests and writes answers as Google's APIs do, and knows neither
// projects nor VMs.
//
// A request's path is matched by a [Pattern], its body is checked by [Conform] against the types of the discovery document, its list
// parameters become a [Query] with a [Filter], its fields parameter a [Mask]. What is listed is an [Item]. A handler returns a
// [Reply], which may be an [Error], and [Reply.Deliver] writes it, or damages it as a fault demands. [ServeBatch] and [NewClient] put
// any handler behind a batch request, or behind an http.Client without a network.
package api
