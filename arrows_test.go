package fieldwise_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const module = "github.com/fieldwise/fieldwise"

// The libraries that code outside of tests may import, by the name that arrows uses.
// This is all that a user of the core pulls in.
var libraries = map[string]string{
	"msgpack": "github.com/vmihailenco/msgpack/v5",
	"hclog":   "github.com/hashicorp/go-hclog",
}

// The libraries that _test.go files may import besides these.
var testLibraries = []string{
	"github.com/stretchr/testify",
	"github.com/google/go-cmp",
	"pgregory.net/rapid",
	"go.uber.org/goleak",
	"github.com/anishathalye/porcupine",
}

// arrows says what each package imports besides the standard library: packages by
// their directory, "root" for the contract, libraries by their name. DIR/... stands
// for DIR and all below it, and "this module" for all of its packages. The _test.go
// files of a package may import more, and so may anything in a nested module.
//
// A new package gets a line here, and one in section 2 of the design.
var arrows = []struct {
	dir string
	may []string
}{
	// What everything agrees on.
	{"root", nil},
	{"internal/wire", nil},
	{"internal/value", []string{"internal/wire", "msgpack"}},

	// Strategies: they see Store and Host, and nothing of the log.
	{"internal/lattice", []string{"root", "internal/wire"}},
	{"crdt", []string{"root", "internal/wire", "internal/value", "internal/lattice"}},
	{"lww", []string{"root", "crdt"}},
	{"regionpriority", []string{"root", "crdt", "lww"}},
	{"internal/mapstore", []string{"root"}}, // stands in for the log in their tests
	{"internal/randtest", []string{"pgregory.net/rapid"}},
	{"fieldmerge", []string{"root", "internal/wire", "internal/value", "internal/lattice", "crdt", "lww", "regionpriority"}},

	// The log: it knows Merger, and no strategy.
	{"replog/internal/disk", nil},
	{"replog/internal/snapshot", []string{"internal/wire", "replog/internal/disk"}},
	{"replog/internal/engine", []string{"root", "internal/wire"}},
	{"replog/wal", []string{"replog/internal/disk"}},
	{"replog", []string{"root", "replog/internal/engine", "replog/wal", "replog/internal/snapshot", "replog/internal/disk", "hclog"}},
	{"replog/httplink", []string{"root", "replog", "hclog"}},
	{"replog/replogtest/internal/sim", []string{"this module"}},
	{"replog/replogtest", []string{"this module"}},
	{"replog/replogctl", []string{"this module"}},

	{"examples/...", []string{"this module", "hclog"}}, // hclog: what Config.Logger takes
}

// testPackages are imported by _test.go files only, and by each other.
var testPackages = []string{"replog/replogtest", "replog/replogtest/internal/sim", "internal/mapstore", "internal/randtest"}

// topLevel are the directories at the root that hold Go code.
var topLevel = []string{"lww", "regionpriority", "fieldmerge", "crdt", "replog", "examples", "internal"}

// The engine replays one history from one seed, so nothing of the world outside
// reaches it but through its arguments.
const engineDir = "replog/internal/engine"

var (
	engineMayNotImport = []string{"os", "net", "sync", "math/rand", "crypto/rand", "syscall", "testing"}
	engineMayNotCall   = []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker"} // of package time
)

func TestImportArrows(t *testing.T) {
	faults, seen := arrowFaults(t, os.DirFS("."))
	for _, fault := range faults {
		t.Error(fault)
	}
	assert.Contains(t, seen, "root", "the tree was not found")
}

// arrowFaults reads all Go files of a module and says which break an arrow, and
// which package directories there are.
func arrowFaults(t *testing.T, tree fs.FS) (faults, seen []string) {
	t.Helper()
	require.NoError(t, fs.WalkDir(tree, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && name == ".":
			return nil
		case d.IsDir():
			base := path.Base(name)
			_, err := fs.Stat(tree, path.Join(name, "go.mod"))
			if err == nil || base == "testdata" || strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") {
				return fs.SkipDir // a nested module, or nothing that go builds
			}
			return nil
		case path.Ext(name) != ".go":
			return nil
		}
		dir := path.Dir(name)
		if dir == "." {
			dir = "root"
		}
		if !slices.Contains(seen, dir) {
			seen = append(seen, dir)
			faults = append(faults, placeFaults(dir)...)
		}
		source, err := fs.ReadFile(tree, name)
		if err != nil {
			return err
		}
		files := token.NewFileSet()
		file, err := parser.ParseFile(files, name, source, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, fault := range fileFaults(dir, strings.HasSuffix(name, "_test.go"), file) {
			faults = append(faults, fmt.Sprintf("%s: %s", files.Position(fault.at), fault.what))
		}
		return nil
	}))
	return faults, seen
}

// rightsOf is the line of arrows for a package directory, the longest that fits.
func rightsOf(dir string) (may []string, listed bool) {
	longest := -1
	for _, a := range arrows {
		if len(a.dir) > longest && matches(a.dir, dir) {
			may, listed, longest = a.may, true, len(a.dir)
		}
	}
	return may, listed
}

func matches(pattern, dir string) bool {
	if below, ok := strings.CutSuffix(pattern, "/..."); ok {
		return dir == below || strings.HasPrefix(dir, below+"/")
	}
	return dir == pattern
}

func placeFaults(dir string) (faults []string) {
	if top, _, _ := strings.Cut(dir, "/"); top != "root" && !slices.Contains(topLevel, top) {
		faults = append(faults, fmt.Sprintf("%s: a package at the top level that is not in the house; "+
			"put it below one of %v, make it a nested module, or add it to topLevel in arrows_test.go", dir, topLevel))
	}
	if _, listed := rightsOf(dir); !listed {
		faults = append(faults, fmt.Sprintf("%s: this package has no line in the table arrows of arrows_test.go; "+
			"add one that says what it may import", dir))
	}
	return faults
}

type fault struct {
	at   token.Pos
	what string
}

func fileFaults(dir string, isTest bool, file *ast.File) (faults []fault) {
	for _, spec := range file.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			continue // the parser refuses it
		}
		if what := importFault(dir, isTest, imported); what != "" {
			faults = append(faults, fault{spec.Pos(), what})
		}
	}
	if dir == engineDir && !isTest {
		faults = append(faults, engineFaults(file)...)
	}
	return faults
}

// importFault says why a file of the package may not import this, or returns "".
func importFault(dir string, isTest bool, imported string) string {
	first, _, _ := strings.Cut(imported, "/")
	local, isLocal := localDir(imported)
	switch {
	case imported == "C":
		return "cgo is not used here"
	case isLocal && slices.Contains(testPackages, local) && !slices.Contains(testPackages, dir) && !isTest:
		return local + " is for _test.go files only"
	case isLocal:
		if isTest || allows(dir, local) || allows(dir, "this module") {
			return ""
		}
		return fmt.Sprintf("%s may not import %s; see the table arrows", dir, local)
	case !strings.Contains(first, "."):
		if dir == engineDir && !isTest && slices.ContainsFunc(engineMayNotImport, func(p string) bool { return matches(p+"/...", imported) }) {
			return fmt.Sprintf("the engine may not import %s: it is stepped from outside", imported)
		}
		return ""
	}
	for name, library := range libraries {
		if imported == library || strings.HasPrefix(imported, library+"/") {
			if isTest || allows(dir, name) {
				return ""
			}
			return fmt.Sprintf("%s may not import %s; see the table arrows", dir, name)
		}
	}
	if slices.ContainsFunc(testLibraries, func(p string) bool { return matches(p+"/...", imported) }) {
		if isTest || allows(dir, imported) {
			return ""
		}
		return fmt.Sprintf("%s is for _test.go files only", imported)
	}
	return fmt.Sprintf("%s is not one of the libraries that this module stands on; a package that needs it is a nested module", imported)
}

// localDir is the directory of a package of this module.
func localDir(imported string) (dir string, ok bool) {
	if imported == module {
		return "root", true
	}
	return strings.CutPrefix(imported, module+"/")
}

func allows(dir, target string) bool {
	may, _ := rightsOf(dir)
	return slices.Contains(may, target)
}

// engineFaults finds goroutines and readings of the wall clock.
func engineFaults(file *ast.File) (faults []fault) {
	timeName := "" // what the file calls package time
	for _, spec := range file.Imports {
		if spec.Path.Value != `"time"` {
			continue
		}
		timeName = "time"
		if spec.Name != nil {
			timeName = spec.Name.Name
		}
		if timeName == "." {
			faults = append(faults, fault{spec.Pos(), "the engine may not import time into its own names"})
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			faults = append(faults, fault{n.Pos(), "the engine may not start a goroutine: it is stepped from outside"})
		case *ast.SelectorExpr:
			if x, ok := n.X.(*ast.Ident); ok && timeName != "" && x.Name == timeName && slices.Contains(engineMayNotCall, n.Sel.Name) {
				faults = append(faults, fault{n.Pos(), "the engine may not mention time." + n.Sel.Name + ": time comes in with the events"})
			}
		}
		return true
	})
	return faults
}

// The table would be worth nothing if a fault could not be seen.
func TestImportArrowsCanFail(t *testing.T) {
	source := func(imports ...string) string {
		s := "package p\n"
		for _, i := range imports {
			if !strings.Contains(i, `"`) {
				i = strconv.Quote(i)
			}
			s += "import " + i + "\n"
		}
		return s
	}
	own := func(dir string) string { return module + "/" + dir }
	cases := []struct {
		file, source string
		says         string // empty: this is allowed
	}{
		{"merger.go", source("fmt", "crypto/sha256"), ""},
		{"merger.go", source(own("internal/wire")), "root may not import internal/wire"},
		{"merger.go", source("github.com/hashicorp/go-hclog"), "root may not import hclog"},
		{"merger_test.go", source(own("crdt"), "github.com/stretchr/testify/require", "pgregory.net/rapid"), ""},
		{"merger.go", source("github.com/stretchr/testify/require"), "for _test.go files only"},
		{"merger_test.go", source("github.com/onsi/gomega"), "not one of the libraries"},
		{"merger.go", source("github.com/klauspost/compress/zstd"), "not one of the libraries"},
		{"merger.go", source("C"), "cgo"},

		{"internal/wire/read.go", source(module), "internal/wire may not import root"},
		{"internal/value/value.go", source(own("internal/wire"), "github.com/vmihailenco/msgpack/v5", "github.com/vmihailenco/msgpack/v5/msgpcode"), ""},
		{"internal/value/value.go", source("github.com/vmihailenco/msgpack/v4"), "not one of the libraries"},
		{"fieldmerge/record.go", source("github.com/vmihailenco/msgpack/v5"), "fieldmerge may not import msgpack"},
		{"fieldmerge/record.go", source(module, own("crdt"), own("lww"), own("regionpriority")), ""},
		{"fieldmerge/record.go", source(own("replog")), "fieldmerge may not import replog"},
		{"lww/lww.go", source(own("internal/lattice")), "lww may not import internal/lattice"},
		{"lww/lww.go", source(own("regionpriority")), "lww may not import regionpriority"},
		{"crdt/register.go", source(own("internal/lattice")), ""},
		{"internal/lattice/register.go", source(own("crdt")), "internal/lattice may not import crdt"},

		{"replog/replica.go", source(own("replog/wal"), own("replog/internal/engine"), "github.com/hashicorp/go-hclog"), ""},
		{"replog/replica.go", source(own("lww")), "replog may not import lww"},
		{"replog/replica.go", source(own("replog/replogtest")), "for _test.go files only"},
		{"replog/replica_test.go", source(own("replog/replogtest")), ""},
		{"replog/replogtest/cluster.go", source(own("replog"), own("fieldmerge")), ""},
		{"replog/replogtest/cluster.go", source(own("internal/mapstore")), ""},
		{"lww/lww.go", source(own("internal/mapstore")), "for _test.go files only"},
		{"lww/lww_test.go", source(own("internal/mapstore")), ""},
		{"replog/wal/writer.go", source(module), "replog/wal may not import root"},
		{"replog/wal/sub/x.go", source(), "no line in the table arrows of arrows_test.go"},
		{"replog/replogctl/main.go", source(own("replog/internal/engine")), ""},
		{"examples/profiles/main.go", source(own("fieldmerge"), own("replog")), ""},
		{"examples/profiles/main.go", source(own("replog/replogtest")), "for _test.go files only"},
		{"examples/profiles/main.go", source("github.com/nats-io/nats.go"), "not one of the libraries"},

		{"util/util.go", source(), "top level that is not in the house"},
		{"util/util_test.go", source(), "top level that is not in the house"},
		{"util/testdata/x.go", source("nowhere.example/x"), ""},
		{"adapters/nats/go.mod", "module x", ""},

		{"replog/internal/engine/e.go", source("fmt", "time", module, own("internal/wire")), ""},
		{"replog/internal/engine/e.go", source("os"), "engine may not import os"},
		{"replog/internal/engine/e.go", source("net/http"), "engine may not import net/http"},
		{"replog/internal/engine/e.go", source("sync"), "engine may not import sync"},
		{"replog/internal/engine/e.go", source("sync/atomic"), "engine may not import sync/atomic"},
		{"replog/internal/engine/e.go", source("math/rand"), "engine may not import math/rand"},
		{"replog/internal/engine/e.go", source("math/rand/v2"), "engine may not import math/rand/v2"},
		{"replog/internal/engine/e.go", source(own("replog/internal/disk")), "may not import replog/internal/disk"},
		{"replog/internal/engine/e.go", source() + "func f() { go f() }", "goroutine"},
		{"replog/internal/engine/e.go", source("time") + "var now = time.Now", "time.Now"},
		{"replog/internal/engine/e.go", source("time") + "func f() { time.Sleep(1) }", "time.Sleep"},
		{"replog/internal/engine/e.go", source("time") + "func f() { <-time.After(1) }", "time.After"},
		{"replog/internal/engine/e.go", source(`clock "time"`) + "var f = clock.NewTimer", "time.NewTimer"},
		{"replog/internal/engine/e.go", source(`. "time"`) + "var f = Now", "into its own names"},
		{"replog/internal/engine/e.go", source("time") + "func f(t time.Time) bool { return t.After(t) }", ""},
		{"replog/internal/engine/e_test.go", source("os", "sync", "time") + "func f() { go time.Now() }", ""},
	}
	for _, c := range cases {
		faults, _ := arrowFaults(t, fstest.MapFS{c.file: {Data: []byte(c.source)}})
		if c.says == "" {
			assert.Empty(t, faults, "%s: %s", c.file, c.source)
		} else if assert.NotEmpty(t, faults, "%s: %s", c.file, c.source) {
			assert.Contains(t, strings.Join(faults, "\n"), c.says)
		}
	}
}

func TestImportArrowsSkipNestedModules(t *testing.T) {
	faults, seen := arrowFaults(t, fstest.MapFS{
		"doc.go":               {Data: []byte("package fieldwise")},
		"adapters/nats/go.mod": {Data: []byte("module nats")},
		"adapters/nats/x.go":   {Data: []byte("package nats\nimport \"github.com/nats-io/nats.go\"")},
	})
	assert.Empty(t, faults)
	assert.Equal(t, []string{"root"}, seen)
}
