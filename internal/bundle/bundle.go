package bundle

import (
	"archive/tar"
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
	"time"

	"mptcpctl/counters"
	"mptcpctl/doctor"
	"mptcpctl/internal/present"
	"mptcpctl/internal/private"
	"mptcpctl/internal/source/live"
	"mptcpctl/internal/source/recording"
	"mptcpctl/pathmanager"
)

// The members of a bundle.
const (
	memberFacts     = "facts.json"
	memberReport    = "report.json"
	memberText      = "report.txt"
	memberRecording = "recording.pcapng"
)

// costFacts is what the facts of one network namespace cost in memory beside what is in
// them, rounded up.
const costFacts = 4 << 10

// Write writes facts, findings and a recording, nil for none, into one file, which is its
// owner's alone. The error is [fs.ErrExist] where there is one of that name, unless it
// may be overwritten, and [private.ErrForeign] where that one is a link or somebody
// else's.
func Write(name string, overwrite bool, facts []doctor.Facts, report *doctor.Report, recording []byte) (err error) {
	members := map[string][]byte{}
	for member, content := range map[string]any{memberFacts: facts, memberReport: present.DoctorJSON(report)} {
		if members[member], err = json.MarshalIndent(content, "", "  "); err != nil {
			return err
		}
	}
	var text bytes.Buffer
	if err := (&present.DoctorText{All: true}).Write(&text, report); err != nil {
		return err
	}
	members[memberText] = text.Bytes()
	members[memberRecording] = recording
	f, err := private.Create(name, overwrite)
	if err != nil {
		return err
	}
	return errors.Join(writeArchive(f, members), f.Close())
}

func writeArchive(w io.Writer, members map[string][]byte) error {
	zip := gzip.NewWriter(w)
	archive := tar.NewWriter(zip)
	now := time.Now()
	for _, name := range []string{memberText, memberReport, memberFacts, memberRecording} {
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

// RecordMeanwhile records while doctor looks: two dumps, and the events between them
// where that is allowed and changes nothing. It returns what ends the recording and
// returns it; after an error, of which it warns, that is nil.
func RecordMeanwhile(ctx context.Context, warn func(error)) (stop func() []byte) {
	ctx, cancel := context.WithCancel(ctx)
	var b bytes.Buffer
	begun, ended := make(chan struct{}), make(chan error, 1)
	began := sync.OnceFunc(func() { close(begun) })
	config := &live.RecordConfig{Program: "mptcpctl doctor", Every: time.Hour, Progress: func(p live.Progress) {
		if p.Snapshots > 0 {
			began()
		}
	}}
	// With a userspace path manager the kernel accepts joins while somebody listens.
	if sysctls, err := counters.New("").Sysctls(); err == nil && sysctls.PathManagerName() == "kernel" {
		config.Events = &pathmanager.ListenConfig{}
	}
	go func() {
		total, err := live.Record(ctx, &b, config)
		if errors.Is(err, fs.ErrPermission) && total.Bytes == 0 {
			config.Events = nil
			_, err = live.Record(ctx, &b, config)
		}
		began()
		ended <- err
	}()
	<-begun
	return func() []byte {
		cancel()
		if err := <-ended; err != nil {
			warn(fmt.Errorf("the bundle has no recording: %w", err))
			return nil
		}
		return b.Bytes()
	}
}

// Is reports whether the file is a bundle rather than a recording.
func Is(name string) bool {
	info, err := os.Stat(name)
	if err != nil || !info.Mode().IsRegular() {
		return false // what comes from a pipe can be read once
	}
	f, err := os.Open(name)
	if err != nil {
		return false
	}
	defer f.Close()
	zip, err := gzip.NewReader(f)
	if err != nil {
		return false
	}
	var magic [4]byte
	_, err = io.ReadFull(zip, magic[:])
	return err == nil && magic != [4]byte{0x0a, 0x0d, 0x0d, 0x0a} // of pcapng: a compressed recording
}

// ReadFacts reads the facts of a bundle. They are foreign. The error is
// [recording.ErrInflated] where they would cost far more memory than the file's size lets
// expect.
func ReadFacts(name string) (facts []doctor.Facts, err error) {
	err = readMember(name, memberFacts, func(r io.Reader, allowance *recording.Allowance) error {
		facts, err = decodeFacts(r, allowance)
		return err
	})
	return facts, err
}

// DecodeFacts reads a list of facts as `doctor --facts` writes it. They are foreign. The error
// is [recording.ErrInflated] as that of ReadFacts.
func DecodeFacts(r io.Reader) ([]doctor.Facts, error) {
	come := &counted{from: r}
	return decodeFacts(come, recording.NewAllowance(func() int64 { return come.n }))
}

// decodeFacts decodes a list of facts one after the other.
func decodeFacts(r io.Reader, allowance *recording.Allowance) ([]doctor.Facts, error) {
	list := json.NewDecoder(spending{r, allowance})
	begin, err := list.Token()
	switch {
	case err != nil:
		return nil, err
	case begin == nil:
		return nil, nil
	case begin != json.Delim('['):
		return nil, errors.New("no list of facts")
	}
	var facts []doctor.Facts
	for list.More() {
		var text json.RawMessage
		if err := list.Decode(&text); err != nil {
			return nil, err
		}
		if err := errors.Join(allowance.Spend(costFacts), allowance.SpendJSON(text)); err != nil {
			return nil, err
		}
		var one doctor.Facts
		if err := json.Unmarshal(text, &one); err != nil {
			return nil, err
		}
		facts = append(facts, one)
	}
	_, err = list.Token() // the end of the list, or why it has none
	return facts, err
}

// counted is a reader that knows how much was read.
type counted struct {
	from io.Reader
	n    int64
}

func (c *counted) Read(b []byte) (int, error) {
	n, err := c.from.Read(b)
	c.n += int64(n)
	return n, err
}

// spending is a reader of which each byte is taken from the allowance.
type spending struct {
	from      io.Reader
	allowance *recording.Allowance
}

func (s spending) Read(b []byte) (int, error) {
	n, err := s.from.Read(b)
	return n, cmp.Or(s.allowance.Spend(n), err)
}

// ReadRecording reads the recording of a bundle. The error is [recording.ErrInflated] as
// that of ReadFacts.
func ReadRecording(name string) (r *recording.Recording, err error) {
	err = readMember(name, memberRecording, func(from io.Reader, allowance *recording.Allowance) error {
		r, err = recording.Read(from, allowance)
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: it was anonymised, or written without a recording; `doctor --from` accepts it", err)
	}
	return r, err
}

// readMember reads one member of a bundle. The error is [fs.ErrNotExist] where it has
// none of that name.
func readMember(name, member string, read func(io.Reader, *recording.Allowance) error) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	packed := &counted{from: f}
	zip, err := gzip.NewReader(packed)
	if err != nil {
		return fmt.Errorf("%s: no bundle of doctor: %w", name, err)
	}
	allowance := recording.NewAllowance(func() int64 { return packed.n })
	archive := tar.NewReader(zip)
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			err = fs.ErrNotExist
		}
		if err != nil {
			return fmt.Errorf("%s: a bundle without %s: %w", name, member, err)
		}
		if header.Name != "mptcpctl-doctor/"+member {
			continue
		}
		if err := read(archive, allowance); err != nil {
			return fmt.Errorf("%s: %s: %w", name, member, err)
		}
		return nil
	}
}

// Hide hides addresses and names in the facts, differently each time.
func Hide(facts []doctor.Facts) error {
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
