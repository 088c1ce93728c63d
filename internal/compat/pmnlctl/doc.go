// Package pmnlctl is the personality pm_nl_ctl: the kernel's test helper for the path
// manager, with its grammar, its output and its complaints, so that the kernel's own
// scripts run with it.
package pmnlctl
