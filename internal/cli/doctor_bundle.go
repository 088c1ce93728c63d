package cli

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"mptcpctl/doctor"
	"mptcpctl/internal/grammar"
	"mptcpctl/internal/present"
	"mptcpctl/internal/source"
)

// The members of a bundle.
const (
	bundleFacts     = "facts.json"
	bundleReport    = "report.json"
	bundleText      = "report.txt"
	bundleRecording = "recording.pcapng"
)

// largestBundle bounds what is read of a bundle's facts.
const largestBundle = 1 << 30

// writeBundle writes facts, findings and a recording of the sockets into one file.
func writeBundle(ctx context.Context, inv *grammar.Invocation, name string, facts []doctor.Facts, report *doctor.Report) (err error) {
	members := map[string][]byte{}
	for member, content := range map[string]any{bundleFacts: facts, bundleReport: present.DoctorJSON(report)} {
		if members[member], err = json.MarshalIndent(content, "", "  "); err != nil {
			return err
		}
	}
	var text bytes.Buffer
	if err := (&present.DoctorText{All: true}).Write(&text, report); err != nil {
		return err
	}
	members[bundleText] = text.Bytes()
	// A recording has the kernel's own messages: nothing can be hidden in them.
	if live := inv.Options.Replay == "" && !inv.Has("from") && !inv.Options.AllNetns; live && !inv.Has("anonymise") {
		if members[bundleRecording], err = recordOnce(ctx); err != nil {
			leftOut(inv, fmt.Errorf("the bundle has no recording: %w", err))
		}
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(writeArchive(f, members), f.Close())
}

func writeArchive(w io.Writer, members map[string][]byte) error {
	zip := gzip.NewWriter(w)
	archive := tar.NewWriter(zip)
	now := time.Now()
	for _, name := range []string{bundleText, bundleReport, bundleFacts, bundleRecording} {
		content := members[name]
		if content == nil {
			continue
		}
		header := &tar.Header{Name: "mptcpctl-doctor/" + name, Mode: 0o644, Size: int64(len(content)), ModTime: now}
		if err := archive.WriteHeader(header); err != nil {
			return err
		}
		if _, err := archive.Write(content); err != nil {
			return err
		}
	}
	return errors.Join(archive.Close(), zip.Close())
}

// recordOnce records one snapshot of the namespace.
func recordOnce(ctx context.Context) ([]byte, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var b bytes.Buffer
	_, err := source.Record(ctx, &b, &source.RecordConfig{Program: "mptcpctl doctor", Every: time.Hour, Progress: func(p source.Progress) {
		if p.Snapshots > 0 {
			cancel()
		}
	}})
	if err != nil && !errors.Is(err, context.Canceled) {
		return nil, err
	}
	return b.Bytes(), nil
}

// readBundle reads the facts of a bundle. They are foreign.
func readBundle(name string) ([]doctor.Facts, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	zip, err := gzip.NewReader(f)
	if err != nil {
		return nil, fmt.Errorf("%s: no bundle of doctor: %w", name, err)
	}
	archive := tar.NewReader(zip)
	for {
		header, err := archive.Next()
		if err != nil {
			return nil, fmt.Errorf("%s: a bundle without facts: %w", name, err)
		}
		if header.Name != "mptcpctl-doctor/"+bundleFacts {
			continue
		}
		var facts []doctor.Facts
		if err := json.NewDecoder(io.LimitReader(archive, largestBundle)).Decode(&facts); err != nil {
			return nil, fmt.Errorf("%s: %s: %w", name, bundleFacts, err)
		}
		return facts, nil
	}
}

// hideAll hides addresses and names in the facts, differently each time.
func hideAll(facts []doctor.Facts) error {
	key := make([]byte, 32)
	if _, err := rand.Read(key); err != nil {
		return err
	}
	a := newAnonymiser(key)
	for i := range facts {
		var err error
		if facts[i], err = a.facts(facts[i]); err != nil {
			return err
		}
	}
	return nil
}
