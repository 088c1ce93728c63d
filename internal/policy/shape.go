package policy

import (
	"errors"
	"fmt"

	"github.com/pelletier/go-toml/v2"
)

// shape tells which value of the file is of another type than its key wants; the
// TOML package says so in the names of Go's types. It returns nil where it finds
// none.
func shape(text []byte) error {
	var file map[string]any
	if err := toml.Unmarshal(text, &file); err != nil {
		return nil // told of in better words already
	}
	if limits, given := file["limits"]; given {
		table, ok := limits.(map[string]any)
		if !ok {
			return &Error{"limits", errors.New("want a table: [limits] with subflows = N")}
		}
		for _, key := range []string{"subflows", "add_addr_accepted"} {
			if value, given := table[key]; given && !isNumber(value) {
				return &Error{"limits: " + key, fmt.Errorf("want a number, as in %s = 4", key)}
			}
		}
	}
	endpoints, given := file["endpoint"]
	if !given {
		return nil
	}
	rules, ok := tables(endpoints)
	if !ok {
		return &Error{
			"endpoint", errors.New("want a table for each: [[endpoint]] with address = \"…\" and flags = […]"),
		}
	}
	for i, rule := range rules {
		if err := ruleShape(rule); err != nil {
			err.Where = fmt.Sprintf("endpoint %d: %s", i+1, err.Where)
			return err
		}
	}
	return nil
}

// ruleShape is shape for one endpoint.
func ruleShape(rule map[string]any) *Error {
	for _, key := range []string{"id", "port"} {
		if value, given := rule[key]; given && !isNumber(value) {
			return &Error{key, errors.New("want a number")}
		}
	}
	for _, key := range []string{"address", "dev", "link", "within", "family"} {
		if _, isText := rule[key].(string); rule[key] != nil && !isText {
			return &Error{key, errors.New("want text in quotes")}
		}
	}
	if _, isBool := rule["bind"].(bool); rule["bind"] != nil && !isBool {
		return &Error{"bind", errors.New("want true or false")}
	}
	flags, isList := rule["flags"].([]any)
	for _, flag := range flags {
		if _, isText := flag.(string); !isText {
			isList = false
		}
	}
	if rule["flags"] != nil && !isList {
		return &Error{"flags", errors.New(`want a list, as in flags = ["subflow", "backup"]`)}
	}
	return nil
}

func isNumber(value any) bool {
	_, ok := value.(int64)
	return ok
}

// tables returns the tables of an array, in whichever form the file has them.
func tables(value any) ([]map[string]any, bool) {
	switch value := value.(type) {
	case []map[string]any:
		return value, true
	case []any:
		var all []map[string]any
		for _, one := range value {
			table, ok := one.(map[string]any)
			if !ok {
				return nil, false
			}
			all = append(all, table)
		}
		return all, true
	}
	return nil, false
}
