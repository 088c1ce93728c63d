package lab

import "fmt"

// Kernel is a version of Linux.
type Kernel struct{ Major, Minor int }

// String returns it as the release begins: "6.2".
func (k Kernel) String() string { return fmt.Sprintf("%d.%d", k.Major, k.Minor) }
