// Package runner runs the lab with a program's commands: Red Hat's procedure, a network
// with one connection over it, a scenario with what doctor makes of it, or a shell in one
// of them. It shows what happens as the terminals would.
package runner
