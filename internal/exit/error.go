package exit

import "fmt"

// Status ends the program with this code and without a message: the command has said
// what there is to say.
type Status int

func (e Status) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

// Failure is an error with an exit code of its own.
type Failure struct {
	Code int
	Err  error
}

// With returns err with the exit code that it is to end the program with.
func With(code int, err error) error { return &Failure{code, err} }

func (e *Failure) Error() string { return e.Err.Error() }
func (e *Failure) Unwrap() error { return e.Err }
