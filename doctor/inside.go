package doctor

import (
	"strings"

	"mptcpctl/doctor/enter"
)

// sysctlFile keeps settings of the host's first network namespace, from boot to boot.
const sysctlFile = "/etc/sysctl.d/90-mptcp.conf"

// enter changes the commands among the fixes so that they act on the namespace, also
// when they are typed in the one that mptcpctl was called in.
func (f *Facts) enter(fixes []string) []string {
	if f.Enter == "" {
		return fixes
	}
	var changed []string
	for _, fix := range fixes {
		if !strings.HasSuffix(fix, sysctlFile) {
			changed = append(changed, f.Inside(fix))
		}
	}
	return changed
}

// Inside returns a command as it is to be typed where mptcpctl was called, so that it
// acts on the network namespace of the facts.
func (f *Facts) Inside(command string) string {
	if f.Enter == "" {
		return command
	}
	return enter.Line(command, f.Enter, enter.Prefix(f.Enter, f.Enter == f.Netns))
}
