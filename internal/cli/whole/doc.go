// Package whole holds the commands that need the libraries of the terminal view and of the
// web server: `top` and `serve`. Their rows are in package cli, so that the quick program
// has their help; only the whole program links this package.
package whole
