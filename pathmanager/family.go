package pathmanager

import (
	"fmt"
	"strconv"

	"mptcpctl/internal/nlmsg"
	"mptcpctl/internal/uapi"
)

// The generic netlink controller (linux/genetlink.h).
const (
	controlFamily     = 0x10 // GENL_ID_CTRL
	controlGetFamily  = 3    // CTRL_CMD_GETFAMILY
	controlVersion    = 2
	ctrlAttrFamilyID  = 1 // CTRL_ATTR_FAMILY_ID, u16
	ctrlAttrName      = 2 // CTRL_ATTR_FAMILY_NAME, string
	ctrlAttrVersion   = 3 // CTRL_ATTR_VERSION, u32
	ctrlAttrOps       = 6 // CTRL_ATTR_OPS, nested list
	ctrlAttrGroups    = 7 // CTRL_ATTR_MCAST_GROUPS, nested list
	ctrlAttrOpID      = 1 // CTRL_ATTR_OP_ID, u32
	ctrlAttrGroupName = 1 // CTRL_ATTR_MCAST_GRP_NAME, string
	ctrlAttrGroupID   = 2 // CTRL_ATTR_MCAST_GRP_ID, u32
)

// Family is what the running kernel says about the path manager's generic netlink family.
// The kernel gives out the numbers at boot; they are the same in all network namespaces.
type Family struct {
	ID       uint16 // the netlink message type of the family's messages
	Version  uint32
	Events   uint32    // number of the event group; 0 before Linux 5.12, which has no events
	Commands []Command // in the order of their numbers
	Raw      []byte    // the kernel's answer, a netlink message, with which a recording begins
}

// familyRequest asks for the family by its name.
func familyRequest() []byte {
	b := newRequest(controlFamily, nlmsg.FlagAck, controlGetFamily, controlVersion)
	return finish(nlmsg.AppendAttribute(b, ctrlAttrName, append([]byte(uapi.PMFamily), 0)...))
}

// decodeFamily reads the controller's answer.
func decodeFamily(msg []byte) (Family, error) {
	_, attrs, err := genlPayload(msg)
	if err != nil {
		return Family{}, fmt.Errorf("family: %w", err)
	}
	var f Family
	err = nlmsg.EachAttribute(attrs, func(a nlmsg.Attribute) error {
		switch a.Type {
		case ctrlAttrFamilyID:
			return a.Uint16(&f.ID)
		case ctrlAttrVersion:
			return a.Uint32(&f.Version)
		case ctrlAttrOps:
			return nlmsg.EachAttribute(a.Value, f.addCommand)
		case ctrlAttrGroups:
			return nlmsg.EachAttribute(a.Value, f.addGroup)
		}
		return nil
	})
	if err == nil && f.ID < nlmsg.MinType {
		err = fmt.Errorf("no valid id")
	}
	if err != nil {
		return Family{}, fmt.Errorf("family: %w", err)
	}
	return f, nil
}

// addCommand adds one entry of the list of operations.
func (f *Family) addCommand(op nlmsg.Attribute) error {
	return nlmsg.EachAttribute(op.Value, func(a nlmsg.Attribute) error {
		if a.Type != ctrlAttrOpID {
			return nil
		}
		var id uint32
		err := a.Uint32(&id)
		f.Commands = append(f.Commands, Command(id))
		return err
	})
}

// addGroup takes one entry of the list of multicast groups.
func (f *Family) addGroup(group nlmsg.Attribute) error {
	var name string
	var id uint32
	err := nlmsg.EachAttribute(group.Value, func(a nlmsg.Attribute) error {
		switch a.Type {
		case ctrlAttrGroupName:
			name = a.Text()
		case ctrlAttrGroupID:
			return a.Uint32(&id)
		}
		return nil
	})
	if name == uapi.PMEventGroup {
		f.Events = id
	}
	return err
}

// Command is a command of the family, with the kernel's number (MPTCP_PM_CMD_*).
type Command uint8

// The commands, with the kernel release that has each since.
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

// commandNames holds the kernel's names, as its specification mptcp_pm.yaml spells them.
var commandNames = [...]string{
	"", "add-addr", "del-addr", "get-addr", "flush-addrs", "set-limits", "get-limits",
	"set-flags", "announce", "remove", "subflow-create", "subflow-destroy",
}

// String returns the kernel's name of the command, such as "add-addr", and "command n" for
// an unknown one.
func (c Command) String() string {
	if c > 0 && c <= lastCommand {
		return commandNames[c]
	}
	return "command " + strconv.Itoa(int(c))
}
