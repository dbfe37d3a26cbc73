//go:build !purego && !race

#include "textflag.h"

// The kernels that mask_asm.go declares. Their body is mask_arm64.h. What it
// leaves open is whether the bytes that are stored are also merged, for their
// high bits.

// func maskBytesASCII(dst, src *byte, n int, key uint32) (ascii bool)
#define CLEAR_V(v) VEOR v.B16, v.B16, v.B16
#define MERGE_R(from, into) ORR from, into
#define MERGE_V(from, into) VORR from.B16, into.B16, into.B16
#define LOW_BYTE(r) MOVBU r, r
#define RETURN_R(r) TST $0x8080808080808080, r; CSET EQ, R6; MOVB R6, ascii+32(FP); RET
#define RETURN_V(v) VMOV v.D[0], R6; VMOV v.D[1], R7; ORR R7, R6; RETURN_R(R6)

TEXT ·maskBytesASCII(SB), NOSPLIT, $0-33
	MOVD  dst+0(FP), R0
	MOVD  src+8(FP), R1
	MOVD  n+16(FP), R2
	MOVWU key+24(FP), R3

#include "mask_arm64.h"

#undef CLEAR_V
#undef MERGE_R
#undef MERGE_V
#undef LOW_BYTE
#undef RETURN_R
#undef RETURN_V

// func maskBytes(dst, src *byte, n int, key uint32)
#define CLEAR_V(v)
#define MERGE_R(from, into)
#define MERGE_V(from, into)
#define LOW_BYTE(r)
#define RETURN_R(r) RET
#define RETURN_V(v) RET

TEXT ·maskBytes(SB), NOSPLIT, $0-28
	MOVD  dst+0(FP), R0
	MOVD  src+8(FP), R1
	MOVD  n+16(FP), R2
	MOVWU key+24(FP), R3

#include "mask_arm64.h"
