// Package rule is the catalogue of the causes that package doctor reports: a constant for
// each id, and the texts that explain it ([All], [Explain]). Code compares causes by the
// constants, never by the digits.
package rule

import "strings"

// ID is the id of a cause: "D" and two digits. Ids are never given a second meaning,
// since scripts compare them; [Explain] returns the catalogue's text.
type ID string

// The causes.
const (
	KernelWithoutMPTCP       ID = "D01" // the kernel has no MPTCP
	SwitchedOff              ID = "D02" // net.mptcp.enabled is 0
	KernelTooOld             ID = "D03" // the kernel lacks a feature that is asked for
	PolicyForbids            ID = "D04" // a security policy refuses MPTCP sockets
	PeerWithoutMPTCP         ID = "D05" // the peer answered without MPTCP
	ApplicationUsesTCP       ID = "D06" // a program opened a TCP socket
	ServerUsesTCP            ID = "D07" // the server's program uses TCP, or the option is removed on the way
	ListenerClosed           ID = "D08" // the server stopped listening
	AnnouncedWithoutListener ID = "D09" // nobody listens on an announced address
	ClientSignals            ID = "D10" // a client announces its address
	NothingSent              ID = "D11" // no data was sent yet
	SocketOption             ID = "D12" // a socket option, or a way to connect, excludes MPTCP
	NoDaemon                 ID = "D13" // the userspace path manager has no daemon
	PeerWithoutDaemon        ID = "D14" // the peer's userspace path manager has no daemon
	SubflowLimit             ID = "D15" // the limit of subflows is too low
	PeerLimit                ID = "D16" // the peer's limit is reached
	AnnouncementsNotAccepted ID = "D17" // add_addr_accepted is too low
	HangingAttempt           ID = "D18" // an attempt without an answer holds the last place
	EndpointWithoutPurpose   ID = "D19" // no flag says what the endpoint is for
	InitialAddress           ID = "D20" // the endpoint has the initial subflow's address
	AddressMissing           ID = "D21" // the endpoint's address is not on this host
	LinkDown                 ID = "D22" // the endpoint's link is down
	OtherFamily              ID = "D23" // the endpoint is of another address family
	TableFull                ID = "D24" // the table of endpoints is full
	JoinsForbidden           ID = "D25" // the peer forbids joins to its initial address
	TwoManagers              ID = "D26" // two programs manage the endpoints
	WrongLink                ID = "D27" // packets leave by another link
	NoRoute                  ID = "D28" // no route leads from the endpoint to the peer
	ReversePathFilter        ID = "D29" // rp_filter is strict
	SameSubnet               ID = "D30" // two links are in one subnet
	TunnelRoute              ID = "D31" // a tunnel takes the route
	MarkedRule               ID = "D32" // a routing rule depends on a mark or a user
	Blackhole                ID = "D33" // SYN with MPTCP vanish
	SYNReset                 ID = "D34" // SYN with MPTCP are reset
	JoinUnanswered           ID = "D35" // the join gets no answer
	JoinRefused              ID = "D36" // the join is refused
	JoinStripped             ID = "D37" // MPTCP is removed from the join
	OptionStripped           ID = "D38" // MPTCP is removed from data
	DataChanged              ID = "D39" // data is changed on the way
	LoadBalancer             ID = "D40" // joins reach another server
	Proxy                    ID = "D41" // a proxy terminates TCP
	NotRetried               ID = "D42" // a subflow died and is not tried again
	SilentPath               ID = "D43" // a path is silent
	AnnouncementTooLong      ID = "D44" // the announcement does not fit beside timestamps
	ListenerOverrun          ID = "D45" // the listener is overrun
	ShortOfMemory            ID = "D46" // tokens or memory are short
	CarriesNothing           ID = "D47" // a subflow carries nothing
	WrongNamespace           ID = "D48" // the configuration is in another network namespace
	EventsLost               ID = "D49" // events were lost
	OldIPRoute2              ID = "D50" // ip is older than the kernel
	ChecksumsDiffer          ID = "D51" // one end asks for checksums
	AddressTranslated        ID = "D52" // NAT is on the second path
)

// Join returns the ids in one string with the separator between them, as
// [strings.Join] does for strings.
func Join(ids []ID, separator string) string {
	var b strings.Builder
	for i, id := range ids {
		if i > 0 {
			b.WriteString(separator)
		}
		b.WriteString(string(id))
	}
	return b.String()
}
