package lattice

// maxCells bounds the work of a comparison of two lists.
const maxCells = 1 << 22

// matching says, per value of to, which value of from it is, -1 for none: a longest common
// subsequence, or only what begins and ends alike where the lists differ in too much.
func matching(from, to [][]byte) []int {
	ids := make(map[string]int, len(from))
	numbered := func(values [][]byte) []int {
		out := make([]int, len(values))
		for i, v := range values {
			id, ok := ids[string(v)]
			if !ok {
				id = len(ids)
				ids[string(v)] = id
			}
			out[i] = id
		}
		return out
	}
	a, b := numbered(from), numbered(to)
	match := make([]int, len(b))
	for i := range match {
		match[i] = -1
	}
	first := 0
	for ; len(a) > 0 && len(b) > 0 && a[0] == b[0]; first++ {
		match[first] = first
		a, b = a[1:], b[1:]
	}
	for len(a) > 0 && len(b) > 0 && a[len(a)-1] == b[len(b)-1] {
		a, b = a[:len(a)-1], b[:len(b)-1]
		match[first+len(b)] = first + len(a)
	}
	commonSubsequence(a, b, func(i, j int) { match[first+j] = first + i })
	return match
}

// commonSubsequence calls pair for the indices of a longest common subsequence, last ones
// first, or not at all where finding it takes more than maxCells steps.
//
// Source: Myers, "An O(ND) difference algorithm and its variations" (1986).
func commonSubsequence(a, b []int, pair func(i, j int)) {
	if len(a) == 0 || len(b) == 0 {
		return
	}
	// rows[d][i] is how far into a one gets on diagonal 2*i-d, that is a's index minus b's,
	// with d values left out.
	var rows [][]int32
	start := func(d, i int) (x int, fromB bool) { // fromB: the value left out there is b's
		if d == 0 {
			return 0, false
		}
		if prev := rows[d-1]; i == 0 || i < d && prev[i-1] < prev[i] {
			return int(prev[i]), true
		}
		return int(rows[d-1][i-1]) + 1, false
	}
	steps := 0
	for d := 0; ; d++ {
		row := make([]int32, d+1)
		for i := range row {
			x, _ := start(d, i)
			begin := x
			for y := x - (2*i - d); x < len(a) && y < len(b) && a[x] == b[y]; y++ {
				x++
			}
			row[i] = int32(x)
			if x >= len(a) && x-(2*i-d) >= len(b) {
				rows = append(rows, row)
				break
			}
			if steps += x - begin + 1; steps > maxCells {
				return
			}
		}
		if len(rows) > d {
			break
		}
		rows = append(rows, row)
	}
	x, y := len(a), len(b)
	for d := len(rows) - 1; d >= 0; d-- {
		begin, fromB := start(d, (x-y+d)/2)
		for ; x > begin; x, y = x-1, y-1 {
			pair(x-1, y-1)
		}
		if fromB {
			y--
		} else {
			x--
		}
	}
}
