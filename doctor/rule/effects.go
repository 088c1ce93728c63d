package rule

// Effects tells which findings are only the effect of another one about the same endpoint,
// by the rule of the cause.
func Effects() map[ID][]ID {
	return map[ID][]ID{
		NoDaemon:       {SubflowLimit, AnnouncementsNotAccepted},
		SubflowLimit:   {NotRetried},
		HangingAttempt: {SubflowLimit},
		AddressMissing: {
			LinkDown, JoinUnanswered, JoinRefused, NotRetried, SilentPath,
			AnnouncedWithoutListener,
		},
		LinkDown:          {JoinUnanswered, JoinRefused, NotRetried, SilentPath},
		WrongLink:         {JoinUnanswered, JoinRefused, NotRetried, MarkedRule},
		NoRoute:           {JoinUnanswered, JoinRefused, NotRetried, MarkedRule},
		ReversePathFilter: {JoinUnanswered, JoinRefused, NotRetried, MarkedRule},
		SameSubnet:        {JoinUnanswered, JoinRefused, NotRetried, MarkedRule},
		TunnelRoute:       {JoinUnanswered, JoinRefused, NotRetried, MarkedRule},
		ListenerClosed: {
			NotRetried,
		},
		AnnouncedWithoutListener: {NotRetried}, PeerLimit: {NotRetried},
		JoinsForbidden: {NotRetried},
		JoinUnanswered: {
			NotRetried,
		},
		JoinRefused: {NotRetried}, JoinStripped: {NotRetried},
		OptionStripped: {NotRetried},
		SilentPath:     {CarriesNothing},
	}
}

// Joins are the rules about what happens to a join on its way, and at the peer.
func Joins() []ID {
	return []ID{PeerLimit, JoinsForbidden, JoinUnanswered, JoinRefused, JoinStripped, NotRetried}
}
