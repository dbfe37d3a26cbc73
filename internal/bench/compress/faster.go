package main

import (
	"fmt"
	"io"
	"strings"
)

// writeFaster lists what takes less time than this library does: peers for which
// all of the interval is on their side. What they send is beside it, since that
// is often why.
func writeFaster(w io.Writer, parts []part) {
	fmt.Fprint(w, "### Where a peer is faster\n\n| table | data | who | ours takes × that (95 %) | on the wire, ours | theirs |\n|---|---|---|--:|--:|--:|\n")
	for _, p := range parts {
		t, ok := p.(*table)
		if !ok {
			continue
		}
		for _, g := range t.groups {
			our := g.entries[0]
			for _, e := range g.entries {
				if strings.HasPrefix(e.name, "ours") {
					continue
				}
				if r := our.ratioTo(e); r.Low > 1 {
					fmt.Fprintf(w, "| %s | %s | %s | %.2f (%.2f–%.2f) | %.3f | %.3f |\n", t.title, g.data, e.name,
						r.Median, r.Low, r.High, our.samples[0].Ratio(), e.samples[0].Ratio())
				}
			}
		}
	}
	fmt.Fprintln(w)
}
