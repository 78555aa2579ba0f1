package fieldwise

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
)

// Sibling is one of several values of a field that were written without knowledge
// of each other and are all still current.
type Sibling struct {
	Version Version
	// Value is canonical msgpack; nil means that the field was unset or deleted.
	Value []byte
	// Created says that the write created the record, where the merger knows.
	Created bool
}

// ConflictKind says how a value came to be hidden.
type ConflictKind uint8

const (
	// ConflictUpdate: another region wrote the same field, and the policy shows its value.
	ConflictUpdate ConflictKind = iota + 1
	// ConflictDelete: another region deleted the record; deletes win.
	ConflictDelete
	// ConflictShape: another region wrote a value above or below the field's path.
	ConflictShape
	// ConflictStamp: one version carries two values, so an identity was reused.
	ConflictStamp
	// ConflictCreate: another region created the record, too, with another value of the
	// field, and the policy shows that one.
	ConflictCreate
	// ConflictPolicy: the field's policy failed, so that the value of the highest version
	// is shown instead; Reason has the error.
	ConflictPolicy
	// ConflictMechanism: the write is of another mechanism than the one that the schema here
	// gives the field, so that its readers do not see it. Both are kept.
	ConflictMechanism
)

// String is a short name, such as "update/update".
func (k ConflictKind) String() string {
	switch k {
	case ConflictUpdate:
		return "update/update"
	case ConflictDelete:
		return "update/delete"
	case ConflictShape:
		return "shape"
	case ConflictStamp:
		return "duplicate stamp"
	case ConflictCreate:
		return "create/create"
	case ConflictPolicy:
		return "policy error"
	case ConflictMechanism:
		return "kind"
	}
	return fmt.Sprintf("ConflictKind(%d)", uint8(k))
}

// Conflict names one write that readers do not see although nobody overwrote it
// knowingly, and what won over it. Every region reports what it hides itself. The
// winner's Version is zero where no single write won, as when a policy computed the
// value that readers see.
type Conflict struct {
	Kind   ConflictKind
	Domain string
	Key    string
	Field  string  // the field's path; empty for a whole record
	Loser  Sibling // what is hidden
	Winner Sibling // what prevailed; without a Value for deletes and shapes
	Policy string  // the policy that chose, or the rule: "lww", "delete wins"
	Reason string  // why it chose so, in a few words; may be empty
}

// ConflictID identifies the hidden write in all regions.
type ConflictID [16]byte

// String is the identifier in hexadecimal.
func (id ConflictID) String() string { return hex.EncodeToString(id[:]) }

// ID is computed from domain, key, field, losing version and losing value alone, so that the
// reports of several regions about one hidden write have one ID and consumers drop
// the repeats; a write that added several elements to a set has one for each. It is the
// first half of a SHA-256.
func (c *Conflict) ID() ConflictID {
	h := sha256.New()
	var b [8]byte
	for _, s := range []string{c.Domain, c.Key, c.Field, string(c.Loser.Version.Origin.Region), string(c.Loser.Value)} {
		h.Write(binary.BigEndian.AppendUint64(b[:0], uint64(len(s))))
		h.Write([]byte(s))
	}
	h.Write(binary.BigEndian.AppendUint64(b[:0], c.Loser.Version.Origin.Incarnation))
	h.Write(binary.BigEndian.AppendUint64(b[:0], uint64(c.Loser.Version.Time)))
	return ConflictID(h.Sum(nil)[:16])
}
