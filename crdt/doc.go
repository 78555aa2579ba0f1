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
// # A domain of registers
//
// [OpenRegisters] opens a domain whose records are one register each, and gives it a
// typed face. Most programs call lww.Open or regionpriority.Open instead.
package crdt
