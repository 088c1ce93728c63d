package present

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"mptcpctl/mptcp"
)

// fill gives each field of a value another value than zero, and lists two elements. A field
// that AppendConnection forgets is then missing in its text.
func fill(v reflect.Value, r *rand.Rand) {
	switch v.Interface().(type) {
	case netip.AddrPort:
		var b [16]byte
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		a := netip.AddrFrom16(b)
		if r.IntN(2) == 0 {
			a = netip.AddrFrom4([4]byte(b[:4]))
		}
		v.Set(reflect.ValueOf(netip.AddrPortFrom(a, uint16(r.Uint32()))))
		return
	case time.Time:
		v.Set(reflect.ValueOf(time.Unix(r.Int64N(1<<32), r.Int64N(1e9)).UTC()))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i), r)
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), r)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fill(v.Index(0), r)
		fill(v.Index(1), r)
	case reflect.Array:
		for i := range v.Len() {
			fill(v.Index(i), r)
		}
	case reflect.String:
		v.SetString([]string{"eth0", "a\"b\\", "<&>", "ü€𝄞", "wlan-1"}[r.IntN(5)])
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Float64:
		v.SetFloat([]float64{r.Float64(), 1, 0.5, r.Float64() * 1e-7, 1e-10}[r.IntN(5)])
	case reflect.Uint8:
		v.SetUint(1 + r.Uint64N(3))
	case reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(1 + r.Uint64N(1<<v.Type().Bits()-1))
	case reflect.Int, reflect.Int64:
		v.SetInt(1 + r.Int64N(1<<30))
	default:
		panic(v.Kind())
	}
}

// TestAppendConnectionIsEncodingJSON compares with encoding/json, byte for byte.
func TestAppendConnectionIsEncodingJSON(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	list := []mptcp.Connection{{}, {Subflows: []mptcp.Subflow{{}}}}
	for range 500 {
		var c mptcp.Connection
		fill(reflect.ValueOf(&c).Elem(), r)
		list = append(list, c)
	}
	for i := range list {
		c := &list[i]
		row := *c
		if row.Processes == nil {
			row.Processes = []mptcp.Process{}
		}
		if row.Subflows == nil {
			row.Subflows = []mptcp.Subflow{}
		}
		var want bytes.Buffer
		encoder := json.NewEncoder(&want)
		encoder.SetEscapeHTML(false)
		if err := encoder.Encode(&row); err != nil {
			t.Fatal(err)
		}
		if got := AppendConnection(nil, c); string(got) != string(bytes.TrimSpace(want.Bytes())) {
			t.Fatalf("%s\nwant %s", got, want.Bytes())
		}
	}
}

// TestAppendConnectionEscapes reads foreign texts back.
func TestAppendConnectionEscapes(t *testing.T) {
	for _, name := range []string{"\x1b]0;x\a", "tab\there", "\xff\xfe", "\u202eabc", "line\u2028", ""} {
		c := mptcp.Connection{
			Netns: name, Processes: []mptcp.Process{{PID: 1, Name: name}},
			Local: netip.AddrPortFrom(netip.MustParseAddr("fe80::1").WithZone("e\"0"), 1),
		}
		text := AppendConnection(nil, &c)
		if !bytes.Equal(text, EscapeJSON(text)) {
			t.Errorf("%q: control characters in %s", name, text)
		}
		var back mptcp.Connection
		if err := json.Unmarshal(text, &back); err != nil {
			t.Errorf("%q: %v in %s", name, err, text)
		}
		if want := string([]rune(name)); back.Processes[0].Name != want || back.Local != c.Local {
			t.Errorf("%q: %q, %v", name, back.Processes[0].Name, back.Local)
		}
	}
}

func BenchmarkAppendConnection(b *testing.B) {
	var c mptcp.Connection
	fill(reflect.ValueOf(&c).Elem(), rand.New(rand.NewPCG(1, 2)))
	var text []byte
	for b.Loop() {
		text = AppendConnection(text[:0], &c)
	}
}
