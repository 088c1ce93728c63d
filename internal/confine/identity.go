package confine

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"strings"
)

// Identity is a user with its own group.
type Identity struct {
	Name     string // "" if it is a number without a name
	UID, GID int
}

func (id *Identity) String() string {
	if id.Name == "" {
		return fmt.Sprintf("user %d", id.UID)
	}
	return "user " + id.Name
}

// The users that a server becomes that was started as root, if it is not told another: its
// own, where there is one, else the one that owns nothing.
const (
	ownUser = "mptcpctl"
	nobody  = "nobody"
)

// Unprivileged returns the user that a program becomes which was started as root.
func Unprivileged() (*Identity, error) {
	id, err := Lookup(ownUser)
	if err != nil {
		id, err = Lookup(nobody)
	}
	return id, err
}

// Here reports whether the user namespace has the user and its group: one that an ordinary
// user made has often root alone.
func (id *Identity) Here() bool {
	return mapped("/proc/self/uid_map", id.UID) && mapped("/proc/self/gid_map", id.GID)
}

// mapped reports whether a table of a user namespace has the number.
func mapped(table string, number int) bool {
	text, err := os.ReadFile(table)
	if err != nil {
		return true // /proc is hidden: the attempt will tell
	}
	for line := range strings.Lines(string(text)) {
		var first, outside, count int
		if n, _ := fmt.Sscan(line, &first, &outside, &count); n == 3 && number >= first && number < first+count {
			return true
		}
	}
	return false
}

// Lookup finds a user by its name or number. A number needs no entry in /etc/passwd; its
// group is then of the same number.
func Lookup(name string) (*Identity, error) {
	u, err := user.Lookup(name)
	number, notNumber := strconv.Atoi(name)
	if err != nil && notNumber == nil {
		if u, err = user.LookupId(name); err != nil {
			if number <= 0 {
				return nil, fmt.Errorf("user %q: want a user that is not root", name)
			}
			return &Identity{UID: number, GID: number}, nil
		}
	}
	if err != nil {
		return nil, err
	}
	id := &Identity{Name: u.Username}
	var bad [2]error
	id.UID, bad[0] = strconv.Atoi(u.Uid)
	id.GID, bad[1] = strconv.Atoi(u.Gid)
	if err := errors.Join(bad[:]...); err != nil {
		return nil, fmt.Errorf("user %q: %w", name, err)
	}
	if id.UID == 0 {
		return nil, fmt.Errorf("user %q: want a user that is not root", name)
	}
	return id, nil
}
