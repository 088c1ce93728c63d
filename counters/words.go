package counters

// Words returns the words of a counter's name: Fallback and Init of
// MPFallbackTokenInit. Capitals side by side, as in SYNRX, are no word.
func Words(name string) []string {
	var words []string
	begin := 0
	for i := 1; i <= len(name); i++ {
		if i < len(name) && (name[i] < 'A' || name[i] > 'Z') {
			continue
		}
		if word := name[begin:i]; len(word) > 3 {
			words = append(words, word)
		}
		begin = i
	}
	return words
}
