// Package crdt holds the merge mechanisms: conflict-free replicated data types whose
// join needs no schema, no clock and no configuration.
//
// # Multi-value register
//
// [MVRegister] holds one value that is replaced as a whole. Writes that knew of each
// other replace each other whatever their clocks say; writes that did not know of
// each other stay side by side as siblings until a later write replaces them. A write
// knows what the region that takes it holds. Which sibling a reader sees is for a
// [Policy]: packages lww and regionpriority have the usual ones. Since the mechanism
// does not depend on the policy, a domain can change its policy at any time, even
// while its regions run different ones.
//
// A register keeps one item an origin: the time of that origin's last write, and
// either its value or the mark that a later write elsewhere superseded it. The join
// takes the higher time per origin; at equal times the mark beats a value, and of two
// different values, which only a reused identity can produce, the larger bytes win.
// That is a maximum over chains, point by point, and therefore commutative,
// associative and idempotent in any order of delivery. An origin has one item at
// most, so a register cannot grow beyond the number of origins.
//
// The idea is the multi-value register of Shapiro, Preguiça, Baquero and Zawirski, "A
// comprehensive study of Convergent and Commutative Replicated Data Types" (INRIA
// RR-7506, 2011), with the compression of its version vectors to one item an origin
// that Dynamo-style dotted version vectors make (Preguiça et al., "Dotted Version
// Vectors", 2012).
//
// # Domains
//
// A domain whose records are one mechanism each has a typed face:
//
//	OpenRegisters              values that are replaced as a whole; lww.Open and
//	                           regionpriority.Open give it a policy
//	OpenCounters OpenGCounters counts that add up
//	OpenSets     OpenGSets     sets, in which an add wins over a concurrent removal
//	OpenLists                  lists, in which all that is inserted and taken out is done
//	OpenFlags                  on or off; on wins
//	OpenMax      OpenMin       the largest and the smallest value
//
//	visits, err := crdt.OpenCounters(replica, "visits")
//	_, err = visits.Inc(ctx, "home", 1)
//
// A write replaces or takes back what the region that takes it knows of, and nothing else:
// what is written elsewhere meanwhile stays. A record is there while it has something to
// show: a count since the last reset, elements, a flag that is on or off, a value. Reset,
// Clear and Delete take that away, so that Get gives [fieldwise.ErrNotFound] and All leaves
// the record out until somebody writes to it again. No mark is kept that a record was deleted:
// a write that did not know of it brings back what that write says, and no more.
//
// A write that would change nothing is not written, and its receipt is zero. To add an element
// or to enable a flag that is there already does change something: it then stays where another
// region takes it away without knowledge of that. A counter, a set, a list and a flag lose no
// write, and so report no conflicts. Of a largest or smallest value a delete can be overruled,
// which is reported.
//
// # Values in structs
//
// [PNCounter], [GCounter], [ORSet], [GSet] and [EWFlag] stand as fields in the structs of a
// service:
//
//	type Profile struct {
//		Logins crdt.GCounter
//		Tags   crdt.ORSet[string]
//	}
//	p.Logins.Inc(1)
//	p.Tags.Add("trial")
//
// Such a value is what a reader was shown, and remembers what was done to it since: its
// intents. A commit makes one delta of the intents, never of a difference: Inc(1) by two
// regions that know nothing of each other is 2, and an Add of what is there already is a
// change that beats a Remove elsewhere. So intents are kept where nothing seems to change;
// only adding 0 to a counter is none.
//
// The zero value is empty and usable. Assignment copies: what is done to a copy leaves the
// original as it is, and the other way round, at a cost that does not grow with the value.
// Values are not comparable by ==; Equal compares what they read as.
//
// What NewPNCounter and the other constructors return, and what is decoded from JSON or
// msgpack, is a literal: it stands for itself and comes from no record, and its intents make
// it from nothing. An empty literal has an intent too, and so is there, where a zero value is
// not. JSON and msgpack carry what a value reads as, not its intents.
//
// Reset, Clear and Disable take back what the region that commits them knows of, and what is
// done elsewhere meanwhile stays. That is why Reset is not Dec(Value()): two regions that
// both reset a counter of 5 leave 0, and two that both take 5 away leave -5.
//
// A set of a record that is kept open (see [fieldwise.Opener]) is given to a change without its
// elements: Add, Remove, Has and Len look at those that they are about, all other methods read
// the whole set each time. Elements that its Go type cannot hold are left out then, Len apart,
// and stay.
//
// [GCounter] and [GSet] are the faces of a counter and of a set that offer no way down but
// GCounter.Reset; what a record holds under them is the same as under [PNCounter] and [ORSet],
// so a field can change its face. A GCounter reads a sum below 0 as 0.
package crdt
