package serve

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// maxLinks is how many links the kernel follows for one name (MAXSYMLINKS).
const maxLinks = 40

// secrets returns the names of the files that clients are authenticated with, or the server.
func (c *Config) secrets() []string {
	var names []string
	if c.token != nil {
		names = append(names, c.token.file)
	}
	if c.certificates != nil {
		f := &c.certificates.files
		names = append(names, f.Certificate, f.Key, f.ClientCA)
	}
	return slices.DeleteFunc(names, func(name string) bool { return name == "" })
}

// unreadable returns the secrets that the server, as the user that it has become, could not
// read again.
func (c *Config) unreadable() []string {
	var names []string
	for _, name := range c.secrets() {
		if file, err := os.Open(name); err == nil {
			file.Close()
		} else {
			names = append(names, name)
		}
	}
	return names
}

// folders returns the folders where a file may be found again when it has been renewed: the
// one that it is in, and for each link on the way there, to a file or to a folder, the one
// that holds what the link leads to, because renewal may set the link to something new beside
// that (certbot: live/NAME/cert.pem is a link to archive/NAME/cert1.pem).
func folders(name string) []string {
	name, err := filepath.Abs(name)
	if err != nil {
		return nil // the working directory is gone: the kernel does not find the file, either
	}
	var found []string
	add := func(folder string) {
		if folder != "/" && !slices.Contains(found, folder) {
			found = append(found, folder)
		}
	}
	at, rest := "/", strings.Split(name, "/")
	for links := 0; len(rest) > 0; {
		next := filepath.Join(at, rest[0])
		rest = rest[1:]
		target, err := os.Readlink(next)
		if err != nil || links == maxLinks {
			at = next // no link
			continue
		}
		links++
		if !filepath.IsAbs(target) {
			target = filepath.Join(at, target)
		}
		if len(rest) == 0 {
			add(at) // a file may take the link's place
		}
		add(filepath.Dir(target))
		at, rest = "/", append(strings.Split(target, "/"), rest...)
	}
	add(filepath.Dir(at))
	return found
}
