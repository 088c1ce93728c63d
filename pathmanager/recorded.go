package pathmanager

import "mptcpctl/mptcp"

// DecodeFamily decodes a [Family.Raw], as a recording begins with. Like all
// decoders here it is pure, and takes whatever bytes there are.
func DecodeFamily(msg []byte) (Family, error) { return decodeFamily(msg) }

// DecodeEndpoint decodes one message of the answer to a question for endpoints or
// addresses, such as a [Config.Tap] is shown.
func DecodeEndpoint(msg []byte) (mptcp.Endpoint, error) { return decodeEndpoint(msg) }

// DecodeLimits decodes the answer to the question for the limits. That of an
// endpoint has neither of them, and gives zeros.
func DecodeLimits(msg []byte) (mptcp.Limits, error) { return decodeLimits(msg) }
