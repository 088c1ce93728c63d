package present

import (
	"encoding/json"
	"io"
)

// JSON writes v as JSON with a line break at its end; pretty indents it.
func JSON(w io.Writer, v any, pretty bool) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	if pretty {
		encoder.SetIndent("", jsonIndent)
	}
	return encoder.Encode(v)
}
