package grammar

import "strings"

// Front reads the global options in front of the object and returns the words
// behind them. Options that are already set, as those of a batch are for its lines,
// stay.
func (o *Options) Front(args []string) ([]string, error) {
	for len(args) > 0 {
		word := args[0]
		if word == "--" {
			return args[1:], nil
		}
		if len(word) < 2 || word[0] != '-' {
			return args, nil
		}
		n, err := o.option(args)
		if err != nil {
			return nil, err
		}
		if n == 0 {
			return nil, unknownOption("", word, nil)
		}
		args = args[n:]
	}
	return args, nil
}

// Parse reads an object, a verb and their arguments. The options are those of
// the front, to which the ones behind the object are added.
func Parse(entries []Entry, o Options, args []string) (*Invocation, error) {
	if len(args) == 0 {
		return nil, &UsageError{Message: "no command given", Incomplete: true}
	}
	entry, ok := Find(entries, args[0])
	if !ok {
		return nil, UnknownCommand(args[0], entries)
	}
	object := entry.Build()
	inv := &Invocation{Command: &object, Path: object.Name, Options: o}
	return inv, inv.parse(args[1:])
}

// parse descends to the verb and takes its options out of the arguments.
func (i *Invocation) parse(args []string) error {
	args, err := i.options(args, len(i.Command.Verbs) > 0)
	if err != nil {
		return err
	}
	if len(i.Command.Verbs) == 0 || i.Options.Help && len(args) == 0 {
		i.Args = args
		if len(args) == 1 && args[0] == "help" && i.isObject() && !i.Command.Verbatim {
			i.Options.Help = true
		}
		return nil
	}
	object := i.Command
	verb, rest := object.defaultVerb(), args
	if len(args) > 0 {
		if named := object.Verb(args[0]); named != nil && !(object.Lenient && !object.exact(args[0])) {
			verb, rest = named, args[1:]
		} else if args[0] == "help" {
			i.Options.Help = true
			return nil
		} else if !object.Lenient || verb == nil {
			return object.UnknownVerb(i.Path, args[0])
		} else {
			i.Verbs = object.verbNames()
		}
	}
	if verb == nil {
		return &UsageError{
			Path:       i.Path,
			Message:    "needs one of: " + strings.Join(object.verbNames(), ", "),
			Incomplete: true,
		}
	}
	i.enter(object, verb)
	return i.parse(rest)
}

// isObject reports whether the command is no verb of another.
func (i *Invocation) isObject() bool { return !strings.Contains(i.Path, " ") }

// exact reports whether the word may stand for a verb where other words may
// follow too: an abbreviation of at least two letters, so that `connection s` is
// not a filter by mistake.
func (c *Command) exact(word string) bool {
	verb := c.Verb(word)
	return verb != nil && (verb.Name == word || len(word) >= 2)
}

// enter makes the verb the command.
func (i *Invocation) enter(object, verb *Command) {
	i.Command, i.Path = object.Inherit(verb), i.Path+" "+verb.Name
}

// Inherit returns the verb's row with what holds for all verbs of the object: its
// flags, its exit codes, and its privilege where the verb says none.
func (c *Command) Inherit(verb *Command) *Command {
	row := *verb
	row.IPRoute = row.IPRoute || c.IPRoute
	row.Flags = append(row.Flags[:len(row.Flags):len(row.Flags)], c.Flags...)
	if row.Privilege == "" {
		row.Privilege = c.Privilege
	}
	return &row
}

func (c *Command) verbNames() []string {
	var names []string
	for i := range c.Verbs {
		if !c.Verbs[i].Hidden {
			names = append(names, c.Verbs[i].Name)
		}
	}
	return names
}

// options takes the command's flags and the global options out of the arguments.
// With leading set it stops at the first word that is none: the verb.
func (i *Invocation) options(args []string, leading bool) ([]string, error) {
	var operands []string
	for len(args) > 0 {
		word := args[0]
		if word == "--" && (!leading || i.Command.Lenient) {
			return append(operands, args[1:]...), nil
		}
		if len(word) < 2 || word[0] != '-' {
			if leading || i.Command.Verbatim {
				return append(operands, args...), nil
			}
			operands, args = append(operands, word), args[1:]
			continue
		}
		n, err := i.flag(args)
		if err == nil && n == 0 {
			n, err = i.Options.option(args)
		}
		switch usage, _ := err.(*UsageError); {
		case usage != nil:
			usage.Path = i.Path
			return nil, usage
		case n > 0:
			args = args[n:]
		case leading:
			return append(operands, args...), nil
		case i.Command.IPRoute:
			// The kernel's grammar judges it: "-1" may stand where a number is wanted.
			operands, args = append(operands, word), args[1:]
		default:
			return nil, unknownOption(i.Path, word, i.Command.Flags)
		}
	}
	return operands, nil
}

// flag takes the command's own flag at args[0] and returns how many words it
// took: 0 if it is none.
func (i *Invocation) flag(args []string) (int, error) {
	if name, isLong := strings.CutPrefix(args[0], "--"); isLong {
		return i.long(name, args)
	}
	return i.letters(args[0][1:], args)
}

func (i *Invocation) long(word string, args []string) (int, error) {
	word, value, attached := strings.Cut(word, "=")
	names := make([]string, len(i.Command.Flags))
	for n := range i.Command.Flags {
		names[n] = i.Command.Flags[n].Name
	}
	n := Match(word, names)
	if n < 0 {
		return 0, nil
	}
	f := &i.Command.Flags[n]
	switch {
	case f.Value == None && attached:
		return 0, &UsageError{Message: "option --" + f.Name + " takes no value", Option: args[0]}
	case f.Value == None, f.Optional && !attached:
		i.flags = append(i.flags, flagValue{f.Name, ""})
		return 1, nil
	case attached:
		i.flags = append(i.flags, flagValue{f.Name, value})
		return 1, nil
	case len(args) < 2:
		return 0, &UsageError{
			Message:    "option --" + f.Name + " needs a value: " + f.Metavar,
			Option:     args[0],
			Incomplete: true,
		}
	}
	i.flags = append(i.flags, flagValue{f.Name, args[1]})
	return 2, nil
}

// letters takes a cluster of short flags. It is one only if each letter is a flag
// of the command, up to the one that takes the rest as its value.
func (i *Invocation) letters(cluster string, args []string) (int, error) {
	var found []flagValue
	for at := 0; at < len(cluster); at++ {
		f := i.Command.letter(cluster[at])
		if f == nil {
			return 0, nil
		}
		if f.Value == None {
			found = append(found, flagValue{f.Name, ""})
			continue
		}
		if rest := cluster[at+1:]; rest != "" {
			i.flags = append(append(i.flags, found...), flagValue{f.Name, rest})
			return 1, nil
		}
		if len(args) < 2 {
			return 0, &UsageError{
				Message:    "option -" + string(f.Letter) + " needs a value: " + f.Metavar,
				Option:     args[0],
				Incomplete: true,
			}
		}
		i.flags = append(append(i.flags, found...), flagValue{f.Name, args[1]})
		return 2, nil
	}
	i.flags = append(i.flags, found...)
	return 1, nil
}

func (c *Command) letter(b byte) *Flag {
	for n := range c.Flags {
		if c.Flags[n].Letter == b && b != 0 {
			return &c.Flags[n]
		}
	}
	return nil
}
