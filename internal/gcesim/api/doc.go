// Package api is the HTTP face of the simulated project. It reads requests and writes answers in the form of Google's APIs, and knows
// neither zones nor VMs.
//
// A [Method] matches the path of a request. [ReadBody] checks the body against the types of the API's discovery document. The list
// parameters become a [Query] with a [Filter], the fields parameter becomes a [Mask]. Lists consist of [Item] values. A handler returns a
// [Reply], which may be an [Error]; [Reply.Deliver] writes it, and damages it if a fault says so. [ServeBatch] serves batch requests with
// any handler, and [NewClient] calls a handler without a network.
package api
