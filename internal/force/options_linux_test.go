package force_test

import (
	"errors"
	"os"
	"regexp"
	"strings"
	"testing"

	"mptcpctl/internal/lab/labtest"

	"golang.org/x/sys/unix"
)

// refused are the options that the documentation lists, by family and level.
var refused = []struct {
	family, level int
	options       map[string]int
}{
	{unix.AF_INET, unix.IPPROTO_TCP, map[string]int{
		"TCP_USER_TIMEOUT": unix.TCP_USER_TIMEOUT, "TCP_SYNCNT": unix.TCP_SYNCNT, "TCP_LINGER2": unix.TCP_LINGER2,
		"TCP_WINDOW_CLAMP": unix.TCP_WINDOW_CLAMP, "TCP_QUICKACK": unix.TCP_QUICKACK,
		"TCP_THIN_LINEAR_TIMEOUTS": unix.TCP_THIN_LINEAR_TIMEOUTS, "TCP_REPAIR": unix.TCP_REPAIR,
		"TCP_TIMESTAMP": unix.TCP_TIMESTAMP, "TCP_SAVE_SYN": unix.TCP_SAVE_SYN, "TCP_ULP": unix.TCP_ULP,
		"TCP_TX_DELAY": unix.TCP_TX_DELAY, "TCP_MD5SIG": unix.TCP_MD5SIG,
	}},
	{unix.AF_INET, unix.IPPROTO_IP, map[string]int{
		"IP_TTL": unix.IP_TTL, "IP_PKTINFO": unix.IP_PKTINFO, "IP_MTU_DISCOVER": unix.IP_MTU_DISCOVER,
		"IP_RECVERR": unix.IP_RECVERR, "IP_RECVTTL": unix.IP_RECVTTL, "IP_RECVTOS": unix.IP_RECVTOS,
		"IP_RECVORIGDSTADDR": unix.IP_RECVORIGDSTADDR, "IP_MINTTL": unix.IP_MINTTL, "IP_OPTIONS": unix.IP_OPTIONS,
	}},
	{unix.AF_INET6, unix.IPPROTO_IPV6, map[string]int{
		"IPV6_TCLASS": unix.IPV6_TCLASS, "IPV6_UNICAST_HOPS": unix.IPV6_UNICAST_HOPS,
		"IPV6_RECVPKTINFO": unix.IPV6_RECVPKTINFO, "IPV6_RECVERR": unix.IPV6_RECVERR,
		"IPV6_MTU_DISCOVER": unix.IPV6_MTU_DISCOVER, "IPV6_RECVTCLASS": unix.IPV6_RECVTCLASS,
		"IPV6_MINHOPCOUNT": unix.IPV6_MINHOPCOUNT,
	}},
	{unix.AF_INET, unix.SOL_SOCKET, map[string]int{
		"SO_MAX_PACING_RATE": unix.SO_MAX_PACING_RATE, "SO_ZEROCOPY": unix.SO_ZEROCOPY, "SO_TXTIME": unix.SO_TXTIME,
		"SO_ATTACH_FILTER": unix.SO_ATTACH_FILTER, "SO_PEEK_OFF": unix.SO_PEEK_OFF, "SO_OOBINLINE": unix.SO_OOBINLINE,
	}},
}

// The options that the documentation lists are those that the kernel refuses.
func TestRefusedOptionsAreListed(t *testing.T) {
	text, err := os.ReadFile("../../docs/run.md")
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]bool{}
	for _, name := range regexp.MustCompile("`((?:TCP|IP|IPV6|SO)_[A-Z0-9_]+)`").FindAllStringSubmatch(string(text), -1) {
		listed[name[1]] = true
	}
	ns := labtest.MPTCP(t)
	old := labtest.KernelBefore(t, 6, 18)
	for _, of := range refused {
		for name, option := range of.options {
			if !listed[name] {
				t.Errorf("%s is not listed", name)
			}
			delete(listed, name)
			err := ns.Do(func() error {
				fd, err := unix.Socket(of.family, unix.SOCK_STREAM, unix.IPPROTO_MPTCP)
				if err != nil {
					return err
				}
				defer unix.Close(fd)
				return unix.SetsockoptInt(fd, of.level, option, 1)
			})
			if !old && !errors.Is(err, unix.ENOPROTOOPT) && !errors.Is(err, unix.EOPNOTSUPP) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	for name := range listed {
		if !strings.HasPrefix(name, "IPPROTO") {
			t.Errorf("%s is listed, and nothing tests it", name)
		}
	}
}
