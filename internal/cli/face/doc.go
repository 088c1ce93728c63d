// Package face has the rows of the commands that only the whole program carries out: what
// they are called, which flags they take, and what their help says. The quick program shows
// these rows in its help and its completion, and becomes the whole one to carry them out.
package face

import _ "embed" // for the help texts

var (
	//go:embed help/history.txt
	historyHelp string
	//go:embed help/serve.txt
	serveHelp string
	//go:embed help/top.txt
	topHelp string
)
