// Package hostnet reads what the host's network looks like from where MPTCP
// stands: links, addresses, routes, rules and route lookups (rtnetlink), the
// processes that hold sockets, and network namespaces.
package hostnet
