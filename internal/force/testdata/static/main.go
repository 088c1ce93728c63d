// A program that knows nothing of MPTCP: it talks to itself over TCP, and prints
// whether that was MPTCP.
package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
)

func main() {
	if err := talk(); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

func talk() error {
	var lc net.ListenConfig
	lc.SetMultipathTCP(false)
	l, err := lc.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	go func() {
		if c, err := l.Accept(); err == nil {
			_, _ = io.Copy(c, c)
			c.Close()
		}
	}()
	var d net.Dialer
	d.SetMultipathTCP(false)
	c, err := d.Dial("tcp", l.Addr().String())
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := c.Write([]byte("hello")); err != nil {
		return err
	}
	var b [5]byte
	if _, err := io.ReadFull(c, b[:]); err != nil {
		return err
	}
	mp, err := c.(*net.TCPConn).MultipathTCP()
	fmt.Println(string(b[:]), mp, err)
	return nil
}
