package sim

import (
	"maps"
	"slices"
	"testing"
	"time"
)

// aimed are histories that are bent towards what would be rare in others.
var aimed = map[string]Plan{
	// What a process sent that is gone arrives when its disk is an old copy, and all have
	// confirmed that they hold no more than the copy.
	"late answers": {
		With: Restores | Delays, Without: allFaults &^ (Restores | Delays),
		aim: func(c *conditions) {
			c.regions = min(c.regions, 3)
			c.latency, c.sync, c.between = c.latency/10, c.sync/10, c.between/2
			c.often[Restores] += 2 * time.Second
			c.phase = 20 * time.Second
		},
	},
	// What a restored region lacks of its own comes by way of others, whose disks are restored
	// while they relay it.
	"restores while others relay": {
		With: Restores | DeadLinks, Without: Clones | FarFuture | Jumps | DiskErrors | FullDisks | Members,
		aim: func(c *conditions) { c.regions = max(c.regions, 4) },
	},
	// Nobody asks a member that is away, which may hold what either of two processes signed.
	"clones while a member is away": {
		With: Clones | Members, Without: Restores | FarFuture | Jumps | DiskErrors | FullDisks,
		aim: func(c *conditions) {
			c.regions = max(c.regions, 3)
			c.often[Members] = c.often[Members]/4 + 200*time.Millisecond
		},
	},
	// Confirmations are asked for, answered and begun again by processes that do not live long.
	"power cuts while an identity is confirmed": {
		With: PowerCuts | Restores, Without: Clones | FarFuture | Jumps | DiskErrors | FullDisks | Stalls,
		aim: func(c *conditions) {
			c.often[PowerCuts] = c.often[PowerCuts]/4 + 400*time.Millisecond
			c.latency = min(c.latency, 20*time.Millisecond)
			c.patient = 3 * time.Second
		},
	},
	// The list of those who have to confirm changes under who asks them.
	"members that leave while an identity is confirmed": {
		With: Members | Kills | Restores, Without: Clones | FarFuture | Jumps | DiskErrors | FullDisks | Stalls,
		aim: func(c *conditions) {
			c.regions = max(c.regions, 3)
			c.often[Members], c.often[Kills] = c.often[Members]/4+300*time.Millisecond, c.often[Kills]/4+400*time.Millisecond
			c.latency = min(c.latency, 20*time.Millisecond)
			c.patient = 3 * time.Second
		},
	},
}

func TestPropertyHistoriesThatAreAimed(t *testing.T) {
	n := max(histories(t, 300, 3000)/20, 1) // of each: there are many
	if *count > 0 {
		n = min(*count, 60)
	}
	for _, name := range slices.Sorted(maps.Keys(aimed)) {
		t.Run(name, func(t *testing.T) { play(t, aimed[name], n) })
	}
}
