/* Arithmetic modulo p = 2^255 - 19 on eight numbers at once.

   Representation. A number is five limbs in radix 2^51, lowest first; lane k of each of the five
   registers belongs to the k-th of eight numbers (wide.h). A number has many representations: limbs
   may exceed 51 bits, and its value may be anything congruent modulo p. One rule holds for every
   `field` that a function takes or returns:

       every limb is below 2^51 + 2^12                                                         (*)

   so that a limb is never above the 52 bits that the multiply-add instructions look at, and one
   more bit is the room in which a sum of two can be formed. Five limbs of 52 bits would hold 255
   bits as well, but would leave no room.

   Carries. `carry` takes columns r0..r4 of any 64-bit size to a `field`: each hands what is above
   its 51 bits to the next, all five at the same time, and r4 hands its own, times 19, to the first,
   because 2^255 = 19 modulo p. One such step does not make limbs canonical, but it gives (*) where
   r0..r3 < 2^63 and r4 < 2^58: what arrives is below 2^12, and for the first limb below 19 * 2^7 <
   2^12.

   Sums. a + b, with limbs below 2^52 + 2^13, is carried at once. a - b is formed as a + 2p - b: the
   limbs of 2p, written 2^52 - 38, 2^52 - 2, ..., 2^52 - 2, are above every limb of b by (*), so no
   lane goes below zero, and none exceeds 2^51 + 2^12 + 2^52. Columns with up to two such terms
   more, as in `doubled` (ristretto255_curve.h), stay below 2^55.

   Products. The product of limbs i and j has weight 2^(51 (i + j)). The instructions give it in
   halves, low + 2^52 high; the high half therefore belongs to column i + j + 1 with a factor 2. Let
   h = 2^52 bound either half. For k = 0..4, column k collects k + 1 low and k high halves: at most
   (3k + 1) h. Column k + 5, of weight 2^255 2^(51 k), collects 4 - k low and 5 - k high halves, at
   most (14 - 3k) h, and is added to column k times 19. Altogether column k is at most (3k + 1 + 19
   (14 - 3k)) h = (267 - 54 k) h: below 2^61 for k = 0, and 51 h < 2^58 for k = 4, as `carry` wants.

   No branch and no address depends on a value. */

#ifndef XR_RISTRETTO255_FIELD_H
#define XR_RISTRETTO255_FIELD_H

#include "wide.h"

#define RADIX 51
#define RADIX_MASK ((UINT64_C(1) << RADIX) - 1)
#define FIELD_LIMBS 5

/* Columns fit the registers only where every index is known: small functions are inlined and loops
   vanish. A build for sanitizers defines XR_SMALL_CODE, which computes the same and compiles in
   seconds. */
#ifdef XR_SMALL_CODE
#define INLINE static inline
#define UNROLL
#else
#define INLINE static inline __attribute__((always_inline))
#ifdef __clang__
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 10")
#endif
#endif

typedef struct {
    wide limb[FIELD_LIMBS];
} field;

WIDE INLINE wide plus(wide a, wide b) { return _mm512_add_epi64(a, b); }
WIDE INLINE wide minus(wide a, wide b) { return _mm512_sub_epi64(a, b); }
WIDE INLINE wide twice(wide a) { return plus(a, a); }
WIDE INLINE wide times19(wide a) { return plus(plus(a, twice(a)), _mm512_slli_epi64(a, 4)); }

/* Columns to limbs that keep the rule (*). */
WIDE INLINE field carry(field r)
{
    const wide mask = everywhere(RADIX_MASK);
    field out;
    wide above = times19(_mm512_srli_epi64(r.limb[4], RADIX));
    UNROLL
    for (int k = 0; k < FIELD_LIMBS; k++) {
        out.limb[k] = plus(_mm512_and_si512(r.limb[k], mask), above);
        above = _mm512_srli_epi64(r.limb[k], RADIX);
    }
    return out;
}

/* Columns of a + b and of a - b + 2p, without the carry. */
WIDE INLINE field columns_add(field a, field b)
{
    UNROLL
    for (int k = 0; k < FIELD_LIMBS; k++)
        a.limb[k] = plus(a.limb[k], b.limb[k]);
    return a;
}

WIDE INLINE field columns_subtract(field a, field b)
{
    const wide first = everywhere(2 * RADIX_MASK - 36), others = everywhere(2 * RADIX_MASK);
    UNROLL
    for (int k = 0; k < FIELD_LIMBS; k++)
        a.limb[k] = plus(a.limb[k], minus(k ? others : first, b.limb[k]));
    return a;
}

WIDE INLINE field add(field a, field b) { return carry(columns_add(a, b)); }
WIDE INLINE field subtract(field a, field b) { return carry(columns_subtract(a, b)); }

/* One small number in every lane. */
WIDE INLINE field small(u64 value)
{
    field out = {{everywhere(value), everywhere(0), everywhere(0), everywhere(0), everywhere(0)}};
    return out;
}

/* A constant of five canonical limbs in every lane. */
WIDE INLINE field constant(const u64 limbs[FIELD_LIMBS])
{
    field out;
    for (int k = 0; k < FIELD_LIMBS; k++)
        out.limb[k] = everywhere(limbs[k]);
    return out;
}

WIDE INLINE field negate(field a) { return subtract(small(0), a); }

/* Ten columns to a `field`: the upper five have the weight 2^255 = 19. */
WIDE INLINE field fold(const wide column[2 * FIELD_LIMBS])
{
    field out;
    UNROLL
    for (int k = 0; k < FIELD_LIMBS; k++)
        out.limb[k] = plus(column[k], times19(column[k + FIELD_LIMBS]));
    return carry(out);
}

WIDE INLINE field multiply(field a, field b)
{
    wide low[2 * FIELD_LIMBS], high[2 * FIELD_LIMBS];
    UNROLL
    for (int k = 0; k < 2 * FIELD_LIMBS; k++)
        low[k] = high[k] = everywhere(0);
    UNROLL
    for (int i = 0; i < FIELD_LIMBS; i++) {
        UNROLL
        for (int j = 0; j < FIELD_LIMBS; j++) {
            low[i + j] = madd_low(low[i + j], a.limb[i], b.limb[j]);
            high[i + j + 1] = madd_high(high[i + j + 1], a.limb[i], b.limb[j]);
        }
    }
    UNROLL
    for (int k = 0; k < 2 * FIELD_LIMBS; k++)
        low[k] = plus(low[k], twice(high[k]));
    return fold(low);
}

/* a^2: each product of two different limbs is made once and counted twice, so column k is the low
   halves of squares, plus 2 (low halves of the others + high halves of squares + 2 high halves of
   the others). Same bounds as above. */
WIDE INLINE field square(field a)
{
    wide once[2 * FIELD_LIMBS], cross[2 * FIELD_LIMBS];
    UNROLL
    for (int k = 0; k < 2 * FIELD_LIMBS; k++)
        once[k] = cross[k] = everywhere(0);
    UNROLL
    for (int i = 0; i < FIELD_LIMBS; i++) {
        once[2 * i + 1] = madd_high(once[2 * i + 1], a.limb[i], a.limb[i]);
        UNROLL
        for (int j = i + 1; j < FIELD_LIMBS; j++) {
            once[i + j] = madd_low(once[i + j], a.limb[i], a.limb[j]);
            cross[i + j + 1] = madd_high(cross[i + j + 1], a.limb[i], a.limb[j]);
        }
    }
    UNROLL
    for (int k = 0; k < 2 * FIELD_LIMBS; k++)
        once[k] = twice(plus(once[k], twice(cross[k])));
    UNROLL
    for (int i = 0; i < FIELD_LIMBS; i++)
        once[2 * i] = madd_low(once[2 * i], a.limb[i], a.limb[i]);
    return fold(once);
}

/* a^(2^count), not inlined: it is where most of a square root's time goes, and is called eleven
   times for one. */
WIDE static __attribute__((noinline)) void square_times(field *out, const field *a, int count)
{
    field x = *a;
    for (int i = 0; i < count; i++)
        x = square(x);
    *out = x;
}

/* a^(2^count) * b */
WIDE static __attribute__((noinline)) void shift_multiply(field *out, const field *a, int count,
                                                          const field *b)
{
    field x;
    square_times(&x, a, count);
    *out = multiply(x, *b);
}

/* a^((p - 5) / 8) = a^(2^252 - 3). x<n> is a^(2^n - 1). */
WIDE static inline field power_for_root(field a)
{
    field x2, x4, x5, x10, x20, x40, x50, x100, x200, x250;
    shift_multiply(&x2, &a, 1, &a);
    shift_multiply(&x4, &x2, 2, &x2);
    shift_multiply(&x5, &x4, 1, &a);
    shift_multiply(&x10, &x5, 5, &x5);
    shift_multiply(&x20, &x10, 10, &x10);
    shift_multiply(&x40, &x20, 20, &x20);
    shift_multiply(&x50, &x40, 10, &x10);
    shift_multiply(&x100, &x50, 50, &x50);
    shift_multiply(&x200, &x100, 100, &x100);
    shift_multiply(&x250, &x200, 50, &x50);
    shift_multiply(&x250, &x250, 2, &a);
    return x250;
}

/* The canonical limbs, those of the value in [0, p). By (*) the value is below 2^255 + 2^217 < 2p,
   hence q, the carry out of the top of value + 19, is 1 where the value is at least p and 0
   elsewhere, and value - q p = value + 19 q - q 2^255, where masking the top limb takes off q
   2^255. */
WIDE static field canonical(field a)
{
    const wide mask = everywhere(RADIX_MASK);
    wide over = everywhere(19);
    for (int k = 0; k < FIELD_LIMBS; k++)
        over = _mm512_srli_epi64(plus(a.limb[k], over), RADIX);
    over = times19(over);
    for (int k = 0; k < FIELD_LIMBS; k++) {
        wide x = plus(a.limb[k], over);
        over = _mm512_srli_epi64(x, RADIX);
        a.limb[k] = _mm512_and_si512(x, mask);
    }
    return a;
}

/* The lanes in which a = 0, a = b, and a is negative (its canonical value is odd: RFC 9496,
   section 4.1). */
WIDE static __mmask8 is_zero(field a)
{
    field c = canonical(a);
    wide any = c.limb[0];
    for (int k = 1; k < FIELD_LIMBS; k++)
        any = _mm512_or_si512(any, c.limb[k]);
    return _mm512_testn_epi64_mask(any, any);
}

WIDE static inline __mmask8 is_equal(field a, field b) { return is_zero(subtract(a, b)); }
WIDE static inline __mmask8 is_negative(field a)
{
    return _mm512_test_epi64_mask(canonical(a).limb[0], everywhere(1));
}

/* a in the lanes of `lanes`, b in the others. */
WIDE INLINE field choose(__mmask8 lanes, field a, field b)
{
    UNROLL
    for (int k = 0; k < FIELD_LIMBS; k++)
        b.limb[k] = _mm512_mask_mov_epi64(b.limb[k], lanes, a.limb[k]);
    return b;
}

WIDE static inline field absolute(field a) { return choose(is_negative(a), negate(a), a); }

#endif
