package peer

import "runtime"

// otherMachine is the exit code of a host whose processor is another one.
const otherMachine = 96

// machines returns what `uname -m` says where this program runs, as a pattern of the shell.
func machines() string {
	switch runtime.GOARCH {
	case "amd64":
		return "x86_64"
	case "arm64":
		return "aarch64|armv8*|arm64"
	case "386":
		return "i?86|x86_64"
	case "arm":
		return "arm*"
	case "mips", "mipsle":
		return "mips"
	case "mips64", "mips64le":
		return "mips64"
	}
	return runtime.GOARCH
}
