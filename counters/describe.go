package counters

// Description tells what a counter of the MPTcpExt table means.
type Description struct {
	Name    string `json:"name"`
	Meaning string `json:"meaning"` // what happened each time it moved
	// Trouble: that it moves is a sign of something broken, refused or lost. Some
	// of these also move in good health, which Advice says then.
	Trouble bool   `json:"trouble"`
	Gauge   bool   `json:"gauge"`            // the present number of something, not a count
	Advice  string `json:"advice,omitempty"` // what to do or to look at next
	// Since is the oldest Linux release known to have it; "6.1" stands for 6.1 and
	// earlier ones. Long-term kernels were given some of them later.
	Since string `json:"since"`
}

// Describe returns what the MPTcpExt counter of that name means. Every counter of
// the kernels 6.1 to 7.3 is known.
func Describe(name string) (Description, bool) {
	for _, group := range catalogue {
		for _, d := range group {
			if d.Name == name {
				return d, true
			}
		}
	}
	return Description{}, false
}

// Descriptions returns the descriptions of all known counters, those of one
// subject together.
func Descriptions() []Description {
	var all []Description
	for _, group := range catalogue {
		all = append(all, group...)
	}
	return all
}

// IsGauge reports whether the counter tells the present number of something. It
// may fall, and differences of it are not counts.
func IsGauge(name string) bool { return name == "MPCurrEstab" }

// catalogue is never written to.
var catalogue = [...][]Description{
	handshakeCounters, joinCounters, addressCounters, dataCounters, fallbackCounters, endCounters, memoryCounters,
}
