package counters

import "slices"

// SysctlDescription tells what a net.mptcp setting means.
type SysctlDescription struct {
	Name    string `json:"name"`    // below net.mptcp
	Default string `json:"default"` // of the mainline kernel; "" for those that are only read
	Meaning string `json:"meaning"`
	Since   string `json:"since"` // the oldest Linux release known to have it
	Advice  string `json:"advice,omitempty"`
}

// DescribeSysctl returns what the net.mptcp setting of that name means.
func DescribeSysctl(name string) (SysctlDescription, bool) {
	for _, d := range sysctlCatalogue {
		if d.Name == name {
			return d, true
		}
	}
	return SysctlDescription{}, false
}

// SysctlDescriptions returns the descriptions of all known settings, oldest
// first.
func SysctlDescriptions() []SysctlDescription { return slices.Clone(sysctlCatalogue) }

// sysctlCatalogue is never written to.
var sysctlCatalogue = []SysctlDescription{
	{
		Name: "enabled", Default: "1", Since: "5.6", Meaning: "programs may open MPTCP sockets",
		Advice: "Red Hat Enterprise Linux 8 and 9 start with 0: sysctl -w net.mptcp.enabled=1",
	},
	{
		Name: "add_addr_timeout", Default: "120", Since: "5.11",
		Meaning: "seconds until an announced address that the peer did not confirm is announced again; 0: never again",
		Advice:  "newer kernels derive the interval from the round-trip time and take this as its bound",
	},
	{
		Name:    "checksum_enabled",
		Default: "0",
		Since:   "5.14",
		Meaning: "data mappings carry a checksum, so changes of the payload are detected",
	},
	{
		Name: "allow_join_initial_addr_port", Default: "1", Since: "5.15",
		Meaning: "peers may add subflows to the address and port of the initial subflow",
		Advice:  "use 0 behind a load balancer, and announce an address that reaches this very server",
	},
	{
		Name:    "stale_loss_cnt",
		Default: "4",
		Since:   "5.15",
		Meaning: "timeouts without delivery after which a subflow is no longer used",
	},
	{
		Name: "pm_type", Default: "0", Since: "5.19", Meaning: "path manager of new connections: 0 in-kernel, 1 " +
			"userspace",
		Advice: "since Linux 6.15 path_manager is preferred",
	},
	{
		Name: "scheduler", Default: "default", Since: "6.6", Meaning: "packet scheduler of new connections",
		Advice: "available_schedulers lists the names",
	},
	{
		Name: "close_timeout", Default: "60", Since: "6.12",
		Meaning: "seconds that a connection stays after its last subflow ended, waiting for another one",
	},
	{Name: "available_schedulers", Since: "6.12", Meaning: "packet schedulers that can be chosen"},
	{
		Name: "blackhole_timeout", Default: "3600", Since: "6.12",
		Meaning: "seconds that new connections from this host do not use MPTCP after a firewall dropped its " +
			"packets, doubled each time; 0: no detection",
		Advice: "writing any value ends a pause",
	},
	{
		Name: "syn_retrans_before_tcp_fallback", Default: "2", Since: "6.14",
		Meaning: "unanswered SYNs with MP_CAPABLE after which the next SYN is sent without it",
	},
	{
		Name: "path_manager", Default: "kernel", Since: "6.15", Meaning: "path manager of new connections",
		Advice: "available_path_managers lists the names",
	},
	{Name: "available_path_managers", Since: "6.15", Meaning: "path managers that can be chosen"},
	{
		Name: "add_addr_v6_port_drop_ts", Default: "1", Since: "7.2",
		Meaning: "leave TCP timestamps out of the packet that announces an IPv6 address with a port, because it " +
			"does not fit otherwise",
	},
}
