package present

import (
	"math"
	"testing"
)

// Three digits tell the size: each row is where a digit or a unit changes.
func TestBytes(t *testing.T) {
	for n, want := range map[uint64]string{
		0: "0B", 1: "1B", 999: "999B", 1000: "1.00kB", 1004: "1.00kB", 1005: "1.00kB", 1006: "1.01kB",
		9994: "9.99kB", 9995: "10.0kB", 9999: "10.0kB", 10_000: "10.0kB", 99_940: "99.9kB", 99_950: "100kB",
		999_499: "999kB", 999_500: "1.00MB", 1_000_000: "1.00MB", 1_500_000_000: "1.50GB",
		999_500_000_000: "1.00TB", 2_000_000_000_000_000: "2.00PB", math.MaxUint64: "18.4EB",
	} {
		if got := string(appendBytes([]byte("x"), n)); got != "x"+want {
			t.Errorf("%d bytes: %q, want %q", n, got, "x"+want)
		}
	}
}

// Microseconds are exact, without zeros at the end.
func TestMillis(t *testing.T) {
	for micros, want := range map[uint32]string{
		0: "0", 1: "0.001", 10: "0.01", 100: "0.1", 120: "0.12", 999: "0.999", 1000: "1", 1001: "1.001",
		20_050: "20.05", 1_000_000: "1000", math.MaxUint32: "4294967.295",
	} {
		if got := string(appendMillis([]byte("x"), micros)); got != "x"+want {
			t.Errorf("%d microseconds: %q, want %q", micros, got, "x"+want)
		}
	}
}
