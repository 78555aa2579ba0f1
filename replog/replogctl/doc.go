// Replogctl looks into the data directories of replicas: what is in a log, whether it is whole,
// whether the directories of a cluster agree, and which writes were hidden by others.
//
//	replogctl inspect DIR           who signs, origins, domains, size, the torn end
//	replogctl dump DIR              the entries in log order, as lines of JSON
//	replogctl verify DIR...         check logs, and compare those of one cluster
//	replogctl conflicts DIR         the conflict reports
//	replogctl help [COMMAND]        flags and examples
//
// It opens a directory for reading only and takes no lock: a running replica may have it open. What
// it shows is the log as it was when the command began. Its last frames may not be synced yet, and
// what the replica is writing at that moment may look like a torn end; neither is a fault.
//
// Each command has --json for programs: inspect and verify print one object, dump and conflicts one
// a line. Fields may be added in later releases. Without it the output is for people and may change.
// Where standard error is a terminal, progress is shown there.
//
// # Exit codes
//
//	0    all is well; also where the reader of a pipe went away
//	1    damage or differences were found
//	2    the call is wrong: unknown command or flag, bad filter
//	3    something could not be read (missing, no permission, locked, of another format), or the
//	     output not be written
//	130  interrupted
//
// A torn end is no fault: a crash leaves one, of writes that were not acknowledged. Damage to the
// last batch of a log looks the same, though, and no log can tell the two. Where another directory
// holds more of a region's entries than the region's own does (see the vectors of verify --json), it
// was damage, or the region's is an older copy.
//
// # Memory
//
// Logs are read as streams, whatever their size. Verify joins the states of one domain at a time and
// holds them in memory, of two directories where they differ; --no-states does without.
package main
