/* What the kernels share: eight 64-bit lanes to a register, and the two instructions everything is
   built from.

   vpmadd52luq and vpmadd52huq (AVX-512 IFMA) multiply the low 52 bits of two lanes and add the low,
   respectively the high, 52 bits of the 104-bit product to a third. Numbers are therefore cut into
   limbs of at most 52 bits, one limb to a lane, and lane k of every register belongs to number k of
   a group of eight: eight independent computations run in step, and no instruction ever crosses
   lanes except in `wide_transpose`, at the edges.

   Every function that uses such an instruction is marked WIDE. The file then compiles without
   machine flags, with gcc and clang, and nothing outside the marked functions needs more than the
   baseline processor: whoever calls them must have asked `xr_ifma_available` (cpu.h) first. */

#ifndef XR_WIDE_H
#define XR_WIDE_H

#include <immintrin.h>
#include <stdint.h>

/* The tests have an <immintrin.h> in plain C that defines both, WIDE as nothing (tests/crypto/
   kernels/emulation). DROP_HIGH marks the operands of a multiply-add that may have more than 52
   bits, where those above do not matter; the instruction looks at no more in any case. */
#ifndef WIDE
#define WIDE __attribute__((target("avx512f,avx512dq,avx512vl,avx512ifma")))
#define DROP_HIGH(x) (x)
#endif
#define LANES 8
#define LIMB_BITS 52
#define LIMB_MASK ((UINT64_C(1) << LIMB_BITS) - 1)

typedef uint64_t u64;
typedef __m512i wide;

/* The low and the high half of a * b, added to c. */
WIDE static inline wide madd_low(wide c, wide a, wide b) { return _mm512_madd52lo_epu64(c, a, b); }
WIDE static inline wide madd_high(wide c, wide a, wide b) { return _mm512_madd52hi_epu64(c, a, b); }

/* One value in every lane. */
WIDE static inline wide everywhere(u64 x) { return _mm512_set1_epi64((long long)x); }

/* Transpose an 8 x 8 block of 64-bit words: rows of memory to lanes, and back. */
WIDE static inline void wide_transpose(wide r[LANES])
{
    wide t0 = _mm512_unpacklo_epi64(r[0], r[1]), t1 = _mm512_unpackhi_epi64(r[0], r[1]);
    wide t2 = _mm512_unpacklo_epi64(r[2], r[3]), t3 = _mm512_unpackhi_epi64(r[2], r[3]);
    wide t4 = _mm512_unpacklo_epi64(r[4], r[5]), t5 = _mm512_unpackhi_epi64(r[4], r[5]);
    wide t6 = _mm512_unpacklo_epi64(r[6], r[7]), t7 = _mm512_unpackhi_epi64(r[6], r[7]);
    wide s0 = _mm512_shuffle_i64x2(t0, t2, 0x88), s1 = _mm512_shuffle_i64x2(t1, t3, 0x88);
    wide s2 = _mm512_shuffle_i64x2(t0, t2, 0xdd), s3 = _mm512_shuffle_i64x2(t1, t3, 0xdd);
    wide s4 = _mm512_shuffle_i64x2(t4, t6, 0x88), s5 = _mm512_shuffle_i64x2(t5, t7, 0x88);
    wide s6 = _mm512_shuffle_i64x2(t4, t6, 0xdd), s7 = _mm512_shuffle_i64x2(t5, t7, 0xdd);
    r[0] = _mm512_shuffle_i64x2(s0, s4, 0x88), r[4] = _mm512_shuffle_i64x2(s0, s4, 0xdd);
    r[1] = _mm512_shuffle_i64x2(s1, s5, 0x88), r[5] = _mm512_shuffle_i64x2(s1, s5, 0xdd);
    r[2] = _mm512_shuffle_i64x2(s2, s6, 0x88), r[6] = _mm512_shuffle_i64x2(s2, s6, 0xdd);
    r[3] = _mm512_shuffle_i64x2(s3, s7, 0x88), r[7] = _mm512_shuffle_i64x2(s3, s7, 0xdd);
}

#endif
