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
package sim
