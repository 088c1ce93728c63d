package track

// arena holds records in blocks, so that it grows without copying them.
type arena[T any] struct {
	blocks [][]T
	used   int
}

const arenaBlock = 1024

func (a *arena[T]) len() int { return a.used }

func (a *arena[T]) at(i int) *T { return &a.blocks[i/arenaBlock][i%arenaBlock] }

// add returns a new record.
func (a *arena[T]) add() *T {
	if a.used == len(a.blocks)*arenaBlock {
		a.blocks = append(a.blocks, make([]T, arenaBlock))
	}
	a.used++
	return a.at(a.used - 1)
}
