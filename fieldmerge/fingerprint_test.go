package fieldmerge_test

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/fieldwise/fieldwise/fieldmerge"
)

func fingerprintOf[T any](t require.TestingT, options ...fieldmerge.Option) string {
	s, err := fieldmerge.NewSchema[T](options...)
	require.NoError(t, err)
	return s.Fingerprint()
}

func documentFingerprint(t require.TestingT, options ...fieldmerge.Option) string {
	return newSchema(t, options...).Fingerprint()
}

// fingerprints are those of two schemas with many fields, in the order struct, document.
func fingerprints(t require.TestingT) string {
	var fields []fieldmerge.Option
	for i := range 40 {
		fields = append(fields, fieldmerge.Field(fmt.Sprintf("f%d.*", i), fieldmerge.LWW), fieldmerge.Field(fmt.Sprint(i), fieldmerge.Earliest))
	}
	return everythingSchema(t).Fingerprint() + " " + documentFingerprint(t, append(fields, fieldmerge.Default(fieldmerge.LWW))...)
}

const goldenFingerprints = "8b68d96a1d7464b55dbbb93b9e156bdd 9f8eee92f470e456dd964e012f744f7e"

// If this fails, regions of the last release and of this one show drift although their
// schemas are the same: say so in the release notes.
func TestFingerprintIsTheSameInEveryProcess(t *testing.T) {
	const helper = "FIELDWISE_FINGERPRINT"
	if os.Getenv(helper) != "" {
		fmt.Println("fingerprints:", fingerprints(t))
		return
	}
	require.Equal(t, goldenFingerprints, fingerprints(t))
	exe, err := os.Executable()
	require.NoError(t, err)
	for range 3 {
		cmd := exec.Command(exe, "-test.run=^"+t.Name()+"$", "-test.v")
		cmd.Env = append(os.Environ(), helper+"=1")
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", out)
		_, after, found := strings.Cut(string(out), "fingerprints: ")
		require.True(t, found, "%s", out)
		got, _, _ := strings.Cut(after, "\n")
		require.Equal(t, goldenFingerprints, got)
	}
}

func TestFingerprintChangesWithWhatReadersSee(t *testing.T) {
	type base struct {
		Name string `merge:"name,lww"`
		City string `merge:"city,lww"`
	}
	names := map[string]string{fingerprintOf[base](t): "base"}
	first := func(siblings []fieldmerge.Sibling[string]) (string, error) { return siblings[0].Value, nil }
	for name, got := range map[string]string{
		"another name": fingerprintOf[struct {
			Name string `merge:"Name,lww"`
			City string `merge:"city,lww"`
		}](t),
		"a former name": fingerprintOf[struct {
			Name string `merge:"name,lww,was=full"`
			City string `merge:"city,lww"`
		}](t),
		"one field more": fingerprintOf[struct {
			Name string `merge:"name,lww"`
			City string `merge:"city,lww"`
			Zip  string `merge:"zip,lww"`
		}](t),
		"one field less": fingerprintOf[struct {
			Name string `merge:"name,lww"`
		}](t),
		"another strategy": fingerprintOf[struct {
			Name string `merge:"name,lww"`
			City string `merge:"city,earliest"`
		}](t),
		"a custom strategy": fingerprintOf[struct {
			Name string `merge:"name,lww"`
			City string `merge:"city,custom=first"`
		}](t, fieldmerge.Custom("first", first)),
		"another custom strategy": fingerprintOf[struct {
			Name string `merge:"name,lww"`
			City string `merge:"city,custom=one"`
		}](t, fieldmerge.Custom("one", first)),
		"strategies swapped": fingerprintOf[struct {
			Name string `merge:"name,earliest"`
			City string `merge:"city,lww"`
		}](t),
		"ranks":           fingerprintOf[base](t, fieldmerge.Ranks("a", "b")),
		"the other ranks": fingerprintOf[base](t, fieldmerge.Ranks("b", "a")),
		"a group": fingerprintOf[struct {
			Name string `merge:"name,lww,group=g"`
			City string `merge:"city,lww,group=g"`
		}](t),
		"a group of another name": fingerprintOf[struct {
			Name string `merge:"name,lww,group=h"`
			City string `merge:"city,lww,group=h"`
		}](t),
		"an integer": fingerprintOf[struct {
			Name int    `merge:"name,lww"`
			City string `merge:"city,lww"`
		}](t),
		"a float": fingerprintOf[struct {
			Name float64 `merge:"name,lww"`
			City string  `merge:"city,lww"`
		}](t),
		"bytes": fingerprintOf[struct {
			Name []byte `merge:"name,lww"`
			City string `merge:"city,lww"`
		}](t),
		"a list": fingerprintOf[struct {
			Name []string `merge:"name,lww"`
			City string   `merge:"city,lww"`
		}](t),
		"a map": fingerprintOf[struct {
			Name map[string]string `merge:"name,lww"`
			City string            `merge:"city,lww"`
		}](t),
		"entries": fingerprintOf[struct {
			Name map[string]string `merge:"name,each=lww"`
			City string            `merge:"city,lww"`
		}](t),
		"entries that are integers": fingerprintOf[struct {
			Name map[string]int `merge:"name,each=lww"`
			City string         `merge:"city,lww"`
		}](t),
		"entries of another strategy": fingerprintOf[struct {
			Name map[string]string `merge:"name,each=earliest"`
			City string            `merge:"city,lww"`
		}](t),
		"a time": fingerprintOf[struct {
			Name time.Time `merge:"name,lww"`
			City string    `merge:"city,lww"`
		}](t),
		"a struct": fingerprintOf[struct {
			Name Home1  `merge:"name,lww"`
			City string `merge:"city,lww"`
		}](t),
		"fields": fingerprintOf[struct {
			Name Home1  `merge:"name,nested"`
			City string `merge:"city,lww"`
		}](t),
		"other fields": fingerprintOf[struct {
			Name Home2  `merge:"name,nested"`
			City string `merge:"city,lww"`
		}](t),
		"documents": documentFingerprint(t, fieldmerge.Field("name", fieldmerge.LWW), fieldmerge.Field("city", fieldmerge.LWW), fieldmerge.Default(fieldmerge.LWW)),
	} {
		require.Empty(t, names[got], "%s has the same fingerprint", name)
		names[got] = name
	}
}

func TestFingerprintDoesNotChangeWithGoNamesOrderAndWidth(t *testing.T) {
	require.Equal(t, fingerprintOf[struct {
		Name string `merge:"name,lww"`
		Age  int32  `merge:"age,lww"`
		Base
		Home   Home1            `merge:"home,nested"`
		Amount int              `merge:"amount,lww,group=price"`
		Unit   string           `merge:"unit,lww,group=price"`
		Sites  map[string]Home1 `merge:"sites,each=nested"`
		Tags   []string         `merge:"tags,lww"`
	}](t), fingerprintOf[struct {
		Sites2   map[Tier]HomeByAnotherName `merge:"sites,each=nested"`
		Currency Tier                       `merge:"unit,lww,group=price"`
		Cents    int64                      `merge:"amount,lww,group=price"`
		Years    *uint64                    `merge:"age,lww"`
		FullName Tier                       `merge:"name,lww"`
		House    *HomeByAnotherName         `merge:"home,nested"`
		Created  time.Time                  `merge:"created,earliest"`
		By       string                     `merge:"by,lww"`
		Tags     []int                      `merge:"tags,lww"`
		Unstored func()                     `merge:"-"`
	}](t))
}

type HomeByAnotherName struct {
	PostalCode string `merge:"zip,lww"`
	Town       string `merge:"city,lww"`
}

func TestFingerprintOfDocuments(t *testing.T) {
	lww, field := fieldmerge.Default(fieldmerge.LWW), fieldmerge.Field
	same := documentFingerprint(t, lww, field("a", fieldmerge.Earliest), field("b", fieldmerge.LWW), field("m.*", fieldmerge.LWW), field("*.x", fieldmerge.Earliest))
	require.Equal(t, same, documentFingerprint(t, field("b", fieldmerge.LWW), field("m.*", fieldmerge.LWW), field("a", fieldmerge.Earliest), field("*.x", fieldmerge.Earliest), lww),
		"the order of exact paths does not count")
	for name, other := range map[string]string{
		"patterns in another order": documentFingerprint(t, lww, field("a", fieldmerge.Earliest), field("b", fieldmerge.LWW), field("*.x", fieldmerge.Earliest), field("m.*", fieldmerge.LWW)),
		"another default":           documentFingerprint(t, fieldmerge.Default(fieldmerge.Earliest), field("a", fieldmerge.Earliest), field("b", fieldmerge.LWW), field("m.*", fieldmerge.LWW), field("*.x", fieldmerge.Earliest)),
		"another strategy":          documentFingerprint(t, lww, field("a", fieldmerge.LWW), field("b", fieldmerge.LWW), field("m.*", fieldmerge.LWW), field("*.x", fieldmerge.Earliest)),
		"one less":                  documentFingerprint(t, lww, field("a", fieldmerge.Earliest), field("m.*", fieldmerge.LWW), field("*.x", fieldmerge.Earliest)),
	} {
		require.NotEqual(t, same, other, name)
	}
}
