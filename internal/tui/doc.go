// Package tui is the terminal view: six screens over the states of a
// [track.Tracker], driven by keys, or printed as plain lines.
//
// Data flows one way. A pump takes the newest state and the deltas since the last
// frame, at most ten times a second, and hands them to the model as one message.
// The model is changed by messages alone (frames, keys, sizes, answers of the
// doctor and of changes), and draws itself as text: the same messages give the
// same text. Each screen is a value with a method that returns its lines, and
// knows neither the terminal nor the tracker.
//
// Of a long list only the rows are made that fit on the screen, and only for
// those the tracker is asked for fresh figures. So the cost of a frame does not
// grow with the number of connections, but for putting them in order, which is
// done at most once a second when there are many.
//
// Strings that others chose (processes, devices, namespaces, evidence) are
// escaped before they are drawn. Colours say nothing that words or signs do not
// say too.
//
// The package changes nothing in the kernel by itself: what the user wants changed
// goes through [Config.Changes], after a confirmation.
package tui
