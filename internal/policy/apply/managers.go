package apply

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"mptcpctl/mptcp"
)

// endpointManagers returns the processes in this network namespace that manage
// endpoints. Of those whose namespace cannot be seen the ones in ours are assumed.
func endpointManagers(proc string) []mptcp.Process {
	own, err := os.Readlink(filepath.Join(proc, "thread-self/ns/net"))
	if err != nil {
		return nil
	}
	entries, err := os.ReadDir(proc)
	if err != nil {
		return nil
	}
	var found []mptcp.Process
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		comm, err := os.ReadFile(filepath.Join(proc, e.Name(), "comm"))
		name := strings.TrimSpace(string(comm))
		if err != nil || name != "NetworkManager" && name != "mptcpd" {
			continue
		}
		if there, err := os.Readlink(filepath.Join(proc, e.Name(), "ns/net")); err != nil || there == own {
			found = append(found, mptcp.Process{PID: pid, Name: name})
		}
	}
	return found
}
