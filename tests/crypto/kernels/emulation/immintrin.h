/* AVX-512 IFMA, AVX2 and AES-NI in plain C: what the kernels take from <immintrin.h>, for any processor and compiler
   with 128-bit integers. Put this folder first on the include path (cc -I).

   A wide register is an array of eight lanes, and every instruction a loop over them. Each does to the
   bit what the manual says, with one addition: where the comments of the kernels promise a bound,
   and the processor would go on with a wrong number, the program stops and says which bound broke.
   A factor of a multiply-add has at most 52 bits, and a column (the sum that it is added to) does
   not overflow 64. DROP_HIGH marks the one operand whose upper bits the kernels let the instruction
   drop. */

#ifndef XR_EMULATED_IMMINTRIN_H
#define XR_EMULATED_IMMINTRIN_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    uint64_t lane[8];
} __attribute__((aligned(64))) __m512i;
typedef union {
    uint64_t lane[2];
    uint32_t word[4];
    uint8_t octet[16];
} __m128i;
typedef unsigned char __mmask8;

/* Not inlined, or the compiler would take minutes over the unrolled arithmetic. */
#define EMULATED static __attribute__((noinline, unused))
#define EACH_LANE for (int k = 0; k < 8; k++)
#define FACTOR_BITS 52
#define FACTOR_MASK ((UINT64_C(1) << FACTOR_BITS) - 1)

#define WIDE
#define DROP_HIGH(x) _mm512_and_si512(x, _mm512_set1_epi64(FACTOR_MASK))

static inline void must(int holds, const char *bound)
{
    if (holds)
        return;
    fprintf(stderr, "emulated instructions: %s\n", bound);
    abort();
}

EMULATED __m512i _mm512_set1_epi64(long long value)
{
    __m512i out;
    EACH_LANE out.lane[k] = (uint64_t)value;
    return out;
}

static inline __m512i multiply_add_lanes(__m512i c, __m512i a, __m512i b, int shift)
{
    uint64_t above = 0;
    uint64_t wrapped = 0;
    EACH_LANE
    {
        above |= a.lane[k] | b.lane[k];
        unsigned __int128 product = (unsigned __int128)a.lane[k] * b.lane[k];
        uint64_t half = (uint64_t)(product >> shift) & FACTOR_MASK;
        c.lane[k] += half;
        wrapped |= c.lane[k] < half;
    }
    must(above <= FACTOR_MASK, "a factor exceeds 52 bits");
    must(!wrapped, "a column overflows");
    return c;
}

EMULATED __m512i _mm512_madd52lo_epu64(__m512i c, __m512i a, __m512i b)
{
    return multiply_add_lanes(c, a, b, 0);
}

EMULATED __m512i _mm512_madd52hi_epu64(__m512i c, __m512i a, __m512i b)
{
    return multiply_add_lanes(c, a, b, FACTOR_BITS);
}

#define LANEWISE(name, expression) \
    EMULATED __m512i name(__m512i a, __m512i b) \
    { \
        EACH_LANE \
        { \
            const uint64_t x = a.lane[k], y = b.lane[k]; \
            a.lane[k] = (expression); \
        } \
        return a; \
    }

/* Sums and differences wrap, as the processor's do: borrows are negative numbers. */
LANEWISE(_mm512_add_epi64, x + y)
LANEWISE(_mm512_sub_epi64, x - y)
LANEWISE(_mm512_and_si512, (x & y))
LANEWISE(_mm512_or_si512, x | y)

#define SHIFT(name, type, amount, expression) \
    EMULATED __m512i name(__m512i a, type by) \
    { \
        const uint64_t n = (amount); \
        EACH_LANE \
        { \
            const uint64_t x = a.lane[k]; \
            a.lane[k] = (expression); \
        } \
        return a; \
    }

EMULATED __m128i _mm_cvtsi32_si128(int count) { return (__m128i){{(uint32_t)count, 0}}; }

SHIFT(_mm512_srli_epi64, unsigned, by, n > 63 ? 0 : x >> n)
SHIFT(_mm512_srl_epi64, __m128i, by.lane[0], n > 63 ? 0 : x >> n)
SHIFT(_mm512_sll_epi64, __m128i, by.lane[0], n > 63 ? 0 : x << n)
SHIFT(_mm512_srai_epi64, unsigned, by, (uint64_t)((int64_t)x >> (n > 63 ? 63 : n)))

EMULATED __m512i _mm512_loadu_si512(const void *from)
{
    __m512i out;
    memcpy(&out, from, sizeof out);
    return out;
}

EMULATED void _mm512_storeu_si512(void *to, __m512i a) { memcpy(to, &a, sizeof a); }

EMULATED __m512i _mm512_mask_mov_epi64(__m512i otherwise, __mmask8 lanes, __m512i a)
{
    EACH_LANE a.lane[k] = lanes >> k & 1 ? a.lane[k] : otherwise.lane[k];
    return a;
}

#define MASK(name, expression) \
    EMULATED __mmask8 name(__m512i a, __m512i b) \
    { \
        unsigned mask = 0; \
        EACH_LANE \
        { \
            const uint64_t x = a.lane[k], y = b.lane[k]; \
            mask |= (unsigned)(expression) << k; \
        } \
        return (__mmask8)mask; \
    }

MASK(_mm512_cmpeq_epi64_mask, x == y)

EMULATED __mmask8 _mm512_movepi64_mask(__m512i a)
{
    unsigned mask = 0;
    EACH_LANE mask |= (unsigned)(a.lane[k] >> 63) << k;
    return (__mmask8)mask;
}

EMULATED __m512i _mm512_unpacklo_epi64(__m512i a, __m512i b)
{
    __m512i out;
    EACH_LANE out.lane[k] = k % 2 ? b.lane[k - 1] : a.lane[k];
    return out;
}

EMULATED __m512i _mm512_unpackhi_epi64(__m512i a, __m512i b)
{
    __m512i out;
    EACH_LANE out.lane[k] = k % 2 ? b.lane[k] : a.lane[k + 1];
    return out;
}

/* Pairs of lanes: two of a, then two of b, each named by two bits of `choice`. */
EMULATED __m512i _mm512_shuffle_i64x2(__m512i a, __m512i b, int choice)
{
    __m512i out;
    EACH_LANE
    {
        const int pair = choice >> k / 2 * 2 & 3;
        out.lane[k] = (k < 4 ? a : b).lane[2 * pair + k % 2];
    }
    return out;
}

#include "aes.h"
#include "avx2.h"

#endif
