package face

import "mptcpctl/internal/grammar"

// defaultHistory is where serve keeps what happens, if systemd gives it no folder.
const defaultHistory = "/var/lib/mptcpctl/history"

// defaultListen is where serve listens: on loopback, for this host alone.
const defaultListen = "127.0.0.1:9099"

// Serve is the row of the service.
func Serve(run grammar.Run) grammar.Command {
	return grammar.Command{
		Name:    "serve",
		Summary: "serve a web page, a JSON API and metrics of the live state",
		Synopsis: []string{
			"[ --listen ADDR:PORT ] [ --token-file FILE ] [ --tls-cert FILE --tls-key FILE ] [ --client-ca FILE ]",
			"[ --history[=DIR] ] [ --history-size SIZE ] [ --history-age AGE ] [ --history-sync PAUSE ]",
		},
		Help:      serveHelp,
		Privilege: "none; CAP_NET_ADMIN in the network namespace for events, dropped after the start",
		Flags: []grammar.Flag{
			{
				Name:    "listen",
				Value:   grammar.Host,
				Metavar: "ADDR:PORT",
				Summary: "where to listen (default " + defaultListen + ")",
			},
			{
				Name:    "token-file",
				Value:   grammar.File,
				Metavar: "FILE",
				Summary: "the file with the token that clients must show, at least 16 characters",
			},
			{
				Name:    "tls-cert",
				Value:   grammar.File,
				Metavar: "FILE",
				Summary: "the TLS certificate with its chain, PEM",
			},
			{Name: "tls-key", Value: grammar.File, Metavar: "FILE", Summary: "the key of the certificate, PEM"},
			{
				Name:    "client-ca",
				Value:   grammar.File,
				Metavar: "FILE",
				Summary: "accept only clients with a certificate of these authorities, PEM",
			},
			{
				Name:    "name",
				Value:   grammar.Host,
				Metavar: "NAME",
				Summary: "a host name that clients use for this server, in addition to its addresses; may be repeated",
			},
			{
				Name: "history", Value: grammar.File, Metavar: "DIR", Optional: true,
				Summary: "keep what happens in this folder (default $STATE_DIRECTORY/history, else " +
					defaultHistory + ")",
			},
			{Name: "history-size", Value: grammar.Word, Metavar: "SIZE", Summary: "its bytes at most (default 512M)"},
			{Name: "history-age", Value: grammar.Duration, Metavar: "AGE", Summary: "for how long (default 7d)"},
			{
				Name: "history-sync", Value: grammar.Duration, Metavar: "PAUSE",
				Summary: "how often it is brought to the disk (default 5s); 0: once an hour, for flash",
			},
			{Name: "user", Value: grammar.Word, Metavar: "USER", Summary: "the user to become when started as root"},
			{
				Name:    "log-level",
				Value:   grammar.Word,
				Metavar: "LEVEL",
				Choices: []string{"debug", "info", "warn", "error"},
				Summary: "debug, info (default), warn or error",
			},
		},
		Examples: []grammar.Example{
			{Line: "serve", Meaning: "the page at http://" + defaultListen + "/"},
			{Line: "--replay trouble.pcapng serve", Meaning: "the page of a recording"},
			{
				Line: "serve --listen 192.0.2.1:9099 --token-file /etc/mptcpctl/token --tls-cert cert.pem " +
					"--tls-key key.pem",
				Meaning: "for other hosts, with a token over TLS",
			},
		},
		Run: run,
	}
}
