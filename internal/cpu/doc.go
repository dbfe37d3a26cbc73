// Package cpu tells which instructions the kernels in assembly may use beyond
// those that every processor of the architecture has.
package cpu
