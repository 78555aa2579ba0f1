// Package replogtest checks a schema of package fieldmerge in a test of the service that
// uses it:
//
//	func TestProfilesConverge(t *testing.T) {
//		replogtest.CheckSchema(t, profileSchema, replogtest.Options{})
//	}
//
// It plays random histories of one record in two to five regions: creates, updates,
// patches, writes under tokens that are fresh or stale, deletes and creates after them,
// settled conflicts, clocks that are behind or far ahead, links that are cut, writes
// that arrive late, and regions that are restored from an earlier copy of their disks. In a
// part of the histories writes arrive in any order, twice or never, until full states heal it. All of it happens in memory, one step at a time: there is no
// goroutine, nothing sleeps, and the clock is one that the history moves. A history is
// drawn from a seed, and the seed plays it again.
//
// # What is checked
//
//	convergence   when everything has arrived, all regions hold the same bytes and show
//	              the same record, however often it is read
//	survival      each change of a field that was acknowledged is shown, or a write that
//	              knew of it took its place, or conflict reports of all regions name it;
//	              a field of max shows it or more, one of min it or less, and what was
//	              counted and added is shown unless a write that knew of it took it back.
//	              Excused, and counted, is what a restore lost before any other region had
//	              heard of it: what others have comes back. What was written in an object of a
//	              list by key by a writer who knew of something lost may go unseen
//	sums and      in every region, at every moment, a counter shows the sum of what the
//	elements      writes there counted, a set, a flag and a list what they added, but for
//	              what resets and removes that knew of it took back; nothing comes back,
//	              nothing shows that nobody added, and a list keeps the order in which one
//	              write put its elements
//	round trip    what was written is what a reader in the same region gets, and a field
//	              that was settled shows what it was settled on
//	no-op         an update that changes nothing writes nothing
//	true reports  what a report says was lost was written, and is not shown
//	tokens        a write under a token takes the place of nothing that the token did not
//	              show: in its own region it is refused, what others wrote stays beside it
//	policy        the schema's functions neither fail nor panic
//	merge laws    on the states that come up; fieldwise.CheckLaws looks at more of them
//	errors        no call fails that should not, and none panics; fields of max, min,
//	              gcounter and gset are written in their direction, and refused in the
//	              other; what was asked for is written
//
// Schemas with fields under ByShape are refused: the check does not know these.
//
// Most of this is the library's business. A schema's own part are its functions
// (fieldmerge.Custom), which have to depend on the values alone, the codecs of its types,
// which have to read back what they wrote, and the strategies, of which a story shows what
// they do.
//
// [Simulate] plays whole replicas instead, whose links, disks, clocks and processes fail, and
// several records. It checks
//
//	convergence   once faults stop, all regions hold the same bytes, show the same records, and
//	              know that they do, within two minutes of virtual time
//	the log       an acknowledged write is in it after each crash, an entry has one content
//	              everywhere, no number is left out, and causes come before effects
//	survival      each write is in the state of all regions, and these are what the writes
//	              come to in any other order; what a register does not show was replaced by a
//	              write that knew of it or is named in a report, and so is what a delete drops.
//	              Excused, and counted, is what stood on a disk alone that was put back to an
//	              earlier copy: what others have comes back
//	tokens        what a write under a token knew of is what the token showed, also where the
//	              disk was put back since then: nothing else goes without a report
//	true reports  what a report says was lost was written, and is not shown right behind it
//	policy        the schema's functions neither fail nor panic
//	errors        records can be read all along, and no call fails that should not
//
// It does not look at what single calls return: that is what [CheckSchema] does.
//
// Its faults are messages that are lost, repeated, late or overtake each other; links that are cut
// in one direction, or between two regions for good; processes that are killed or stand still, also
// while they start; power cuts, after which the disk has kept, dropped or mixed up what was not
// synced; failing and full disks; disks that are put back to an earlier copy, all at once at times,
// while clients go on with what they had read; a second process on a copy of a region's disk, after
// which a history ends well as soon as a region says that there are two; clocks that are wrong,
// jump there and back, or go to 2099 for a while. It leaves out regions that come and go, two releases
// side by side, bits that flip on disks or on their way, and peers that lie.
//
// [CheckReleases] demands the same of two releases of a service side by side, as in a rolling
// deploy, and that neither touches the fields that only the other knows.
//
// # Failures
//
// A history that fails is made as short as it can be and told as a story: who wrote what
// where and when by the clock of that region, what the writer knew of, what arrived and
// was reported, what readers see in the end, and which check failed. Its last line plays
// the same history again:
//
//	REPLOGTEST_SEED=0x2a go test -run '^TestProfilesConverge$' .
//
// So do failures of Simulate, in seconds since the history began.
//
// A function that depends on something else than the values it is given may behave well
// the second time.
//
// # Records
//
// Records are made from the struct's type, from few values, so that different writers
// often choose the same; changes of fields of max and min mostly go on, a few go back and
// are refused. Counters count from what they show, and of sets and lists few elements
// change at a time; objects of a list=KEY are changed, added, removed and moved. CRDT values
// are changed by their methods, as a service does it: within an update those of the record
// that it is given. A type with a codec of its own gets the values that the codec reads from
// some common texts, or that its kind suggests. Where that is not enough, or functions of the
// schema expect more of a value, give [Options].Sample.
package replogtest
