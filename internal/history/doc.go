// Package history keeps a chronicle in a directory: writes it, within bounds of size and age,
// and reads it again.
//
// A file holds one hour at most, and is complete in itself: it begins with the state. While
// it is written it is a text; when it is closed it is compressed by zstd. Its name says when
// it was begun, the number of its first line and, once it is closed, that of its last:
//
//	20261201T030000Z-0000000000048211.jsonl
//	20261201T020000Z-0000000000031007-0000000000048210.jsonl.zst
//
// So the books of the directory are known from names, and a damaged file is missing exactly
// the lines that cannot be read from it. Files are the owner's alone.
package history
