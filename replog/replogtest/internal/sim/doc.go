// Package sim plays regions that replicate with each other on one thread, in virtual time:
// the real engine over the real log on a disk in memory, clients, links and clocks that misbehave as a
// seed says. One seed is one history, event by event; a history that breaks a promise is
// shrunk to the faults and the writes that it takes, and told as a story.
//
// The approach is that of FoundationDB's simulator (Zhou et al., "FoundationDB: A Distributed
// Unbundled Transactional Key Value Store", 2021) and of TigerBeetle's VOPR. Each seed draws
// which kinds of faults there are at all, and how often they strike, since mixes of everything at
// once hide what one kind alone would show (Groce et al., "Swarm Testing", 2012).
//
// A run has two phases. In the first, faults strike. Then they stop: links and regions are
// up, and everything has to converge within a bounded time. What has to hold at every step
// and in the end is in model.go, for any records, and in profiles.go.
//
// What only people can mend is mended as an error tells them to: see forks.go.
//
// # Scenarios
//
// The files in testdata/scenarios are stories that are played command by command, without faults
// but those that they have. A line is a command, or a comment behind "# "; what comes of it
// stands below it, indented, and is written by go test -run TestScenarios -update.
//
//	regions a b c                 begins with these regions, one clock and all links up
//	write a k name=x city=y       sets fields of the record at k in a, or creates it
//	unset a k name                takes a field away
//	count a k hits 2              counts in a counter; hits is one
//	add a k tags x                adds to a set or a list: tags is a set, notes a list
//	remove a k tags x             removes from it
//	delete a k                    deletes the record
//	cut a b                       takes a link down, both ways
//	heal                          brings all links up, or heal a b that of two regions
//	kill a                        ends the process of a; another one starts after a second
//	power a                       the same, without what was not synced
//	clock a 2099                  sets the clock of a: to 2099, a time ahead (5m) or behind, or right
//	release a 2                   starts a anew with release 2 of the service, which has notes and ranks plan
//	backup a                      copies the disk of a
//	restore a b                   puts the copies in place of the disks, and starts what was running
//	forget a                      lets the log of a lack all entries that are in it
//	empty a                       gives a an empty disk: it begins with a snapshot of states
//	clone a                       starts a second process of a, a', on a copy of its disk
//	discard a                     throws the directory of a away, which begins with an empty one
//	run 5s                        lets time pass; so does each write, for 10 ms
//	show k                        tells what readers of k see in each region
package sim
