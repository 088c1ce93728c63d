package force

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Systemctl returns the command that speaks to the manager of the units in a
// directory: those below systemd/user, as ~/.config/systemd/user, are users' own.
func Systemctl(root string) []string {
	if path := filepath.Clean(root); strings.HasSuffix(path, "systemd/user") {
		return []string{"systemctl", "--user"}
	}
	return []string{"systemctl"}
}

// DropInOf works the drop-in out, for this program, from what systemd says of the unit.
func DropInOf(ctx context.Context, root, unit string) (DropIn, error) {
	self, err := os.Executable()
	if err != nil {
		return DropIn{}, err
	}
	if !strings.HasSuffix(unit, ".service") {
		return ServiceDropIn(unit, self, "") // a socket, or what can have none
	}
	cat := append(Systemctl(root), "cat", "--no-pager", "--", unit)
	cmd := exec.CommandContext(ctx, cat[0], cat[1:]...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	definition, err := cmd.Output()
	if err != nil {
		return DropIn{}, fmt.Errorf("unit %q: systemctl cat: %w: %s", unit, err, strings.TrimSpace(stderr.String()))
	}
	return ServiceDropIn(unit, self, string(definition))
}
