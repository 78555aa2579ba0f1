package replogtest_test

import (
	"fmt"
	"math/big"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/fieldwise/fieldwise"
	"github.com/fieldwise/fieldwise/crdt"
	"github.com/fieldwise/fieldwise/fieldmerge"
	"github.com/fieldwise/fieldwise/internal/randtest"
	"github.com/fieldwise/fieldwise/replog/replogtest"
)

func schemaOf[T any](t testing.TB, options ...fieldmerge.Option) *fieldmerge.Schema[T] {
	t.Helper()
	s, err := fieldmerge.NewSchema[T](options...)
	require.NoError(t, err)
	return s
}

// histories are 70, or 25 under -short, or 250 under FIELDWISE_LONG=1, or as many as
// FIELDWISE_HISTORIES says, and the same each time.
func histories(t testing.TB) (o replogtest.Options) {
	t.Helper()
	o.Histories, o.Seed = 70, randtest.Seed(t)
	if testing.Short() {
		o.Histories = 25
	}
	if os.Getenv("FIELDWISE_LONG") == "1" {
		o.Histories = 250
	}
	if s := os.Getenv("FIELDWISE_HISTORIES"); s != "" {
		n, err := strconv.Atoi(s)
		require.NoError(t, err, "FIELDWISE_HISTORIES")
		o.Histories = n
	}
	return o
}

// counted is a test that notes how many histories it is told of.
type counted struct {
	testing.TB
	histories int
}

func (c *counted) Logf(format string, args ...any) {
	c.Helper()
	_, _ = fmt.Sscanf(fmt.Sprintf(format, args...), "histories: %d,", &c.histories)
	c.TB.Logf(format, args...)
}

func (c *counted) playedAll(t *testing.T, o replogtest.Options) {
	t.Helper()
	if os.Getenv("REPLOGTEST_SEED") == "" {
		require.Equal(t, o.Histories, c.histories, "histories")
	}
}

func checkSchema[T any](t *testing.T, schema *fieldmerge.Schema[T], o replogtest.Options) {
	t.Helper()
	c := &counted{TB: t}
	replogtest.CheckSchema(c, schema, o)
	c.playedAll(t, o)
}

func checkDocuments(t *testing.T, schema *fieldmerge.DocumentSchema, o replogtest.Options) {
	t.Helper()
	c := &counted{TB: t}
	replogtest.CheckDocuments(c, schema, o)
	c.playedAll(t, o)
}

type flat struct {
	Name    string  `merge:"name,lww"`
	Phone   string  `merge:"phone,earliest"`
	Address string  `merge:"address,priority"`
	Age     int     `merge:"age,lww"`
	Score   float64 `merge:",lww"`
	Cached  string  `merge:"-"`
}

func TestSurvivalOfAFlatStruct(t *testing.T) {
	t.Parallel()
	checkSchema(t, schemaOf[flat](t, fieldmerge.Ranks("eu-west-1", "us-east-1")), histories(t))
}

type street struct {
	City string `merge:"city,lww"`
	Zip  int    `merge:"zip,priority"`
}

// Audited is embedded: its fields are those of the struct around it.
type Audited struct {
	By string `merge:"by,lww"`
}

type nested struct {
	Audited
	Home  street    `merge:"home,nested"`
	Work  *street   `merge:"work,nested"`
	Whole street    `merge:"whole,lww"`
	Ref   *string   `merge:"ref,lww"`
	List  []string  `merge:"list,lww"`
	Any   any       `merge:"any,lww"`
	Pair  [2]uint16 `merge:"pair,lww"`
}

func TestSurvivalOfNestedStructs(t *testing.T) {
	t.Parallel()
	checkSchema(t, schemaOf[nested](t, fieldmerge.Ranks("ap-south-1")), histories(t))
}

type device struct {
	Model string            `merge:"model,lww"`
	Seen  time.Time         `merge:"seen,lww"`
	Notes map[string]string `merge:"notes,each=lww"`
}

type maps struct {
	Flags   map[string]bool    `merge:"flags,each=lww"`
	Devices map[string]device  `merge:"devices,each=nested"`
	Spare   map[string]*device `merge:"spare,each=nested"`
	Whole   map[string]int     `merge:"whole,lww"`
}

func TestSurvivalOfMaps(t *testing.T) {
	t.Parallel()
	checkSchema(t, schemaOf[maps](t), histories(t))
}

type offer struct {
	Title    string `merge:"title,lww"`
	Price    int    `merge:"price,lww,group=cost"`
	Currency string `merge:"currency,lww,group=cost"`
	From     *int64 `merge:"from,priority,group=span"`
	To       *int64 `merge:"to,priority,group=span"`
}

func TestSurvivalOfGroups(t *testing.T) {
	t.Parallel()
	checkSchema(t, schemaOf[offer](t, fieldmerge.Ranks("eu-west-1")), histories(t))
}

type plan string

type account struct {
	Plan plan     `merge:"plan,custom=higher"`
	Tags []string `merge:"tags,custom=union"`
	Seat *int     `merge:"seat,custom=most"`
}

// higher is a choice, union and most compute.
func higher(siblings []fieldmerge.Sibling[plan]) (plan, error) {
	best := siblings[0].Value
	for _, s := range siblings {
		best = max(best, s.Value)
	}
	return best, nil
}

func union(siblings []fieldmerge.Sibling[[]string]) ([]string, error) {
	var all []string
	for _, s := range siblings {
		all = append(all, s.Value...)
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}

func most(siblings []fieldmerge.Sibling[*int]) (*int, error) {
	total := 0
	for _, s := range siblings {
		if s.Value != nil {
			total += *s.Value
		}
	}
	return &total, nil
}

func accountSchema(t testing.TB) *fieldmerge.Schema[account] {
	return schemaOf[account](t, fieldmerge.Custom("higher", higher), fieldmerge.Custom("union", union), fieldmerge.Custom("most", most))
}

func TestSurvivalUnderCustomPolicies(t *testing.T) {
	t.Parallel()
	checkSchema(t, accountSchema(t), histories(t))
}

type level uint8

var levels = []string{"low", "high"}

func (l level) MarshalText() ([]byte, error) {
	if int(l) >= len(levels) {
		return nil, fmt.Errorf("no level %d", l)
	}
	return []byte(levels[l]), nil
}

func (l *level) UnmarshalText(text []byte) error {
	i := slices.Index(levels, string(text))
	if i < 0 {
		return fmt.Errorf("no level %q", text)
	}
	*l = level(i)
	return nil
}

type types struct {
	At     time.Time     `merge:"at,lww"`
	For    time.Duration `merge:"for,lww"`
	Photo  []byte        `merge:"photo,lww"`
	Kind   plan          `merge:"kind,lww"`
	Level  level         `merge:"level,lww"`
	Addr   netip.Addr    `merge:"addr,lww"`
	Net    *netip.Prefix `merge:"net,lww"`
	Amount *big.Int      `merge:"amount,lww"`
	Whole  struct {
		A int
		B []plan
		C map[string]*time.Time
	} `merge:"whole,lww"`
}

type meter struct {
	Best  int                `merge:"best,max"`
	Seen  time.Time          `merge:"seen,max"`
	Rev   string             `merge:"rev,max"`
	Left  uint8              `merge:"left,min"`
	Price *float64           `merge:"price,min"`
	Each  map[string]int64   `merge:"each,each=max"`
	Parts map[string]counter `merge:"parts,each=nested"`
	Name  string             `merge:"name,lww"`
}

type counter struct {
	High  time.Duration `merge:"high,max"`
	Level *uint16       `merge:"level,min"`
	Note  string        `merge:"note,priority"`
}

func TestSurvivalOfMaxAndMin(t *testing.T) {
	t.Parallel()
	checkSchema(t, schemaOf[meter](t, fieldmerge.Ranks("mars-1", "sa-east-1")), histories(t))
}

func TestSurvivalOfMaxWithASampleOfOnesOwn(t *testing.T) {
	t.Parallel()
	o := histories(t)
	o.Sample = func(r *rand.Rand) any {
		return meter{Best: r.IntN(20), Rev: strconv.Itoa(r.IntN(20)), Left: uint8(r.IntN(20)), Name: "x"}
	}
	checkSchema(t, schemaOf[meter](t, fieldmerge.Ranks("mars-1")), o)
}

func TestSurvivalOfMaxInDocuments(t *testing.T) {
	t.Parallel()
	schema, err := fieldmerge.NewDocumentSchema(fieldmerge.Default(fieldmerge.LWW), fieldmerge.Field("score.*", fieldmerge.Max),
		fieldmerge.Field("best", fieldmerge.Max), fieldmerge.Field("address.zip", fieldmerge.Min), fieldmerge.Field("low.**", fieldmerge.Min))
	require.NoError(t, err)
	checkDocuments(t, schema, histories(t))
}

type visits struct {
	Name   string                    `merge:"name,lww"`
	Logins crdt.GCounter             `merge:"logins,gcounter"`
	Score  crdt.PNCounter            `merge:"score,pncounter"`
	Stock  int                       `merge:"stock,pncounter"`
	Seen   uint32                    `merge:"seen,gcounter"`
	Pages  map[string]page           `merge:"pages,each=nested"`
	Votes  map[string]int            `merge:"votes,each=pncounter"`
	Hits   map[string]crdt.PNCounter `merge:"hits,each=pncounter"`
	Inner  *page                     `merge:"inner,nested"`
}

type page struct {
	Title string         `merge:"title,lww"`
	Likes crdt.PNCounter `merge:"likes,pncounter"`
	Views int            `merge:"views,gcounter"`
}

func TestSurvivalOfCounters(t *testing.T) {
	t.Parallel()
	checkSchema(t, schemaOf[visits](t), histories(t))
}

type basket struct {
	Tags   crdt.ORSet[string]         `merge:"tags,orset"`
	Seen   crdt.GSet[int]             `merge:"seen,gset"`
	Opted  crdt.EWFlag                `merge:"opted,ewflag"`
	Labels []string                   `merge:"labels,orset"`
	Badges []int                      `merge:"badges,gset"`
	Open   bool                       `merge:"open,ewflag"`
	Groups map[string]crdt.ORSet[int] `merge:"groups,each=orset"`
	Inner  choices                    `merge:"inner,nested"`
	More   map[string]*choices        `merge:"more,each=nested"`
	Name   string                     `merge:"name,lww"`
}

type choices struct {
	Flags crdt.EWFlag      `merge:"flag,ewflag"`
	Zones crdt.ORSet[plan] `merge:"zones,orset"`
	Best  int              `merge:"best,max"`
}

func TestSurvivalOfSetsAndFlags(t *testing.T) {
	t.Parallel()
	checkSchema(t, schemaOf[basket](t), histories(t))
}

type script struct {
	Lines []string         `merge:"lines,list"`
	Steps map[string][]int `merge:"steps,each=list"`
	Part  *part            `merge:"part,nested"`
	Name  string           `merge:"name,lww"`
}

type part struct {
	Items []plan `merge:"items,list"`
	Count int    `merge:"count,pncounter"`
}

func TestSurvivalOfLists(t *testing.T) {
	t.Parallel()
	checkSchema(t, schemaOf[script](t), histories(t))
}

type order struct {
	Lines  []orderLine        `merge:"lines,list=sku"`
	Guests []guest            `merge:"guests,list=n"`
	Rooms  map[string][]guest `merge:"rooms,each=list=n"`
	Tables map[string]table   `merge:"tables,each=nested"`
	Name   string             `merge:"name,lww"`
}

type orderLine struct {
	SKU   plan             `merge:"sku,lww"`
	Count crdt.PNCounter   `merge:"count,pncounter"`
	Note  *string          `merge:"note,priority"`
	Tags  []string         `merge:"tags,orset"`
	Best  int              `merge:"best,max"`
	Price street           `merge:"price,nested"`
	Opts  map[string]int64 `merge:"opts,each=lww"`
}

type guest struct {
	Name string `merge:"name,lww"`
	N    int8   `merge:"n,lww"`
}

type table struct {
	Seats []seat `merge:"seats,list=at"`
}

type seat struct {
	At    string  `merge:"at,lww"`
	Dish  []guest `merge:"dish,list=n"`
	Taken bool    `merge:"taken,ewflag"`
}

func TestSurvivalOfListsByKey(t *testing.T) {
	t.Parallel()
	o := histories(t)
	o.Histories = (o.Histories + 1) / 2 // the records are large
	checkSchema(t, schemaOf[order](t, fieldmerge.Ranks("eu-west-1")), o)
}

func TestSurvivalOfListsByKeyInDocuments(t *testing.T) {
	t.Parallel()
	schema, err := fieldmerge.NewDocumentSchema(fieldmerge.Default(fieldmerge.LWW), fieldmerge.Ranks("eu-west-1"),
		fieldmerge.Field("lines", fieldmerge.ListBy("sku")), fieldmerge.Field("lines.*.count", fieldmerge.PNCounter),
		fieldmerge.Field("lines.*.tags", fieldmerge.ORSet), fieldmerge.Field("lines.*.seats", fieldmerge.ListBy("n")),
		fieldmerge.Field("lines.*.best", fieldmerge.Max), fieldmerge.Field("address.city", fieldmerge.ListBy("id")))
	require.NoError(t, err)
	o := histories(t)
	o.Histories = (o.Histories + 1) / 2 // the records are large
	checkDocuments(t, schema, o)
}

func TestSurvivalOfCountersAndSetsInDocuments(t *testing.T) {
	t.Parallel()
	schema, err := fieldmerge.NewDocumentSchema(fieldmerge.Default(fieldmerge.LWW),
		fieldmerge.Field("tags", fieldmerge.ORSet), fieldmerge.Field("score.*", fieldmerge.PNCounter), fieldmerge.Field("hits", fieldmerge.GCounter),
		fieldmerge.Field("address.zip", fieldmerge.GSet), fieldmerge.Field("lists.*", fieldmerge.List), fieldmerge.Field("on", fieldmerge.EWFlag))
	require.NoError(t, err)
	checkDocuments(t, schema, histories(t))
}

func TestSurvivalOfCountersAndSetsWithASampleOfOnesOwn(t *testing.T) {
	t.Parallel()
	o := histories(t)
	o.Sample = func(r *rand.Rand) any {
		words := []string{"one", "two", "three", "four"}
		some := words[r.IntN(3):]
		return basket{Tags: crdt.NewORSet(some...), Labels: some, Badges: []int{r.IntN(5), r.IntN(5)}, Open: r.IntN(2) == 0, Name: words[r.IntN(4)]}
	}
	checkSchema(t, schemaOf[basket](t), o)
}

func TestSurvivalOfTypesWithCodecs(t *testing.T) {
	t.Parallel()
	checkSchema(t, schemaOf[types](t), histories(t))
}

func TestSurvivalWithASampleOfOnesOwn(t *testing.T) {
	t.Parallel()
	o := histories(t)
	o.Regions = []fieldwise.Region{"a", "b", "c"}
	o.Sample = func(r *rand.Rand) any {
		return flat{Name: []string{"Asha", "Ravi"}[r.IntN(2)], Age: 18 + r.IntN(3)}
	}
	checkSchema(t, schemaOf[flat](t, fieldmerge.Ranks("b")), o)
}

func TestSurvivalOfDocuments(t *testing.T) {
	t.Parallel()
	schema, err := fieldmerge.NewDocumentSchema(fieldmerge.Default(fieldmerge.LWW), fieldmerge.Ranks("eu-west-1", "ap-south-1"),
		fieldmerge.Field("address.*", fieldmerge.Priority), fieldmerge.Field("phone", fieldmerge.Earliest))
	require.NoError(t, err)
	checkDocuments(t, schema, histories(t))
}
