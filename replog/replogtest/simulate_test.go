package replogtest_test

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/fieldmerge"
	"github.com/fieldwise/fieldwise/replog/replogtest"
)

// simulations are a twentieth as many histories as others: each has hundreds of writes.
func simulations(t testing.TB) replogtest.Options {
	o := histories(t)
	o.Histories = max(o.Histories/20, 1)
	return o
}

func simulating[T any](schema *fieldmerge.Schema[T]) func(testing.TB, replogtest.Options) {
	return func(t testing.TB, o replogtest.Options) { replogtest.Simulate(t, schema, o) }
}

func simulatingDocuments(t testing.TB, options ...fieldmerge.Option) func(testing.TB, replogtest.Options) {
	schema, err := fieldmerge.NewDocumentSchema(options...)
	require.NoError(t, err)
	return func(t testing.TB, o replogtest.Options) { replogtest.SimulateDocuments(t, schema, o) }
}

func TestPropertyReplicasKeepAnySchema(t *testing.T) {
	for name, simulate := range map[string]func(testing.TB, replogtest.Options){
		"flat":     simulating(schemaOf[flat](t, fieldmerge.Ranks("eu-west-1", "us-east-1"))),
		"nested":   simulating(schemaOf[nested](t, fieldmerge.Ranks("ap-south-1"))),
		"maps":     simulating(schemaOf[maps](t)),
		"groups":   simulating(schemaOf[offer](t, fieldmerge.Ranks("eu-west-1"))),
		"policies": simulating(accountSchema(t)),
		"max, min": simulating(schemaOf[meter](t, fieldmerge.Ranks("mars-1", "sa-east-1"))),
		"counters": simulating(schemaOf[visits](t)),
		"sets":     simulating(schemaOf[basket](t)),
		"lists":    simulating(schemaOf[script](t)),
		"objects":  simulating(schemaOf[order](t, fieldmerge.Ranks("eu-west-1"))),
		"types":    simulating(schemaOf[types](t)),
		"sample": func(t testing.TB, o replogtest.Options) {
			o.Sample = func(r *rand.Rand) any { return flat{Name: []string{"Asha", "Ravi"}[r.IntN(2)], Age: 18 + r.IntN(3)} }
			o.Regions = []fieldwise.Region{"a", "b", "c"}
			replogtest.Simulate(t, schemaOf[flat](t, fieldmerge.Ranks("b")), o)
		},
		"documents": simulatingDocuments(t, fieldmerge.Default(fieldmerge.LWW), fieldmerge.Ranks("eu-west-1", "ap-south-1"),
			fieldmerge.Field("address.*", fieldmerge.Priority), fieldmerge.Field("phone", fieldmerge.Earliest), fieldmerge.Field("name", fieldmerge.Max)),
		"documents with counters, sets and lists": simulatingDocuments(t, fieldmerge.Default(fieldmerge.LWW),
			fieldmerge.Field("tags", fieldmerge.ORSet), fieldmerge.Field("score.*", fieldmerge.PNCounter), fieldmerge.Field("hits", fieldmerge.GCounter),
			fieldmerge.Field("address.zip", fieldmerge.GSet), fieldmerge.Field("lists.*", fieldmerge.List), fieldmerge.Field("on", fieldmerge.EWFlag)),
		"documents with objects": simulatingDocuments(t, fieldmerge.Default(fieldmerge.LWW), fieldmerge.Ranks("eu-west-1"),
			fieldmerge.Field("lines", fieldmerge.ListBy("sku")), fieldmerge.Field("lines.*.count", fieldmerge.PNCounter),
			fieldmerge.Field("lines.*.tags", fieldmerge.ORSet), fieldmerge.Field("lines.*.best", fieldmerge.Max)),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			simulate(t, simulations(t))
		})
	}
}
