module mptcpctl/bench

go 1.26.0

require (
	golang.org/x/sys v0.49.0
	mptcpctl v0.0.0
)

require (
	github.com/vishvananda/netlink v1.3.1 // indirect
	github.com/vishvananda/netns v0.0.5 // indirect
)

replace mptcpctl => ../
