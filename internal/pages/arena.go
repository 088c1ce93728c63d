package pages

// Arena holds records in blocks, so that it grows without copying them.
type Arena[T any] struct {
	blocks [][]T
	used   int
}

const arenaBlock = 1024

// Len returns the number of records.
func (a *Arena[T]) Len() int { return a.used }

// At returns a record by its number.
func (a *Arena[T]) At(i int) *T { return &a.blocks[i/arenaBlock][i%arenaBlock] }

// Add returns a new record.
func (a *Arena[T]) Add() *T {
	if a.used == len(a.blocks)*arenaBlock {
		a.blocks = append(a.blocks, make([]T, arenaBlock))
	}
	a.used++
	return a.At(a.used - 1)
}
