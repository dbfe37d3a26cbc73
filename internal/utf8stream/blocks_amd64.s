//go:build !purego && !race

#include "go_asm.h"
#include "textflag.h"

//	SI   the next block       Y8, Y9, Y10   firstHigh, firstLow, secondHigh
//	DI   the end of the text  Y11..Y14      half, toE0, toF0, high in every byte
//	R8   the tables           Y15           the errors so far

// CHECK adds the errors of the block in Y0. Y1, Y2 and Y3 are the bytes one, two
// and three before each of its own.
#define CHECK \
	VPSRLW   $4, Y1, Y4    \
	VPSRLW   $4, Y0, Y5    \
	VPAND    Y11, Y1, Y1   \
	VPAND    Y11, Y4, Y4   \
	VPAND    Y11, Y5, Y5   \
	VPSHUFB  Y1, Y9, Y1    \
	VPSHUFB  Y4, Y8, Y4    \
	VPSHUFB  Y5, Y10, Y5   \
	VPSUBUSB Y12, Y2, Y2   \ // 80 or more from E0 on
	VPSUBUSB Y13, Y3, Y3   \ // and from F0 on
	VPAND    Y1, Y4, Y4    \
	VPOR     Y2, Y3, Y3    \
	VPAND    Y5, Y4, Y4    \
	VPAND    Y14, Y3, Y3   \ // 80 where a second continuation must be
	VPXOR    Y3, Y4, Y4    \ // which is the bit of its class
	VPOR     Y4, Y15, Y15

// CHECK_AT is CHECK of the block at a pointer. Loads are cheaper than shuffles.
#define CHECK_AT(offset, pointer) \
	VMOVDQU offset(pointer), Y0   \
	VMOVDQU offset-1(pointer), Y1 \
	VMOVDQU offset-2(pointer), Y2 \
	VMOVDQU offset-3(pointer), Y3 \
	CHECK

// CHECK_FIRST is CHECK of the block in Y0 with zeros before it.
#define CHECK_FIRST \
	VPERM2I128 $0x08, Y0, Y0, Y4 \
	VPALIGNR   $15, Y4, Y0, Y1   \
	VPALIGNR   $14, Y4, Y0, Y2   \
	VPALIGNR   $13, Y4, Y0, Y3   \
	CHECK

// func checkBlocks(p *byte, n int, t *tables) bool
TEXT ·checkBlocks(SB), NOSPLIT, $0-25
	MOVQ p+0(FP), SI
	MOVQ n+8(FP), CX
	MOVQ t+16(FP), R8

	VBROADCASTI128 tables_firstHigh(R8), Y8
	VBROADCASTI128 tables_firstLow(R8), Y9
	VBROADCASTI128 tables_secondHigh(R8), Y10
	VPBROADCASTB   tables_half(R8), Y11
	VPBROADCASTB   tables_toE0(R8), Y12
	VPBROADCASTB   tables_toF0(R8), Y13
	VPBROADCASTB   tables_high(R8), Y14
	VPXOR          Y15, Y15, Y15

	CMPQ CX, $32
	JBE  upTo32

	LEAQ    (SI)(CX*1), DI
	VMOVDQU (SI), Y0
	CHECK_FIRST
	ADDQ    $32, SI
	SUBQ    $160, CX // n - 128 - what is behind SI: below 0 if no 128 bytes are left
	JL      blocks
	PCALIGN $64

loop128:
	VMOVDQU   (SI), Y0
	VPOR      32(SI), Y0, Y1
	VMOVDQU   64(SI), Y2
	VPOR      96(SI), Y2, Y3
	VPOR      Y1, Y3, Y3
	VPMOVMSKB Y3, AX
	TESTL     AX, AX
	JNZ       texts

	// ASCII: all that can be wrong is that a character before it has not ended.
	VMOVDQU  -32(SI), Y4
	VPSUBUSB tables_ends(R8), Y4, Y4
	VPOR     Y4, Y15, Y15
	SUBQ     $-128, SI
	SUBQ     $128, CX
	JGE      loop128
	JMP      blocks

texts:
	CHECK_AT(0, SI)
	CHECK_AT(32, SI)
	CHECK_AT(64, SI)
	CHECK_AT(96, SI)
	SUBQ $-128, SI
	SUBQ $128, CX
	JGE  loop128

blocks:
	ADDQ $128, CX // what is left
	CMPQ CX, $32
	JB   last
	PCALIGN $32

loop32:
	CHECK_AT(0, SI)
	ADDQ $32, SI
	SUBQ $32, CX
	CMPQ CX, $32
	JAE  loop32

last:
	TESTQ CX, CX
	JZ    verdict
	CHECK_AT(-32, DI) // some of it again

verdict:
	VPTEST Y15, Y15
	SETEQ  ret+24(FP)
	VZEROUPPER
	RET

upTo32:
	// 16 to 32 bytes, and zeros behind them.
	VMOVDQU     (SI), X0
	VMOVDQU     -16(SI)(CX*1), X1
	NEGQ        CX
	ADDQ        $32, CX
	LEAQ        tables_slide(R8), R9
	VMOVDQU     (R9)(CX*1), X2
	VPSHUFB     X2, X1, X1
	VINSERTI128 $1, X1, Y0, Y0
	CHECK_FIRST

	// Errors behind the text are those of its end, which is not judged here.
	VPXOR     Y1, Y1, Y1
	VPCMPEQB  Y1, Y15, Y15
	VPMOVMSKB Y15, AX
	NOTL      AX
	SHLL      CX, AX
	TESTL     AX, AX
	SETEQ     ret+24(FP)
	VZEROUPPER
	RET
