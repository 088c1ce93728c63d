// bill writes what the packages must say about the modules that are linked into the programs: their
// licences in one text, and a bill of materials in CycloneDX 1.6. It reads the modules from the
// programs themselves, so that neither list can forget one.
//
//	bill -out DIR PROGRAM...
package main

import (
	"bytes"
	"debug/buildinfo"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

func main() {
	out := flag.String("out", ".", "the folder for THIRD_PARTY and mptcpctl.cdx.json")
	flag.Parse()
	if err := write(*out, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "bill:", err)
		os.Exit(1)
	}
}

func write(out string, programs []string) error {
	modules, err := linked(programs)
	if err != nil {
		return err
	}
	for i := range modules {
		if err := modules[i].readLicence(); err != nil {
			return err
		}
	}
	if err := os.WriteFile(filepath.Join(out, "THIRD_PARTY"), thirdParty(modules), 0o644); err != nil {
		return err
	}
	bill, err := json.MarshalIndent(materials(modules), "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(out, "mptcpctl.cdx.json"), append(bill, '\n'), 0o644)
}

// module is a module that is linked in, or Go's own library.
type module struct {
	path, version string
	dir           string
	texts         []text
	licence       string // its SPDX identifier
}

type text struct {
	name string
	body []byte
}

// linked returns the modules that any of the programs has, in the order of their paths.
func linked(programs []string) ([]module, error) {
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return nil, err
	}
	found := map[string]module{}
	for _, program := range programs {
		info, err := buildinfo.ReadFile(program)
		if err != nil {
			return nil, err
		}
		found["std"] = module{path: "std", version: strings.TrimPrefix(info.GoVersion, "go"),
			dir: strings.TrimSpace(string(root))}
		for _, m := range info.Deps {
			if m.Replace != nil {
				m = m.Replace
			}
			dir, err := exec.Command("go", "mod", "download", "-json", m.Path+"@"+m.Version).Output()
			if err != nil {
				return nil, fmt.Errorf("%s %s: %w", m.Path, m.Version, err)
			}
			var answer struct{ Dir string }
			if err := json.Unmarshal(dir, &answer); err != nil {
				return nil, err
			}
			found[m.Path] = module{path: m.Path, version: m.Version, dir: answer.Dir}
		}
	}
	if len(found) < 2 {
		return nil, fmt.Errorf("no modules in %v", programs)
	}
	var all []module
	for _, m := range found {
		all = append(all, m)
	}
	slices.SortFunc(all, func(a, b module) int { return strings.Compare(a.path, b.path) })
	return all, nil
}

// readLicence reads the licence and the notice in the module's root.
func (m *module) readLicence() error {
	entries, err := os.ReadDir(m.dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		stem := strings.ToUpper(strings.TrimSuffix(e.Name(), filepath.Ext(e.Name())))
		if e.IsDir() || !slices.Contains([]string{"LICENSE", "LICENCE", "COPYING", "NOTICE", "PATENTS"}, stem) {
			continue
		}
		body, err := os.ReadFile(filepath.Join(m.dir, e.Name()))
		if err != nil {
			return err
		}
		m.texts = append(m.texts, text{e.Name(), body})
		if id := identifier(body); id != "" && stem != "NOTICE" && stem != "PATENTS" {
			m.licence = id
		}
	}
	if m.licence == "" {
		return fmt.Errorf("%s %s: no licence that this program knows in %s", m.path, m.version, m.dir)
	}
	return nil
}

// identifier returns the SPDX identifier of a licence's text, "" for one that is not known.
// Where a text offers the BSD licence among others, that is the one.
func identifier(body []byte) string {
	words := strings.ToLower(strings.Join(strings.Fields(string(body)), " "))
	switch {
	case strings.Contains(words, "apache license version 2.0"):
		return "Apache-2.0"
	case strings.Contains(words, "permission is hereby granted, free of charge"):
		return "MIT"
	case !strings.Contains(words, "redistribution and use in source and binary forms"):
		return ""
	case strings.Contains(words, "neither the name"), strings.Contains(words, "may not be used to endorse"):
		return "BSD-3-Clause"
	}
	return "BSD-2-Clause"
}

func thirdParty(modules []module) []byte {
	var b bytes.Buffer
	b.WriteString("mptcpctl contains code of the modules below. These are their licences and notices.\n")
	for _, m := range modules {
		for _, t := range m.texts {
			fmt.Fprintf(&b, "\n%s\n%s %s (%s): %s\n\n", strings.Repeat("=", 80), m.name(), m.version, m.licence, t.name)
			b.Write(bytes.TrimSpace(t.body))
			b.WriteByte('\n')
		}
	}
	return b.Bytes()
}

func (m *module) name() string {
	if m.path == "std" {
		return "The Go standard library"
	}
	return m.path
}

// bom is a bill of materials: the part of CycloneDX that is needed.
type bom struct {
	Format     string      `json:"bomFormat"`
	Spec       string      `json:"specVersion"`
	Version    int         `json:"version"`
	Metadata   metadata    `json:"metadata"`
	Components []component `json:"components"`
}

type metadata struct {
	Component component `json:"component"`
}

type component struct {
	Type     string   `json:"type"`
	Name     string   `json:"name"`
	Version  string   `json:"version,omitempty"`
	PURL     string   `json:"purl,omitempty"`
	Licenses []choice `json:"licenses,omitempty"`
}

type choice struct {
	License id `json:"license"`
}

type id struct {
	ID string `json:"id"`
}

func materials(modules []module) bom {
	b := bom{Format: "CycloneDX", Spec: "1.6", Version: 1}
	b.Metadata.Component = component{Type: "application", Name: "mptcpctl", Licenses: []choice{{id{"Apache-2.0"}}}}
	for _, m := range modules {
		b.Components = append(b.Components, component{
			Type: "library", Name: m.path, Version: m.version,
			PURL: "pkg:golang/" + m.path + "@" + m.version, Licenses: []choice{{id{m.licence}}},
		})
	}
	return b
}
