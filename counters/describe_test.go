package counters

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"mptcpctl/internal/lab/labtest"
	"mptcpctl/mptcp"
)

func TestEveryCounterOfEveryKernelIsDescribed(t *testing.T) {
	for kernel, names := range kernelNames(t) {
		for _, name := range names {
			if _, ok := Describe(name); !ok {
				t.Errorf("%s of Linux %s has no description", name, kernel)
			}
		}
	}
}

func TestEveryCounterOfThisKernelIsDescribed(t *testing.T) {
	v, err := New("").MPTCP()
	if errors.Is(err, mptcp.ErrNotSupported) {
		labtest.Skip(t, "%v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range v.Names() {
		if _, ok := Describe(name); !ok {
			t.Errorf("%s has no description", name)
		}
	}
}

func TestDescriptions(t *testing.T) {
	names := kernelNames(t)
	seen := map[string]bool{}
	for _, d := range Descriptions() {
		if seen[d.Name] {
			t.Errorf("%s is described twice", d.Name)
		}
		seen[d.Name] = true
		if d.Meaning == "" || d.Since == "" || strings.HasSuffix(d.Meaning, ".") || strings.HasSuffix(d.Advice, ".") {
			t.Errorf("%s: incomplete or with a full stop: %+v", d.Name, d)
		}
		if d.Trouble && d.Advice == "" {
			t.Errorf("%s means trouble, and nothing to do about it is said", d.Name)
		}
		if d.Gauge != IsGauge(d.Name) {
			t.Errorf("%s: gauge in one place only", d.Name)
		}
		if list, ok := names[d.Since]; !ok || !slices.Contains(list, d.Name) {
			t.Errorf("%s: Linux %s does not have it", d.Name, d.Since)
		}
	}
	if len(seen) != 86 {
		t.Errorf("%d counters described", len(seen))
	}
	if _, ok := Describe("NoSuchCounter"); ok {
		t.Error("an unknown counter is described")
	}
}

func TestSysctlDescriptions(t *testing.T) {
	s, err := New("testdata/6.18").Sysctls()
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range s.Raw {
		d, ok := DescribeSysctl(name)
		if !ok {
			t.Errorf("net.mptcp.%s has no description", name)
		} else if d.Default != "" && d.Default != text {
			t.Errorf("net.mptcp.%s is %s by default, described as %s", name, text, d.Default)
		}
	}
	if live, err := New("").Sysctls(); err == nil {
		for name := range live.Raw {
			if _, ok := DescribeSysctl(name); !ok {
				t.Errorf("net.mptcp.%s of this kernel has no description", name)
			}
		}
	}
	for _, d := range SysctlDescriptions() {
		if d.Meaning == "" || d.Since == "" {
			t.Errorf("incomplete: %+v", d)
		}
	}
}
