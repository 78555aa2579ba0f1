// Package fieldmerge keeps records that merge field by field: two regions that change
// different fields of one record both keep their change, and concurrent values of one
// field are resolved by the field's policy when somebody reads.
//
// # Use
//
// A struct with tags says how each field is stored and resolved. [NewSchema] checks it
// once, [Open] opens a domain of a host, usually a replog.Replica, under it:
//
//	type Profile struct {
//		Name    string            `merge:"name,lww"`
//		Address string            `merge:"address,priority"`
//		Plan    string            `merge:"plan,custom=plan"`
//		Prefs   map[string]string `merge:"prefs,each=lww"`
//	}
//	schema, err := fieldmerge.NewSchema[Profile](
//		fieldmerge.Ranks("us-east-1", "eu-west-1"),
//		fieldmerge.Custom("plan", higherPlan),
//	)
//	profiles, err := fieldmerge.Open(replica, "profiles", schema)
//	_, err = profiles.Create(ctx, "asha", Profile{Name: "Asha"})
//	_, err = profiles.Update(ctx, "asha", func(p *Profile) error { p.Address = "Mumbai"; return nil })
//	p, err := profiles.Get(ctx, "asha")
//
// [Documents] is the same for JSON-shaped records, a map[string]any each, with policies
// by path: [NewDocumentSchema]. Both faces store the same bytes.
//
// # Tags
//
// A tag is `merge:"NAME,STRATEGY"`, and may end in ",group=NAME" or ",was=NAME". Every
// exported field has one, or `merge:"-"`; there is no silent default. NAME is what is
// stored, by default the Go field's name; rename the Go field as you like, and keep it.
//
//	lww           the value with the largest version
//	earliest      the value with the smallest version of those that are concurrent
//	priority      the value of the region that ranks highest: see Ranks
//	max, min      the largest or the smallest value that was ever written: numbers, times,
//	              strings; the field is written in one direction only
//	custom=NAME   what a function of the service makes of the values: see Custom
//	nested        a struct, or a pointer to one, whose fields are fields with tags of their own
//	each=STRATEGY a map with string keys: each entry is a field under that strategy;
//	              each=nested for a map of structs
//	pncounter     what regions count up and down adds up: a crdt.PNCounter, or an integer
//	gcounter      the same, upwards only: a crdt.GCounter, or an integer
//	orset         what regions add and remove comes together, and an add wins over a remove
//	              that did not know of it: a crdt.ORSet, or a slice, read in order of its values
//	gset          the same, without removing: a crdt.GSet, or a slice
//	ewflag        a switch: on wins over an off that did not know of it: a crdt.EWFlag, or a bool
//	list          a slice whose elements are added, removed and moved one by one
//	list=KEY      a slice of structs that are told apart by the field KEY, a string or an
//	              integer, and merge field by field
//
// Under lww, earliest, priority and custom the field is one value of whatever type: a slice, a
// map or a struct is replaced whole. All types work that the program could store with msgpack/v5: numbers,
// strings, []byte, time.Time (as an instant), time.Duration, named types, pointers, and
// types that are encoding.TextMarshaler and TextUnmarshaler; structs that are one value by
// their `msgpack` tags. Fields of an embedded struct without a tag stand among those of the
// struct around it.
//
// A pointer says whether there is a value: nil is unset. Any other field that was never
// written reads as the zero value of its type; Create does not write zero values, and
// Update writes those that it sets.
//
// Fields with one group=NAME are written as one value and have one policy: price and
// currency, say, which no merge then takes from two writers. Before its first write the
// group reads its fields where they are stored without it. was=NAME reads a field under
// the name that it had before until it is first written under its new one. What becomes of
// stored values when a schema changes, and how to do it in a rolling deploy, is in
// EVOLUTION.md beside this file.
//
// # Counters, sets and lists
//
// A value of package crdt in a struct remembers what is done to it: in the closure of an
// Update, call its methods. One that comes from elsewhere cannot be assigned (ErrAssigned), a
// new record takes literals such as crdt.NewORSet("a"). An integer, a bool or a slice in its place
// is compared with what the closure was shown: the counter counts the difference, the set and the list
// add and remove what is new and gone. Replace and Put do so with every such field, and with
// what the writer was shown; so does a patch under a token with what counts. So two regions that write at the same time both count, and none
// of these fields has conflicts, with two exceptions that are reported: what a delete of the record
// drops unseen, and fields that were changed in an object that was removed from its list.
//
// A counter that counted nothing since its last reset is as good as not there: 0 in a struct,
// nothing in a document; to unset it is to reset it. Unsetting a set or a list removes what is in
// it. An element of a list keeps its place while others come and go, and is a new one when its
// value changes; elements written to one place at the same time stand one after the other, and
// one that two regions moved is where the newer move put it. Moving an element adds it anew, so
// it stays where another region removed it meanwhile. An object of a list=KEY is its key
// in the list and fields below it: devices.7.name. Removing it wins over moving it and over
// changing its fields; a key that changes is another object. The field KEY is not patched.
//
// # Records
//
// A map is not a value but more fields, and so are a nested struct and the entries of an
// each= map: address.city is a field of its own, and a map without entries exists too. Paths
// join segments by "."; see [JoinPath] for the escapes. Of a document, a list is one value,
// unless a pattern says otherwise, or the default is [ByShape]: then the lists that are written
// say how they merge.
//
// Every field of one value is a multi-value register (see package crdt): a write replaces the values
// that its region held, and values written without knowledge of each other stay side by
// side until somebody overwrites them. Unset is such a value too.
//
// # Life
//
// A record has a life, a count that create and delete raise by one: odd is alive, even
// is deleted. The higher life wins whole, equal lives join field by field. Therefore
//
//   - a delete wins over updates that did not know of it, whatever the clocks say,
//   - an update never revives a deleted record: it is ErrNotFound,
//   - a record created again is a fresh record, without the fields it had before,
//   - one key created in two regions at once is one record with the fields of both,
//   - a create made in ignorance of a delete is dropped by it, and reported.
//
// A deleted record leaves a tombstone, which stays: it keeps, without values, what the
// delete had seen, so that what it had not seen can be reported. The life is the
// causal length of Yu and Rostad, "A Low-Cost Set CRDT Based on Causal Lengths" (2020).
//
// # Shape
//
// Two regions may give one path different shapes: one writes a value at address while
// the other writes address.city. Both are kept; the side with the greater version
// shows, whatever the fields' policies say, and the other is reported: as a conflict of
// kind shape, or of kind update/update at the path of a map that both sides made. A write of either side
// settles it: a value unsets what its region held below it, and a field below a value
// makes a map of it. A map that one region unsets while another writes below it shows
// what the other wrote, and the unset is reported.
//
// # Conflicts
//
// What a reader does not see although no later write knew of it is reported by the
// replica that hides it, under the losing version: with the values, who wrote them, the
// policy and its reason. Two concurrent values that are equal are no conflict. Reports are
// made when states meet, under the policy of that moment: after a change of policy a value
// may be hidden without a new report. [Domain.Explain] shows at any time what each
// field's value beat and why, [Domain.Siblings] all values of a field, and [Domain.Resolve]
// settles it.
//
// # Writing what was read
//
// [Domain.Update] runs a change on the newest state. Where a person decides between reading
// and writing, [Domain.Read] returns a [Token] of what they were shown: with [Domain.Put],
// or [IfMatch] on other writes, a field that this region changed since is a [ChangedError],
// and what another region wrote since is not overwritten unseen but becomes a sibling. Over
// HTTP a token is an ETag. Nothing diffs a new version against the current record, since
// that would put back all that changed in between with full knowledge.
//
// # Bytes
//
// The format is fields/1. A state is its life (msgpack uint), the table of the origins
// in use (bin), and then for a live record its fields to the end, each a bin of name,
// kind and what the kind has (see internal/lattice); for a deleted one the context of its deletes. Equal knowledge has
// equal bytes, whatever the order in which it came. A record that was created without
// fields has one field of a kind of its own, so that its creation has a version. A release
// keeps and passes on the fields of other releases unchanged. A group's value is a map from
// the names of its fields.
package fieldmerge
