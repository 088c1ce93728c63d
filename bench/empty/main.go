// Empty is a Go program that does nothing: what starting one costs.
package main

func main() {}
