/* The steps that a multiplication is made of, the same for every size (montgomery.h), and what a
   modulus consists of. */

#ifndef XR_COLUMNS_H
#define XR_COLUMNS_H

#include "wide.h"

/* An odd modulus m and Montgomery's constants for it, each a row of limbs in memory. */
struct modulus {
    const u64 *limbs;
    const u64 *one; /* R mod m */
    const u64 *square; /* R^2 mod m */
    const u64 *cube; /* R^3 mod m */
    u64 inverse; /* -1/m mod 2^52 */
};

/* The rows m, R, R^2 and R^3, one after the other, as a modulus. */
static inline struct modulus modulus_at(const u64 *rows, int row)
{
    /* Newton's iteration doubles the correct bits of 1/m; an odd number is its own inverse to three
       bits. */
    u64 inverse = rows[0];
    for (int bits = 3; bits < LIMB_BITS; bits *= 2)
        inverse *= 2 - rows[0] * inverse;
    return (struct modulus){rows, rows + row, rows + 2 * row, rows + 3 * row, -inverse & LIMB_MASK};
}

/* u[0 .. 5) += x * (y0 .. y3), as columns. */
WIDE static inline __attribute__((always_inline)) void add_row(wide u[5], wide x, const wide y[4])
{
    u[0] = madd_low(u[0], x, y[0]);
    u[1] = madd_low(u[1], x, y[1]);
    u[2] = madd_low(u[2], x, y[2]);
    u[3] = madd_low(u[3], x, y[3]);
    u[1] = madd_high(u[1], x, y[0]);
    u[2] = madd_high(u[2], x, y[1]);
    u[3] = madd_high(u[3], x, y[2]);
    u[4] = madd_high(u[4], x, y[3]);
}

/* Leave the lowest column, which is finished, and take in the next one. */
WIDE static inline __attribute__((always_inline)) void slide(wide s[5], wide next)
{
    s[0] = s[1];
    s[1] = s[2];
    s[2] = s[3];
    s[3] = s[4];
    s[4] = next;
}

/* Find q0..q3 such that adding q * m makes u[0..3] vanish; add its part from the lowest four limbs
   of m, and hand the carry of the four columns on to u[4]. */
WIDE static inline __attribute__((always_inline)) void clear_columns(wide u[9], wide q[4],
                                                                     const wide low[4], u64 inverse)
{
    for (int k = 0; k < 4; k++) {
        q[k] = madd_low(everywhere(0), DROP_HIGH(u[k]), everywhere(inverse));
        add_row(u + k, q[k], low);
        u[k + 1] = _mm512_add_epi64(u[k + 1], _mm512_srli_epi64(u[k], LIMB_BITS));
    }
}

#endif
