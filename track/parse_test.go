package track

import (
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"mptcpctl/mptcp"
)

func token(t *testing.T, s string) mptcp.Token {
	k, err := mptcp.ParseToken(s)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func parseConnection(t *testing.T, f []string) mptcp.Connection {
	c := connection(token(t, f[0]), f[1], f[2])
	c.Family = mptcp.FamilyOf(c.Local.Addr())
	for _, kv := range f[3:] {
		key, value, _ := strings.Cut(kv, "=")
		number, _ := strconv.ParseUint(value, 10, 64)
		switch key {
		case "fallback":
			c.Fallback = true
		case "cookie":
			c.Cookie = number
		case "state":
			c.State, _ = mptcp.ParseSocketState(value)
		case "sent":
			c.BytesSent = number
		case "inode":
			c.Inode = uint32(number)
		default:
			t.Fatalf("unknown key %q", kv)
		}
	}
	return c
}

func parseRow(t *testing.T, f []string) SubflowRow {
	r := row(token(t, f[0]), f[1], f[2], "", 0, 0)
	for _, kv := range f[3:] {
		key, value, _ := strings.Cut(kv, "=")
		number, _ := strconv.ParseUint(value, 10, 64)
		switch key {
		case "flags":
			flagged := row(0, f[1], f[2], value, 0, 0)
			r.Join, r.Requested = flagged.Join, flagged.Requested
			r.BackupLocal, r.BackupRemote = strings.Contains(value, "b"), strings.Contains(value, "B")
		case "ids":
			local, remote, _ := strings.Cut(value, "/")
			l, _ := strconv.Atoi(local)
			m, _ := strconv.Atoi(remote)
			r.LocalID, r.RemoteID = mptcp.AddressID(l), mptcp.AddressID(m)
		case "tcp":
			r.TCP, _ = mptcp.ParseSocketState(value)
		case "index":
			r.IfIndex = uint32(number)
		case "backoff":
			r.Backoff = uint8(number)
		case "ack":
			r.LastAckMS = uint32(number)
		case "unacked":
			r.Unacked = uint32(number)
		case "sent":
			r.BytesSent = number
		case "received":
			r.BytesReceived = number
		case "rtt":
			r.RTTMicros = uint32(number)
		case "notoken":
			r.HasToken = false
		default:
			t.Fatalf("unknown key %q", kv)
		}
	}
	return r
}

// parseEvent reads NAME [TOKEN [LOCAL REMOTE]] [key=value…].
func parseEvent(t *testing.T, netns string, f []string) mptcp.Event {
	kind, ok := mptcp.ParseEventType(f[0])
	if !ok {
		n, err := strconv.Atoi(f[0])
		if err != nil {
			t.Fatalf("event %q", f[0])
		}
		kind = mptcp.EventType(n)
	}
	e := mptcp.Event{Type: kind, Netns: netns}
	var plain []string
	for _, word := range f[1:] {
		key, value, set := strings.Cut(word, "=")
		if !set && key != "server" && key != "backup" {
			plain = append(plain, word)
			continue
		}
		number, _ := strconv.ParseUint(value, 10, 32)
		switch key {
		case "server":
			e.Fields, e.Flags = e.Fields|mptcp.FieldFlags, mptcp.EventFlagServerSide
		case "side":
			e.Fields, e.ServerSide = e.Fields|mptcp.FieldServerSide, uint8(number)
		case "backup":
			e.Fields, e.Backup = e.Fields|mptcp.FieldBackup, 1
		case "ids":
			local, remote, _ := strings.Cut(value, "/")
			l, _ := strconv.Atoi(local)
			m, _ := strconv.Atoi(remote)
			e.LocalID, e.RemoteID = mptcp.AddressID(l), mptcp.AddressID(m)
			e.Fields |= mptcp.FieldLocalID | mptcp.FieldRemoteID
		case "error":
			e.Fields, e.Error = e.Fields|mptcp.FieldError, mptcp.Errno(number)
		case "reset":
			e.Fields, e.ResetReason = e.Fields|mptcp.FieldResetReason|mptcp.FieldResetFlags, mptcp.ResetReason(number)
		case "late":
			e.Late, _ = time.ParseDuration(value)
		case "dev":
			e.Fields, e.IfIndex = e.Fields|mptcp.FieldIfIndex, int32(number)
		default:
			t.Fatalf("unknown key %q", word)
		}
	}
	if kind != mptcp.EventListenerCreated && kind != mptcp.EventListenerClosed {
		e.Token, e.Fields = token(t, plain[0]), e.Fields|mptcp.FieldToken
		plain = plain[1:]
	}
	if len(plain) > 0 {
		setLocal(&e, ap(plain[0]))
	}
	if len(plain) > 1 {
		setRemote(&e, ap(plain[1]))
	}
	return e
}

func setLocal(e *mptcp.Event, a netip.AddrPort) {
	e.Source, e.Sport, e.Family = a.Addr(), a.Port(), mptcp.FamilyOf(a.Addr())
	e.Fields |= mptcp.FieldSport | mptcp.FieldFamily
	if a.Addr().Is4() {
		e.Fields |= mptcp.FieldSaddr4
	} else {
		e.Fields |= mptcp.FieldSaddr6
	}
}

func setRemote(e *mptcp.Event, a netip.AddrPort) {
	e.Destination, e.Dport = a.Addr(), a.Port()
	e.Fields |= mptcp.FieldDport
	if a.Addr().Is4() {
		e.Fields |= mptcp.FieldDaddr4
	} else {
		e.Fields |= mptcp.FieldDaddr6
	}
}
