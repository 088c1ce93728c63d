package force

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"
)

// SystemdRoot is where an administrator's units are.
const SystemdRoot = "/etc/systemd/system"

const (
	dropInFile   = "50-mptcpctl.conf"
	dropInHeader = "# Written by mptcpctl: MPTCP instead of TCP for this unit.\n"
)

// DropIn is a file that changes a systemd unit without touching its own.
type DropIn struct {
	Unit string
	Path string // below the directory of units
	Text string
}

// ServiceDropIn returns the drop-in that gives a unit MPTCP. For NAME.socket it
// sets SocketProtocol=mptcp (systemd 257 or later; earlier ones warn and go on with
// TCP). For NAME.service it puts `COMMAND run --` in front of what the unit starts:
// command is the absolute path of mptcpctl, and definition the unit's text as
// `systemctl cat` prints it, drop-ins included. Nothing is written.
//
// errors.Is fs.ErrInvalid for a name that is no such unit, and for a service whose
// command cannot be wrapped; the text says why.
func ServiceDropIn(unit, command, definition string) (DropIn, error) {
	if err := checkUnit(unit); err != nil {
		return DropIn{}, err
	}
	d := DropIn{Unit: unit, Path: path.Join(unit+".d", dropInFile)}
	if strings.HasSuffix(unit, ".socket") {
		d.Text = dropInHeader + "# Needs systemd 257 or later.\n[Socket]\nSocketProtocol=mptcp\n"
		return d, nil
	}
	if !path.IsAbs(command) || strings.ContainsAny(command, " \t\n\"'\\%$;") {
		return DropIn{}, invalid(unit, "%q is not a path that a unit can start", command)
	}
	var b strings.Builder
	b.WriteString(dropInHeader)
	b.WriteString(
		"# Without CAP_SYS_ADMIN the service gets no_new_privs: set-user-ID programs in it\n# run without their " +
			"privileges.\n[Service]\nExecStart=\n",
	)
	commands := execStart(definition)
	if len(commands) == 0 {
		return DropIn{}, invalid(unit, "its definition has no ExecStart=")
	}
	for _, c := range commands {
		line, err := wrap(unit, command, c)
		if err != nil {
			return DropIn{}, err
		}
		b.WriteString("ExecStart=" + line + "\n")
	}
	d.Text = b.String()
	return d, nil
}

// checkUnit refuses what is not the plain name of a service or a socket.
func checkUnit(unit string) error {
	const allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:-_.\\@"
	stem, isService := strings.CutSuffix(unit, ".service")
	if !isService {
		var isSocket bool
		if stem, isSocket = strings.CutSuffix(unit, ".socket"); !isSocket {
			return invalid(unit, "only NAME.service and NAME.socket can be given MPTCP")
		}
	}
	if stem == "" || len(unit) > 255 || strings.ContainsFunc(unit, func(r rune) bool {
		return !strings.ContainsRune(allowed, r)
	}) {
		return invalid(unit, "not the name of a unit")
	}
	return nil
}

func invalid(unit, format string, args ...any) error {
	return fmt.Errorf("unit %q: %s: %w", unit, fmt.Sprintf(format, args...), fs.ErrInvalid)
}

// execStart returns the commands that a definition starts: of all its [Service]
// sections, those after the last empty assignment.
func execStart(definition string) []string {
	var commands []string
	section := ""
	for _, line := range logicalLines(definition) {
		if strings.HasPrefix(line, "[") {
			section = line
			continue
		}
		key, value, found := strings.Cut(line, "=")
		if !found || section != "[Service]" || strings.TrimSpace(key) != "ExecStart" {
			continue
		}
		if value = strings.TrimSpace(value); value == "" {
			commands = nil
			continue
		}
		commands = append(commands, value)
	}
	return commands
}

// logicalLines joins lines that end in a backslash, and leaves comments out, as
// systemd.syntax(7) has it: a comment within a continued line is skipped.
func logicalLines(text string) []string {
	var lines []string
	open := ""
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "#") || strings.HasPrefix(line, ";") {
			continue
		}
		if head, continued := strings.CutSuffix(line, "\\"); continued {
			open += head + " "
			continue
		}
		if line = strings.TrimSpace(open + line); line != "" {
			lines = append(lines, line)
		}
		open = ""
	}
	if open = strings.TrimSpace(open); open != "" {
		lines = append(lines, open)
	}
	return lines
}

// wrap puts the launcher in front of a command, behind the prefixes that are
// systemd's own.
func wrap(unit, command, line string) (string, error) {
	rest := strings.TrimLeft(line, "@-:+!|")
	prefix := line[:len(line)-len(rest)]
	rest = strings.TrimSpace(rest)
	switch {
	case strings.Contains(prefix, "@"):
		return "", invalid(unit, "ExecStart=%s gives the program another name (@), which run cannot", line)
	case rest == "":
		return "", invalid(unit, "ExecStart=%s starts nothing", line)
	case strings.Contains(rest+" ", " ; "):
		return "", invalid(unit, "ExecStart=%s has more than one command", line)
	case strings.HasPrefix(rest, command+" run "):
		return "", invalid(unit, "it is run with MPTCP already")
	}
	return prefix + command + " run -- " + rest, nil
}

// Apply writes the drop-in below root, [SystemdRoot] for the system's own. A file
// of that name that mptcpctl did not write is left alone: errors.Is fs.ErrExist.
// systemd takes notice after `systemctl daemon-reload` and a restart of the unit.
func (d DropIn) Apply(root string) error {
	dir, err := os.OpenRoot(root)
	if err != nil {
		return fmt.Errorf("drop-in: %w", err)
	}
	defer dir.Close()
	switch present, err := dir.ReadFile(d.Path); {
	case err == nil && !bytes.HasPrefix(present, []byte(dropInHeader)):
		return fmt.Errorf("drop-in %s was not written by mptcpctl: %w", d.Path, fs.ErrExist)
	case err == nil && string(present) == d.Text:
		return nil
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("drop-in: %w", err)
	}
	if err := dir.MkdirAll(path.Dir(d.Path), 0o755); err != nil {
		return fmt.Errorf("drop-in: %w", err)
	}
	// systemd reads only names that end in .conf: it never sees half a file.
	unfinished := d.Path + ".new"
	if err := dir.WriteFile(unfinished, []byte(d.Text), 0o644); err != nil {
		return fmt.Errorf("drop-in: %w", err)
	}
	if err := dir.Rename(unfinished, d.Path); err != nil {
		return fmt.Errorf("drop-in: %w", err)
	}
	return nil
}

// UndoDropIn removes what Apply wrote for the unit, and its directory if nothing
// else is in it. errors.Is fs.ErrNotExist where there is nothing, fs.ErrPermission
// also for a file of that name that mptcpctl did not write.
func UndoDropIn(root, unit string) error {
	if err := checkUnit(unit); err != nil {
		return err
	}
	dir, err := os.OpenRoot(root)
	if err != nil {
		return fmt.Errorf("drop-in: %w", err)
	}
	defer dir.Close()
	file := path.Join(unit+".d", dropInFile)
	present, err := dir.ReadFile(file)
	if err != nil {
		return fmt.Errorf("drop-in: %w", err)
	}
	if !bytes.HasPrefix(present, []byte(dropInHeader)) {
		return fmt.Errorf("drop-in %s was not written by mptcpctl: %w", file, fs.ErrPermission)
	}
	if err := dir.Remove(file); err != nil {
		return fmt.Errorf("drop-in: %w", err)
	}
	_ = dir.Remove(path.Dir(file)) // others' drop-ins keep it
	return nil
}
