// Package pages holds very many small records in pages. A [Writer] changes a [Table] while
// readers keep frozen copies of it: only pages that change afterwards are copied. [Slots]
// numbers the records, an [Index] finds them by a hash, and an [Arena] holds records that
// are only ever added.
package pages
