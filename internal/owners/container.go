package owners

import "strings"

// containerEngines are the marks by which engines call the control groups of
// their containers, the more special ones first.
var containerEngines = [...]struct{ mark, engine string }{
	{"cri-containerd-", "containerd"}, {"crio-", "cri-o"}, {"libpod-", "podman"}, {"docker-", "docker"},
	{"/docker/", "docker"}, {"/lxc.payload.", "lxc"}, {"/lxc/", "lxc"}, {"machine-", "machine"},
	{"systemd-nspawn@", "nspawn"},
}

// containerHint returns a hint at the container that a process runs in, such as
// "docker 0123456789ab", from the text of its /proc/PID/cgroup, or "" where there
// is no sign of one. Control groups are named by convention only: it is a hint to
// show, and foreign text.
func containerHint(cgroup string) string {
	for line := range strings.Lines(cgroup) {
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(fields) != 3 {
			continue
		}
		path := fields[2]
		for _, e := range containerEngines {
			_, rest, ok := strings.Cut(path, e.mark)
			if !ok {
				continue
			}
			id, _, _ := strings.Cut(rest, "/")
			id = strings.TrimSuffix(strings.TrimSuffix(id, ".scope"), ".service")
			if id == "" || strings.HasPrefix(id, "conmon") {
				continue
			}
			return e.engine + " " + shortID(id)
		}
	}
	return ""
}

// shortID cuts an id of hexadecimal digits to the twelve that engines show.
func shortID(id string) string {
	const shown = 12
	if len(id) >= 32 && strings.Trim(id, "0123456789abcdef") == "" {
		return id[:shown]
	}
	return id
}
