/* In place of wide.h (cc -include plain_wide.h): the same source compiled for any processor, one
   lane after the other.

   For what cannot see AVX-512: valgrind, and machines without it. With CHECKED defined it also
   aborts where the carry discipline is broken: a multiply-add of operands above 52 bits, a sum that
   wraps, a difference below zero. */

#ifndef XR_WIDE_H
#define XR_WIDE_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define WIDE
#define LANES 8
#define LIMB_BITS 52
#define LIMB_MASK ((UINT64_C(1) << LIMB_BITS) - 1)

typedef uint64_t u64;
typedef struct {
    u64 lane[LANES];
} wide;
typedef uint8_t __mmask8;

#ifdef CHECKED
#define MUST(condition) \
    do { \
        if (!(condition)) \
            abort(); \
    } while (0)
#else
#define MUST(condition) (void)0
#endif

#define LANEWISE(name, check, expression) \
    static inline wide name(wide a, wide b) \
    { \
        for (int k = 0; k < LANES; k++) { \
            const u64 x = a.lane[k], y = b.lane[k]; \
            MUST(check); \
            a.lane[k] = (expression); \
        } \
        return a; \
    }

#define MASK(name, expression) \
    static inline __mmask8 name(wide a, wide b) \
    { \
        unsigned mask = 0; \
        for (int k = 0; k < LANES; k++) { \
            const u64 x = a.lane[k], y = b.lane[k]; \
            mask |= (unsigned)(expression) << k; \
        } \
        return (__mmask8)mask; \
    }

/* 1 where z is not zero, without a branch. */
static inline u64 nonzero(u64 z) { return (z | (0 - z)) >> 63; }

LANEWISE(_mm512_add_epi64, x + y >= x, x + y)
LANEWISE(_mm512_sub_epi64, x >= y, x - y)
LANEWISE(_mm512_and_si512, 1, (x & y))
LANEWISE(_mm512_or_si512, 1, x | y)
MASK(_mm512_cmpeq_epi64_mask, 1 ^ nonzero(x ^ y))
MASK(_mm512_cmpneq_epi64_mask, nonzero(x ^ y))
MASK(_mm512_test_epi64_mask, nonzero((x & y)))
MASK(_mm512_testn_epi64_mask, 1 ^ nonzero(x & y))

static inline wide everywhere(u64 x)
{
    wide out;
    for (int k = 0; k < LANES; k++)
        out.lane[k] = x;
    return out;
}

static inline wide multiply_add(wide c, wide a, wide b, int shift)
{
    for (int k = 0; k < LANES; k++) {
        MUST(a.lane[k] <= LIMB_MASK && b.lane[k] <= LIMB_MASK);
        unsigned __int128 product =
            (unsigned __int128)(a.lane[k] & LIMB_MASK) * (b.lane[k] & LIMB_MASK);
        c.lane[k] += (u64)(product >> shift) & LIMB_MASK;
    }
    return c;
}

static inline wide madd_low(wide c, wide a, wide b) { return multiply_add(c, a, b, 0); }
static inline wide madd_high(wide c, wide a, wide b) { return multiply_add(c, a, b, LIMB_BITS); }

static inline wide _mm512_srli_epi64(wide a, unsigned count)
{
    for (int k = 0; k < LANES; k++)
        a.lane[k] >>= count;
    return a;
}

static inline wide _mm512_slli_epi64(wide a, unsigned count)
{
    for (int k = 0; k < LANES; k++)
        a.lane[k] <<= count;
    return a;
}

static inline wide _mm512_abs_epi64(wide a)
{
    for (int k = 0; k < LANES; k++) {
        const u64 sign = 0 - (a.lane[k] >> 63);
        a.lane[k] = (a.lane[k] ^ sign) - sign;
    }
    return a;
}

static inline __mmask8 _mm512_movepi64_mask(wide a)
{
    unsigned mask = 0;
    for (int k = 0; k < LANES; k++)
        mask |= (unsigned)(a.lane[k] >> 63) << k;
    return (__mmask8)mask;
}

static inline wide _mm512_mask_mov_epi64(wide otherwise, __mmask8 lanes, wide a)
{
    for (int k = 0; k < LANES; k++) {
        const u64 keep = 0 - (u64)(lanes >> k & 1);
        a.lane[k] = (a.lane[k] & keep) | (otherwise.lane[k] & ~keep);
    }
    return a;
}

static inline wide _mm512_maskz_loadu_epi64(__mmask8 lanes, const void *from)
{
    wide out = everywhere(0);
    for (int k = 0; k < LANES; k++)
        if (lanes >> k & 1)
            memcpy(&out.lane[k], (const uint8_t *)from + 8 * k, 8);
    return out;
}

static inline void _mm512_mask_storeu_epi64(void *to, __mmask8 lanes, wide a)
{
    for (int k = 0; k < LANES; k++)
        if (lanes >> k & 1)
            memcpy((uint8_t *)to + 8 * k, &a.lane[k], 8);
}

static inline void wide_transpose(wide r[LANES])
{
    for (int i = 0; i < LANES; i++)
        for (int j = 0; j < i; j++) {
            const u64 kept = r[i].lane[j];
            r[i].lane[j] = r[j].lane[i];
            r[j].lane[i] = kept;
        }
}

#endif
