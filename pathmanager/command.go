package pathmanager

import "strconv"

// Command is a command of the family, with the kernel's number (MPTCP_PM_CMD_*).
type Command uint8

// The commands, with the kernel that brought each.
const (
	CommandAddEndpoint    Command = 1  // ADD_ADDR, since Linux 5.7
	CommandRemoveEndpoint Command = 2  // DEL_ADDR, 5.7
	CommandGetEndpoint    Command = 3  // GET_ADDR, 5.7
	CommandFlushEndpoints Command = 4  // FLUSH_ADDRS, 5.7
	CommandSetLimits      Command = 5  // SET_LIMITS, 5.7
	CommandGetLimits      Command = 6  // GET_LIMITS, 5.7
	CommandSetFlags       Command = 7  // SET_FLAGS, 5.12
	CommandAnnounce       Command = 8  // ANNOUNCE, 5.19
	CommandRemoveAddress  Command = 9  // REMOVE, 5.19
	CommandCreateSubflow  Command = 10 // SUBFLOW_CREATE, 5.19
	CommandDestroySubflow Command = 11 // SUBFLOW_DESTROY, 5.19
	lastCommand                   = CommandDestroySubflow
)

// commandNames holds the kernel's names, as its specification mptcp_pm.yaml
// spells them.
var commandNames = [...]string{
	"", "add-addr", "del-addr", "get-addr", "flush-addrs", "set-limits", "get-limits",
	"set-flags", "announce", "remove", "subflow-create", "subflow-destroy",
}

// String returns the kernel's name of the command, such as "add-addr", and
// "command n" for one that is not known here.
func (c Command) String() string {
	if c > 0 && c <= lastCommand {
		return commandNames[c]
	}
	return "command " + strconv.Itoa(int(c))
}
