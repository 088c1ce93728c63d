// Static is a program that knows nothing of MPTCP: it connects, says hello, prints
// the answer, and stays connected until its input ends.
package main

import (
	"fmt"
	"io"
	"net"
	"os"
)

func main() {
	d := net.Dialer{}
	d.SetMultipathTCP(false)
	conn, err := d.Dial("tcp", os.Args[1])
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Fprintln(conn, "hello")
	answer := make([]byte, 6)
	if _, err := io.ReadFull(conn, answer); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Print(string(answer))
	_, _ = io.Copy(io.Discard, os.Stdin)
}
