// Package fieldwise is the contract of a library that lets several regions take
// writes to the same records and end up with the same record everywhere, field by
// field, with no acknowledged change lost in silence.
//
// This package holds what everything else agrees on and nothing that does work of
// its own: who writes ([Region], [Origin]), in what order ([Timestamp], [Version],
// [Clock]), how two states of a record become one ([Merger]), and the seam between
// merging and moving ([Store], [Host]).
//
// # Mechanism and policy
//
// Merging is mechanism: [Merger] joins two states without a schema, a clock or
// configuration, so that regions which disagree on policies or run different
// releases still hold the same bytes. Resolution is policy: which of several
// concurrent values a reader sees is decided when someone reads. A field can
// therefore change from last-write-wins to region priority in the middle of a
// rolling deploy, and the value that lost stays a readable sibling until it is
// overwritten.
//
// # Two numbers, never folded into one
//
// A [Seq] says which entries a replica has; a [Timestamp] orders values. A late
// entry may carry an early timestamp and an early entry a late one.
//
// # Where things are
//
//   - crdt: the merge mechanisms; a multi-value register in this release, and max and min
//     as fields of records
//   - lww, regionpriority: whole records under one policy
//   - fieldmerge: records that merge field by field, as Go structs and JSON-shaped
//   - replog: the replicated log that stores and ships the changes
//   - replog/replogtest: a test of a service's own schema
//   - examples/profiles: a program that shows all of it in a few seconds
package fieldwise
