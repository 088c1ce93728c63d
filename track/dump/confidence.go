package dump

import "fmt"

// Confidence says how sure a derived event is.
type Confidence uint8

// The confidences, weakest first.
const (
	ConfidenceNone Confidence = iota // no judgement: an event of the kernel
	Possible                         // the facts allow it
	Likely                           // the facts suggest it, and others fit too
	Certain                          // the facts leave nothing else
)

var confidenceNames = [...]string{"", "possible", "likely", "certain"}

// String returns "possible", "likely", "certain", or "" for none.
func (c Confidence) String() string {
	if int(c) < len(confidenceNames) {
		return confidenceNames[c]
	}
	return ""
}

// MarshalText implements [encoding.TextMarshaler] with the form of String.
func (c Confidence) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler] for the names of String.
func (c *Confidence) UnmarshalText(text []byte) error {
	for i, name := range confidenceNames {
		if name == string(text) {
			*c = Confidence(i)
			return nil
		}
	}
	return fmt.Errorf("%q is no confidence", text)
}
