//go:build !purego && !race

#include "textflag.h"

// The kernels that mask_asm.go declares. Their body is mask_amd64.h. What it
// leaves open is whether the bytes that are stored are also merged, for their
// high bits: that costs a short kernel a tenth of its time.

// TURN(k) turns k, the key for a byte, to the key for the byte CL/8 behind it.
#define TURN(k) RORL CX, k

// func maskBytesASCII(dst, src *byte, n int, key uint32) (ascii bool)
#define CLEAR_X(x) PXOR x, x
#define CLEAR_Y(y) VPXOR y, y, y
#define MERGE_R(from, into) ORQ from, into
#define MERGE_X(from, into) POR from, into
#define MERGE_Y(from, into) VPOR from, into, into
#define LOW_BYTE(r) MOVBLZX r, r
#define RETURN_R(r) MOVQ $0x8080808080808080, AX; TESTQ AX, r; SETEQ ascii+32(FP); RET
#define RETURN_X(x) PMOVMSKB x, AX; TESTL AX, AX; SETEQ ascii+32(FP); RET
#define RETURN_Y(y) VPMOVMSKB y, AX; TESTL AX, AX; SETEQ ascii+32(FP); VZEROUPPER; RET

TEXT ·maskBytesASCII(SB), NOSPLIT, $0-33
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ n+16(FP), BX
	MOVL key+24(FP), AX

#include "mask_amd64.h"

#undef CLEAR_X
#undef CLEAR_Y
#undef MERGE_R
#undef MERGE_X
#undef MERGE_Y
#undef LOW_BYTE
#undef RETURN_R
#undef RETURN_X
#undef RETURN_Y

// func maskBytes(dst, src *byte, n int, key uint32)
#define CLEAR_X(x)
#define CLEAR_Y(y)
#define MERGE_R(from, into)
#define MERGE_X(from, into)
#define MERGE_Y(from, into)
#define LOW_BYTE(r)
#define RETURN_R(r) RET
#define RETURN_X(x) RET
#define RETURN_Y(y) VZEROUPPER; RET

TEXT ·maskBytes(SB), NOSPLIT, $0-28
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ n+16(FP), BX
	MOVL key+24(FP), AX

#include "mask_amd64.h"
