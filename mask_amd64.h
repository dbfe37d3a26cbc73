// The body of the masking kernels of mask_amd64.s, which includes it once for
// each of them.
//
//	DI  dst, later the next block of it      R8  dst
//	SI  src, later the next block of it      R9  the last block of dst
//	BX  n
//	CX  8n, whose low bits are the turn of the key for a block that ends at n
//	AX  the key for the first byte, then for that block
//	DX  the key for the first byte
//
// What has a length between two multiples of the vector's is done with vectors
// that overlap. All of src that they overlap in is loaded before anything is
// stored: dst may be src, and a byte that was stored and loaded again would be
// masked twice. Blocks of a loop are stored in ascending order once they are
// loaded, so dst may also be the same memory as src begun earlier.

	MOVQ BX, CX
	SHLQ $3, CX
	MOVL AX, DX
	CMPQ BX, $16
	JB   below16
	CMPQ BX, $64
	JA   above64

	// 16 to 64 bytes: XMM registers, even where there are wider ones. Those take
	// 10 to 20 ns to wake when nothing used them for a millisecond.
	MOVQ   AX, X8
	TURN(AX)
	MOVQ   AX, X9
	PSHUFD $0, X8, X8
	PSHUFD $0, X9, X9
	MOVOU  (SI), X0
	MOVOU  -16(SI)(BX*1), X1
	PXOR   X8, X0
	PXOR   X9, X1
	CMPQ   BX, $32
	JA     above32
	MOVOU  X0, (DI)
	MOVOU  X1, -16(DI)(BX*1)
	MERGE_X(X1, X0)
	RETURN_X(X0)

above32:
	MOVOU 16(SI), X2
	MOVOU -32(SI)(BX*1), X3
	PXOR  X8, X2
	PXOR  X9, X3
	MOVOU X0, (DI)
	MOVOU X2, 16(DI)
	MOVOU X3, -32(DI)(BX*1)
	MOVOU X1, -16(DI)(BX*1)
	MERGE_X(X1, X0)
	MERGE_X(X2, X0)
	MERGE_X(X3, X0)
	RETURN_X(X0)

below16:
	CMPQ BX, $8
	JB   below8
	MOVQ (SI), R8
	MOVQ -8(SI)(BX*1), R9
	MOVQ AX, R10
	SHLQ $32, R10
	ORQ  AX, R10
	XORQ R10, R8
	RORQ CX, R10
	XORQ R10, R9
	MOVQ R8, (DI)
	MOVQ R9, -8(DI)(BX*1)
	MERGE_R(R9, R8)
	RETURN_R(R8)

below8:
	CMPQ BX, $4
	JB   below4
	MOVL (SI), R8
	MOVL -4(SI)(BX*1), R9
	XORL AX, R8
	TURN(AX)
	XORL AX, R9
	MOVL R8, (DI)
	MOVL R9, -4(DI)(BX*1)
	MERGE_R(R9, R8)
	RETURN_R(R8)

below4:
	TESTQ   BX, BX
	JZ      nothing
	// The first byte, the last, and the one at n/2, which is one of them or
	// between them. Once turned, AX has the last one's key in its highest bits.
	MOVBLZX (SI), R8
	MOVBLZX -1(SI)(BX*1), R9
	MOVQ    BX, R11
	SHRQ    $1, R11
	MOVBLZX (SI)(R11*1), R10
	XORL    AX, R8
	TURN(AX)
	SHRL    $24, AX
	XORL    AX, R9
	MOVQ    R11, CX
	SHLQ    $3, CX
	SHRL    CX, DX
	XORL    DX, R10
	MOVB    R8, (DI)
	MOVB    R10, (DI)(R11*1)
	MOVB    R9, -1(DI)(BX*1)
	MERGE_R(R9, R8)
	MERGE_R(R10, R8)
	LOW_BYTE(R8)
	RETURN_R(R8)

nothing:
	XORL R8, R8
	RETURN_R(R8)

above64:
	CMPB ·useAVX2(SB), $0
	JEQ  sse2

	TURN(AX)
	VMOVD        DX, X8
	VMOVD        AX, X9
	VPBROADCASTD X8, Y8
	VPBROADCASTD X9, Y9
	CMPQ         BX, $256
	JA           above256

	// 65 to 256 bytes: two or four YMM registers from either end.
	VPXOR   (SI), Y8, Y0
	VPXOR   32(SI), Y8, Y1
	VPXOR   -64(SI)(BX*1), Y9, Y2
	VPXOR   -32(SI)(BX*1), Y9, Y3
	CMPQ    BX, $128
	JA      above128
	VMOVDQU Y0, (DI)
	VMOVDQU Y1, 32(DI)
	VMOVDQU Y2, -64(DI)(BX*1)
	VMOVDQU Y3, -32(DI)(BX*1)
	MERGE_Y(Y1, Y0)
	MERGE_Y(Y3, Y2)
	MERGE_Y(Y2, Y0)
	RETURN_Y(Y0)

above128:
	VPXOR   64(SI), Y8, Y4
	VPXOR   96(SI), Y8, Y5
	VPXOR   -128(SI)(BX*1), Y9, Y6
	VPXOR   -96(SI)(BX*1), Y9, Y7
	VMOVDQU Y0, (DI)
	VMOVDQU Y1, 32(DI)
	VMOVDQU Y4, 64(DI)
	VMOVDQU Y5, 96(DI)
	VMOVDQU Y6, -128(DI)(BX*1)
	VMOVDQU Y7, -96(DI)(BX*1)
	VMOVDQU Y2, -64(DI)(BX*1)
	VMOVDQU Y3, -32(DI)(BX*1)
	MERGE_Y(Y1, Y0)
	MERGE_Y(Y3, Y2)
	MERGE_Y(Y5, Y4)
	MERGE_Y(Y7, Y6)
	MERGE_Y(Y2, Y0)
	MERGE_Y(Y6, Y4)
	MERGE_Y(Y4, Y0)
	RETURN_Y(Y0)

above256:
	// The first 32 bytes and the last 128 are loaded now and stored last. Between
	// them, blocks of 128 begin where dst is aligned: stores that cross cache lines
	// cost twice. The last of them may reach into the last 128 bytes.
	VPXOR        (SI), Y8, Y10
	VPXOR        -128(SI)(BX*1), Y9, Y4
	VPXOR        -96(SI)(BX*1), Y9, Y5
	VPXOR        -64(SI)(BX*1), Y9, Y6
	VPXOR        -32(SI)(BX*1), Y9, Y7
	MOVQ         DI, R8
	LEAQ         -128(DI)(BX*1), R9
	ANDQ         $~31, DI
	ADDQ         $32, DI
	MOVQ         DI, CX
	SUBQ         R8, CX
	ADDQ         CX, SI
	SHLQ         $3, CX
	TURN(DX)
	VMOVD        DX, X11
	VPBROADCASTD X11, Y11
	CLEAR_Y(Y12)
	CLEAR_Y(Y13)

	// A loop whose closing jump lies across 32 bytes of code, or ends them, is
	// 20 % slower on some processors.
	PCALIGN $64

loop128:
	VPXOR   (SI), Y11, Y0
	VPXOR   32(SI), Y11, Y1
	VPXOR   64(SI), Y11, Y2
	VPXOR   96(SI), Y11, Y3
	VMOVDQA Y0, (DI)
	VMOVDQA Y1, 32(DI)
	VMOVDQA Y2, 64(DI)
	VMOVDQA Y3, 96(DI)
	MERGE_Y(Y1, Y0)
	MERGE_Y(Y3, Y2)
	MERGE_Y(Y0, Y12)
	MERGE_Y(Y2, Y13)
	SUBQ    $-128, SI // three bytes shorter than an ADDQ
	SUBQ    $-128, DI
	CMPQ    DI, R9
	JB      loop128

	VMOVDQU Y10, (R8)
	VMOVDQU Y4, (R9)
	VMOVDQU Y5, 32(R9)
	VMOVDQU Y6, 64(R9)
	VMOVDQU Y7, 96(R9)
	MERGE_Y(Y10, Y12)
	MERGE_Y(Y4, Y13)
	MERGE_Y(Y6, Y5)
	MERGE_Y(Y7, Y12)
	MERGE_Y(Y5, Y13)
	MERGE_Y(Y13, Y12)
	RETURN_Y(Y12)

sse2:
	// The same with 16 and 64 bytes. Here the first and the last may be all.
	MOVQ   DX, X8
	TURN(AX)
	MOVQ   AX, X9
	PSHUFD $0, X8, X8
	PSHUFD $0, X9, X9
	MOVOU  (SI), X10
	MOVOU  -64(SI)(BX*1), X4
	MOVOU  -48(SI)(BX*1), X5
	MOVOU  -32(SI)(BX*1), X6
	MOVOU  -16(SI)(BX*1), X7
	PXOR   X8, X10
	PXOR   X9, X4
	PXOR   X9, X5
	PXOR   X9, X6
	PXOR   X9, X7
	MOVQ   DI, R8
	LEAQ   -64(DI)(BX*1), R9
	ANDQ   $~15, DI
	ADDQ   $16, DI
	MOVQ   DI, CX
	SUBQ   R8, CX
	ADDQ   CX, SI
	SHLQ   $3, CX
	TURN(DX)
	MOVQ   DX, X11
	PSHUFD $0, X11, X11
	CLEAR_X(X12)
	CMPQ   DI, R9
	JAE    ends64
	PCALIGN $64

loop64:
	MOVOU (SI), X0
	MOVOU 16(SI), X1
	MOVOU 32(SI), X2
	MOVOU 48(SI), X3
	PXOR  X11, X0
	PXOR  X11, X1
	PXOR  X11, X2
	PXOR  X11, X3
	MOVO  X0, (DI)
	MOVO  X1, 16(DI)
	MOVO  X2, 32(DI)
	MOVO  X3, 48(DI)
	MERGE_X(X1, X0)
	MERGE_X(X3, X2)
	MERGE_X(X0, X12)
	MERGE_X(X2, X12)
	ADDQ  $64, SI
	ADDQ  $64, DI
	CMPQ  DI, R9
	JB    loop64

ends64:
	MOVOU X10, (R8)
	MOVOU X4, (R9)
	MOVOU X5, 16(R9)
	MOVOU X6, 32(R9)
	MOVOU X7, 48(R9)
	MERGE_X(X10, X12)
	MERGE_X(X4, X12)
	MERGE_X(X5, X12)
	MERGE_X(X6, X12)
	MERGE_X(X7, X12)
	RETURN_X(X12)
