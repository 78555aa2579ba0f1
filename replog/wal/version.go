package wal

// FormatVersion is the version of the format that this release writes, and the only one that it
// reads.
const FormatVersion = formatVersion
