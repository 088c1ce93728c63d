// Package chronicle is the format of the history: lines of JSON, one for each thing that
// happened, with numbers that have no gaps. It makes lines of what a tracker sees, reads
// lines, and keeps the books over any range of them. It opens no file.
//
// docs/history.md describes the lines. Each is an object with these keys, in this order:
//
//	{"seq":48211,"t":"2026-12-01T03:00:00.105713678Z","kind":"event","pair":"5b8a…","event":{…}}
//
// The pair is left out where it is not known. The object of the line stands under the name
// of its kind, and is what the API gives. Readers skip kinds and keys that they do not know.
//
// For any range of a history's lines, last - first + 1 is the number of the lines plus what
// lines of the kind lost say: see [Books].
package chronicle
