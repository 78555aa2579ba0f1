// Package fieldmerge keeps records that merge field by field: two regions that change
// different fields of one record both keep their change, and concurrent values of one
// field are resolved by the field's policy when somebody reads.
//
// # Use
//
// A [Schema] gives each field a policy by its path. [Open] opens a domain of a host,
// usually a replog.Replica, under it:
//
//	schema, err := fieldmerge.NewDocumentSchema(
//		fieldmerge.Default(fieldmerge.LWW),
//		fieldmerge.Ranks("us-east-1", "eu-west-1"),
//		fieldmerge.Field("address.**", fieldmerge.Priority),
//	)
//	profiles, err := fieldmerge.OpenDocuments(replica, "profiles", schema)
//	_, err = profiles.Create(ctx, "asha", map[string]any{"name": "Asha", "phone": "111"})
//	_, err = profiles.Update(ctx, "asha", func(doc map[string]any) error {
//		doc["phone"] = "222"
//		return nil
//	})
//
// # Records
//
// A record is JSON-shaped: a map[string]any of nil, booleans, numbers, strings, byte
// slices, times, lists and maps. A map is not a value but more fields: address.city is
// a field of its own, and a map without entries exists too. A list is one value. Paths
// join segments by "."; see [JoinPath] for the escapes.
//
// Every field is a multi-value register (see package crdt): a write replaces the values
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
// replica that hides it, under the losing version. Two concurrent values that are equal
// are no conflict. Reports are made when states meet, under the policy of that moment:
// after a change of policy a value may be hidden without a new report, and stays among
// the field's siblings ([Domain.Siblings]).
//
// # Two fields that belong together
//
// Fields are merged one by one. If one region sets price and currency and another,
// concurrently, sets both too, each field goes to the write with the greater version;
// but if each region changes one of them, the result is a pair that nobody wrote. Keep
// such a pair in one value, for instance a list of two.
//
// # Bytes
//
// The format is fields/1. A state is its life (msgpack uint), the table of the origins
// in use (bin), and then for a live record its fields to the end, each a bin of name,
// kind and items; for a deleted one the context of its deletes. Equal knowledge has
// equal bytes, whatever the order in which it came. A record that was created without
// fields has one field of a kind of its own, so that its creation has a version. A release
// keeps and passes on the fields of other releases unchanged.
package fieldmerge
