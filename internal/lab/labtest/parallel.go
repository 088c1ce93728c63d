package labtest

import (
	"flag"
	"runtime"
	"strconv"
)

// atOnce is how many parallel tests run for each processor: kernel tests wait for the
// kernel, and for the programs that they start, most of their time.
const atOnce = 4

// runInParallel lets that many tests run at the same time, unless -parallel says how
// many.
func runInParallel() {
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if given {
		return
	}
	if err := flag.Set("test.parallel", strconv.Itoa(atOnce*runtime.GOMAXPROCS(0))); err != nil {
		panic(err) // the testing package has no such flag any more
	}
}
