package present

// Palette holds the escape sequences of iproute2's colours, or nothing.
type Palette struct {
	IPv4, IPv6, Device, Good, Warn, Bad, Dim, Bold, Reset string
}

// Colors returns iproute2's colours for a dark terminal where on is true, else an
// empty palette.
func Colors(on bool) Palette {
	if !on {
		return Palette{}
	}
	return Palette{
		IPv4: "\x1b[1;35m", IPv6: "\x1b[1;94m", Device: "\x1b[1;36m",
		Good: "\x1b[32m", Warn: "\x1b[33m", Bad: "\x1b[1;31m",
		Dim: "\x1b[2m", Bold: "\x1b[1m", Reset: "\x1b[0m",
	}
}
