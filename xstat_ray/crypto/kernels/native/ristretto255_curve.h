/* Points of the curve -x^2 + y^2 = 1 + d x^2 y^2 modulo p, eight at once, and their multiples.

   Coordinates. A point is (X : Y : Z) with x = X / Z, y = Y / Z; additions want T = X Y / Z as well
   (Hisil, Wong, Carter and Dawson, "Twisted Edwards curves revisited", 2008). Both additions and
   doublings end with four numbers E, F, G, H from which X = E F, Y = G H, Z = F G, T = E H: the
   struct `sum`. Turning it into a point costs a fourth product for T, which is left out wherever a
   doubling follows. The formulas are complete on this curve: they hold for all points, equal,
   opposite or neutral ones too, so nothing branches.

   Multiples. All eight points have the same scalar, which is secret. It is written in 64 signed
   digits from -8 to 8 of weight 16^i; a step is four doublings and the addition of digit * point.
   The nine multiples are a table in memory (11 kB, in the first-level cache) of which every entry
   is read for every digit, and the wanted one kept by a mask that comes from comparing registers:
   neither an address nor a branch depends on the scalar. */

#ifndef XR_RISTRETTO255_CURVE_H
#define XR_RISTRETTO255_CURVE_H

#include "ristretto255_field.h"

#define DIGITS 64
#define LARGEST_DIGIT 8

static const u64 TWICE_D[] = {0x69b9426b2f159, 0x35050762add7a, 0x3cf44c0038052, 0x6738cc7407977,
                              0x2406d9dc56dff};

typedef struct {
    field x, y, z, t;
} point;

typedef struct {
    field e, f, g, h;
} sum;

/* Y + X, Y - X, 2 d T, 2 Z: a point as the second term of additions. */
typedef struct {
    field plus, minus, t, z;
} addend;

/* The point with, and without T; t must not be read of the latter. */
WIDE INLINE point with_t(sum s)
{
    point out = {multiply(s.e, s.f), multiply(s.g, s.h), multiply(s.f, s.g), multiply(s.e, s.h)};
    return out;
}

WIDE INLINE point without_t(sum s)
{
    point out = {.x = multiply(s.e, s.f), .y = multiply(s.g, s.h), .z = multiply(s.f, s.g)};
    return out;
}

/* p + p; T of p is not read. E, F and G of the paper with the opposite sign, as is H: products stay
   the same. */
WIDE INLINE sum doubled(const point *p)
{
    field xx = square(p->x), yy = square(p->y), zz = square(p->z), xy = square(add(p->x, p->y));
    field difference = columns_subtract(xx, yy), total = columns_add(xx, yy);
    sum out = {
        .e = carry(columns_subtract(total, xy)),
        .f = carry(columns_add(columns_add(zz, zz), difference)),
        .g = carry(difference),
        .h = carry(total),
    };
    return out;
}

WIDE INLINE sum added(const point *p, const addend *q)
{
    field a = multiply(subtract(p->y, p->x), q->minus), b = multiply(add(p->y, p->x), q->plus);
    field c = multiply(p->t, q->t), d = multiply(p->z, q->z);
    sum out = {subtract(b, a), subtract(d, c), add(d, c), add(b, a)};
    return out;
}

WIDE INLINE addend as_addend(const point *p)
{
    addend out = {add(p->y, p->x), subtract(p->y, p->x), multiply(p->t, constant(TWICE_D)),
                  add(p->z, p->z)};
    return out;
}

/* table[i] = i * p */
WIDE static void make_multiples(addend table[LARGEST_DIGIT + 1], const point *p)
{
    table[0] = (addend){small(1), small(1), small(0), small(2)};
    table[1] = as_addend(p);
    point multiple = *p;
    for (int i = 2; i <= LARGEST_DIGIT; i++) {
        multiple = with_t(added(&multiple, &table[1]));
        table[i] = as_addend(&multiple);
    }
}

/* digit * point: -q is q with Y + X and Y - X exchanged and 2 d T negated. */
WIDE static inline addend take_multiple(const addend table[LARGEST_DIGIT + 1], int64_t digit)
{
    const wide wanted = everywhere((u64)digit), size = _mm512_abs_epi64(wanted);
    addend out = table[0];
    for (u64 i = 1; i <= LARGEST_DIGIT; i++) {
        __mmask8 here = _mm512_cmpeq_epi64_mask(size, everywhere(i));
        out.plus = choose(here, table[i].plus, out.plus);
        out.minus = choose(here, table[i].minus, out.minus);
        out.t = choose(here, table[i].t, out.t);
        out.z = choose(here, table[i].z, out.z);
    }
    __mmask8 negative = _mm512_movepi64_mask(wanted);
    addend signed_out = {
        choose(negative, out.minus, out.plus),
        choose(negative, out.plus, out.minus),
        choose(negative, negate(out.t), out.t),
        out.z,
    };
    return signed_out;
}

/* The digits of a scalar of 32 bytes, of which bit 255 is ignored, as libsodium does. */
static void signed_digits(int64_t digit[DIGITS], const uint8_t scalar[32])
{
    for (int i = 0; i < DIGITS; i++)
        digit[i] = scalar[i / 2] >> 4 * (i % 2) & 15;
    digit[DIGITS - 1] &= 7;
    for (int i = 0; i < DIGITS - 1; i++) {
        int64_t carry = (digit[i] + 8) >> 4;
        digit[i] -= carry << 4;
        digit[i + 1] += carry;
    }
}

/* The sum of digit[i] 16^i times p. */
WIDE static point multiply_point(const point *p, const int64_t digit[DIGITS])
{
    addend table[LARGEST_DIGIT + 1];
    make_multiples(table, p);
    point result = {small(0), small(1), small(1), small(0)};
    for (int i = DIGITS - 1; i >= 0; i--) {
        for (int j = 0; j < 3; j++)
            result = without_t(doubled(&result));
        result = with_t(doubled(&result));
        const addend multiple = take_multiple(table, digit[i]);
        sum s = added(&result, &multiple);
        if (i)
            result = without_t(s);
        else
            result = with_t(s);
    }
    return result;
}

#endif
