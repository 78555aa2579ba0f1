package main

import (
	"testing"
)

func TestWhatIsShown(t *testing.T) {
	c := filled(t)
	for name, args := range map[string][]string{
		"inspect_us.txt":    {"inspect", c.us},
		"inspect_eu.txt":    {"inspect", c.eu},
		"inspect_eu.json":   {"inspect", c.eu, "--json"},
		"dump_us.json":      {"dump", c.us},
		"dump_eu.json":      {"dump", c.eu},
		"conflicts_us.txt":  {"conflicts", c.us},
		"conflicts_us.json": {"conflicts", "--json", c.us},
		"conflicts_eu.txt":  {"conflicts", c.eu},
		"verify.txt":        {"verify", c.us, c.eu},
		"verify.json":       {"verify", "--json", c.us, c.eu},
	} {
		t.Run(name, func(t *testing.T) {
			requireGolden(t, name, shown(t, args...), c.us, c.eu)
		})
	}
}
