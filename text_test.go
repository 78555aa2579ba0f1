package fieldwise_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/fieldwise/fieldwise"
)

// year9999 is behind the last timestamp whose text can be read.
const year9999 = fieldwise.Timestamp(253402300800000) << 16

func textSeeds() []fieldwise.Receipt {
	return []fieldwise.Receipt{
		{},
		{Origin: fieldwise.Origin{Region: "a"}, Seq: 1},
		{Origin: fieldwise.Origin{Region: "eu-west-1", Incarnation: 1<<64 - 1}, Seq: 1<<64 - 1, Time: year9999 - 1},
		{Origin: fieldwise.Origin{Region: "-", Incarnation: 0x1a2b}, Seq: 12, Time: 1800000000123<<16 | 7},
	}
}

func TestTextsAreReadAsTheyAreWritten(t *testing.T) {
	for _, r := range textSeeds() {
		got, err := fieldwise.ParseReceipt(r.String())
		require.NoError(t, err, r)
		require.Equal(t, r, got)
		type all struct {
			Receipt fieldwise.Receipt
			Version fieldwise.Version
			Origin  fieldwise.Origin
		}
		if r.IsZero() {
			continue
		}
		want := all{r, r.Version(), r.Origin}
		b, err := json.Marshal(want)
		require.NoError(t, err)
		var back all
		require.NoError(t, json.Unmarshal(b, &back), string(b))
		require.Equal(t, want, back)
	}
	r := textSeeds()[3]
	require.Equal(t, "2027-01-15T08:00:00.123Z+7@-#1a2b/12", r.String())
	id := (&fieldwise.Conflict{Key: "k"}).ID()
	b, err := json.Marshal(id)
	require.NoError(t, err)
	require.Equal(t, `"`+id.String()+`"`, string(b))
}

func TestOtherTextsAreRefused(t *testing.T) {
	for _, text := range []string{
		"x", "/1", "@", "2027-01-15T08:00:00.123Z+7@a#1", "2027-01-15T08:00:00.123Z+7@a#1/0", "2027-01-15T08:00:00.123Z+7@a#1/01",
		"2027-01-15T08:00:00.123Z+7@A#1/1", "2027-01-15T08:00:00.123Z+7@a/1", "2027-01-15T08:00:00.123Z@a#1/1",
		"2027-01-15T08:00:00.123+01:00+7@a#1/1", "2027-01-15T08:00:00.123Z+65536@a#1/1", "1969-01-15T08:00:00.123Z+7@a#1/1",
		"2027-01-15T08:00:00Z+7@a#1/1", "2027-01-15T08:00:00.123Z+7@a#0x1/1", "2027-01-15T08:00:00.123Z+7@a#1/1 ",
	} {
		_, err := fieldwise.ParseReceipt(text)
		require.ErrorIs(t, err, fieldwise.ErrText, text)
	}
	_, err := fieldwise.ParseReceipt("x\ny")
	require.EqualError(t, err, `fieldwise: malformed text: "x\ny" is no receipt`)
}

func FuzzParseReceipt(f *testing.F) {
	for _, r := range textSeeds() {
		f.Add(r.String())
	}
	f.Add("2027-01-15T08:00:00.123Z+7@a#01/1")
	f.Fuzz(func(t *testing.T, text string) {
		r, err := fieldwise.ParseReceipt(text)
		if err != nil {
			require.ErrorIs(t, err, fieldwise.ErrText)
			return
		}
		require.Equal(t, text, r.String(), "one text for one receipt")
	})
}
