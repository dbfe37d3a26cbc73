// The body of the masking kernels of mask_arm64.s, which includes it once for
// each of them.
//
//	R0  dst, later the next block of it      R8  the end of dst, later its last block
//	R1  src, later the next block of it      R9  the end of src, later its last block
//	R2  n
//	R3  the key for the first byte
//	R4  the key for a block that ends at n
//	R5  8n, whose low bits are the turn of that key; R6, R7: scratch
//
// What has a length between two multiples of the registers' is done with blocks
// that overlap. All of src that they overlap in is loaded before anything is
// stored: dst may be src, and a byte that was stored and loaded again would be
// masked twice. Blocks of a loop are stored in ascending order once they are
// loaded, so dst may also be the same memory as src begun earlier.

	ADD  R0, R2, R8
	ADD  R1, R2, R9
	LSL  $3, R2, R5
	RORW R5, R3, R4
	CMP  $16, R2
	BLO  below16
	VDUP R3, V16.S4
	VDUP R4, V17.S4
	CMP  $64, R2
	BHI  above64
	CMP  $32, R2
	BHI  above32

	// 16 to 32 bytes.
	SUB  $16, R8
	SUB  $16, R9
	VLD1 (R1), [V0.B16]
	VLD1 (R9), [V1.B16]
	VEOR V16.B16, V0.B16, V0.B16
	VEOR V17.B16, V1.B16, V1.B16
	VST1 [V0.B16], (R0)
	VST1 [V1.B16], (R8)
	MERGE_V(V1, V0)
	RETURN_V(V0)

above32:
	SUB  $32, R8
	SUB  $32, R9
	VLD1 (R1), [V0.B16, V1.B16]
	VLD1 (R9), [V2.B16, V3.B16]
	VEOR V16.B16, V0.B16, V0.B16
	VEOR V16.B16, V1.B16, V1.B16
	VEOR V17.B16, V2.B16, V2.B16
	VEOR V17.B16, V3.B16, V3.B16
	VST1 [V0.B16, V1.B16], (R0)
	VST1 [V2.B16, V3.B16], (R8)
	MERGE_V(V1, V0)
	MERGE_V(V3, V2)
	MERGE_V(V2, V0)
	RETURN_V(V0)

above64:
	// The last 64 bytes are loaded now and stored last. The last block of the loop
	// may reach into them.
	SUB  $64, R8
	SUB  $64, R9
	VLD1 (R9), [V4.B16, V5.B16, V6.B16, V7.B16]
	VEOR V17.B16, V4.B16, V4.B16
	VEOR V17.B16, V5.B16, V5.B16
	VEOR V17.B16, V6.B16, V6.B16
	VEOR V17.B16, V7.B16, V7.B16
	CLEAR_V(V18)
	CLEAR_V(V19)
	PCALIGN $16

loop64:
	VLD1.P 64(R1), [V0.B16, V1.B16, V2.B16, V3.B16]
	VEOR   V16.B16, V0.B16, V0.B16
	VEOR   V16.B16, V1.B16, V1.B16
	VEOR   V16.B16, V2.B16, V2.B16
	VEOR   V16.B16, V3.B16, V3.B16
	VST1.P [V0.B16, V1.B16, V2.B16, V3.B16], 64(R0)
	MERGE_V(V1, V0)
	MERGE_V(V3, V2)
	MERGE_V(V0, V18)
	MERGE_V(V2, V19)
	CMP    R8, R0
	BLO    loop64

	VST1 [V4.B16, V5.B16, V6.B16, V7.B16], (R8)
	MERGE_V(V4, V18)
	MERGE_V(V5, V19)
	MERGE_V(V6, V18)
	MERGE_V(V7, V19)
	MERGE_V(V19, V18)
	RETURN_V(V18)

below16:
	CMP  $8, R2
	BLO  below8
	ORR  R3<<32, R3, R3
	ORR  R4<<32, R4, R4
	MOVD (R1), R6
	MOVD -8(R9), R7
	EOR  R3, R6
	EOR  R4, R7
	MOVD R6, (R0)
	MOVD R7, -8(R8)
	MERGE_R(R7, R6)
	RETURN_R(R6)

below8:
	CMP   $4, R2
	BLO   below4
	MOVWU (R1), R6
	MOVWU -4(R9), R7
	EOR   R3, R6
	EOR   R4, R7
	MOVW  R6, (R0)
	MOVW  R7, -4(R8)
	MERGE_R(R7, R6)
	RETURN_R(R6)

below4:
	CBZ   R2, nothing
	// The first byte, the last, and the one at n/2, which is one of them or
	// between them. R4 has the last one's key in its highest bits.
	LSR   $1, R2, R10
	LSL   $3, R10, R11
	LSRW  R11, R3, R11
	MOVBU (R1), R6
	MOVBU -1(R9), R7
	MOVBU (R1)(R10), R12
	EOR   R3, R6
	EOR   R4>>24, R7
	EOR   R11, R12
	MOVB  R6, (R0)
	MOVB  R12, (R0)(R10)
	MOVB  R7, -1(R8)
	MERGE_R(R7, R6)
	MERGE_R(R12, R6)
	LOW_BYTE(R6)
	RETURN_R(R6)

nothing:
	RETURN_R(ZR)
