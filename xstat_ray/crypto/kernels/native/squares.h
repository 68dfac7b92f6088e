/* Arithmetic modulo the square of a fixed odd number p, four numbers at a time. A template, included
   once for every LIMBS.

   Representation. A number modulo p^2 is low + p high: an array of 2 LIMBS registers, of which the
   first half has the limbs of `low` and the second those of `high`, 28 bits each (four.h). p has
   64 WORDS bits, which leaves R = 2^(28 LIMBS) at least 2^32 p at the least of the sizes (LIMBS 56:
   1568 bits for 1536). "Reduced" means below p, of both halves, "loose" below 2p; limbs handed from
   one function to the next are always normal, that is below 2^28.

   Multiplication. Modulo p^2, (a + p w)(t + p s) = a t + p (w t + a s). Montgomery's reduction of
   a t finds the f for which a t + f p = R a', so that a t = R a' - p f, and

       (a + p w)(t + p s) / R = a' + p (w t + a s - f) / R,

   of which the factor of p is needed modulo p alone: a second reduction. That makes three products
   and two reductions of numbers half as long as p^2, five units of work where a multiplication
   modulo p^2 as a whole has eight. In place of -f stands `filler` - f, where `filler` is a multiple
   of p, below 3R, whose limbs are 2^28 and more, so that no column becomes negative.

   Bounds. `reduce` gives less than t / R + p. With loose factors a' is below 4 p^2 / R + p, and the
   other half below (8 p^2 + 3R) / R + p; as p^2 / R is at most p / 2^32, both are below
   p + p / 2^28 + 3: loose again, even with 1 added. Callers have the same from 16 p^2 in place of
   8 p^2: sums of a few products with factors of up to 4p.

   Carries. Columns are unsigned 64-bit sums of products of two limbs, each at most (2^28 - 1)^2. A
   product of two numbers adds at most LIMBS of them to a column, a reduction also LIMBS; what a
   column begins with is below 2^30, and the carry from the column before it below 2^36. From its
   beginning to a `carry` a column meets at most two products of numbers and one reduction:

       3 LIMBS (2^28 - 1)^2 + 2^30 + 2^36 < 228 * 2^56 < 2^64

   at the largest size, 76. A third product comes after one more `carry` (divide_difference in
   owner.h): with four of them 304 * 2^56 would be too much. A reduction hands on the carry out of
   the columns that it clears; `carry` makes all limbs normal at the end.

   No branch and no address depends on a value. */

#define JOIN_(a, b) a##_##b
#define JOIN(a, b) JOIN_(a, b)
#define SIZED(name) JOIN(name, LIMBS)

/* 64-bit words of p; whole blocks of 512 bits, as all key sizes are. */
#define WORDS (LIMBS * LIMB_BITS / 512 * 8)

/* Columns t to normal limbs; what is carried out of the last one is dropped (it is zero). */
FOUR INLINE void SIZED(carry)(four *out, const four *t, int count)
{
    const four mask = everywhere(LIMB_MASK);
    four carry = everywhere(0);
    for (int j = 0; j < count; j++) {
        four x = _mm256_add_epi64(t[j], carry);
        carry = _mm256_srli_epi64(x, LIMB_BITS);
        out[j] = _mm256_and_si256(x, mask);
    }
}

/* t[0 .. 2 LIMBS) += a b, as columns, four limbs of b to a pass: the columns in work stay in
   registers while a pass sweeps over a. */
FOUR static __attribute__((noinline)) void SIZED(add_to)(four *t, const four *a, const four *b)
{
    for (int i = 0; i < LIMBS; i += 4) {
        const four b4[4] = {b[i], b[i + 1], b[i + 2], b[i + 3]};
        four s[4] = {t[i], t[i + 1], t[i + 2], t[i + 3]};
        for (int j = 0; j < LIMBS; j += 4)
            for (int k = 0; k < 4; k++) {
                const four x = a[j + k];
                for (int c = 0; c < 4; c++)
                    s[(k + c) % 4] = add_product(s[(k + c) % 4], x, b4[c]);
                t[i + j + k] = s[k];
                s[k] = t[i + j + k + 4];
            }
        for (int k = 0; k < 4; k++)
            t[i + LIMBS + k] = s[k];
    }
}

/* out = t / R mod p, below t / R + p, for columns t[0 .. 2 LIMBS); `quotient` is the f for which
   t + f p = R out. Both have normal limbs. Destroys t. */
FOUR static __attribute__((noinline)) void SIZED(reduce)(four *out, four *quotient, four *t,
                                                         const struct prime *p)
{
    for (int i = 0; i < LIMBS; i += 4) {
        four u[8], f[4];
        for (int k = 0; k < 8; k++)
            u[k] = t[i + k];
        for (int k = 0; k < 4; k++) {
            f[k] = _mm256_and_si256(_mm256_mul_epu32(DROP_UPPER(u[k]), everywhere(p->inverse)),
                                    everywhere(LIMB_MASK));
            for (int c = 0; c < 4; c++)
                u[k + c] = add_product(u[k + c], f[k], everywhere(p->limbs[c]));
            u[k + 1] = _mm256_add_epi64(u[k + 1], _mm256_srli_epi64(u[k], LIMB_BITS));
            quotient[i + k] = f[k];
        }
        four s[4] = {u[4], u[5], u[6], u[7]};
        for (int j = 4; j < LIMBS; j += 4)
            for (int k = 0; k < 4; k++) {
                const four x = everywhere(p->limbs[j + k]);
                for (int c = 0; c < 4; c++)
                    s[(k + c) % 4] = add_product(s[(k + c) % 4], x, f[c]);
                t[i + j + k] = s[k];
                s[k] = t[i + j + k + 4];
            }
        for (int k = 0; k < 4; k++)
            t[i + LIMBS + k] = s[k];
    }
    SIZED(carry)(out, t + LIMBS, LIMBS);
}

/* t[0 .. 2 LIMBS) = limbs, or zero where there are none. */
FOUR INLINE void SIZED(begin)(four *t, const four *limbs)
{
    for (int j = 0; j < LIMBS; j++) {
        t[j] = limbs ? limbs[j] : everywhere(0);
        t[LIMBS + j] = everywhere(0);
    }
}

/* t[0 .. 2 LIMBS) = a multiple of p, less the quotient. */
FOUR INLINE void SIZED(begin_high)(four *t, const four *quotient, const struct prime *p)
{
    for (int j = 0; j < LIMBS; j++) {
        t[j] = _mm256_sub_epi64(everywhere(p->filler[j]), quotient[j]);
        t[LIMBS + j] = everywhere(0);
    }
}

/* x = x y / R mod p^2, loose. */
FOUR static void SIZED(multiply)(four *x, const four *y, const struct prime *p)
{
    four t[2 * LIMBS], low[LIMBS], quotient[LIMBS];
    SIZED(begin)(t, NULL);
    SIZED(add_to)(t, x, y);
    SIZED(reduce)(low, quotient, t, p);
    SIZED(begin_high)(t, quotient, p);
    SIZED(add_to)(t, x + LIMBS, y);
    SIZED(add_to)(t, x, y + LIMBS);
    SIZED(reduce)(x + LIMBS, quotient, t, p);
    for (int j = 0; j < LIMBS; j++)
        x[j] = low[j];
}

/* Loose to reduced: subtract p where the difference is not negative. Returns 1 in these lanes and 0
   in the others. */
FOUR INLINE four SIZED(reduce_once)(four *x, const struct prime *p)
{
    /* Each difference has 2^28 added, of which the next limb gives back one, so that it is not
       negative; what is then missing above 28 bits is the borrow. */
    const four one = everywhere(1);
    four difference[LIMBS], kept = one;
    for (int j = 0; j < LIMBS; j++) {
        four d = _mm256_add_epi64(x[j], _mm256_add_epi64(everywhere(LIMB_MASK), kept));
        d = _mm256_sub_epi64(d, everywhere(p->limbs[j]));
        kept = _mm256_srli_epi64(d, LIMB_BITS);
        difference[j] = _mm256_and_si256(d, everywhere(LIMB_MASK));
    }
    const four positive = _mm256_cmpeq_epi64(kept, one);
    for (int j = 0; j < LIMBS; j++)
        x[j] = _mm256_blendv_epi8(x[j], difference[j], positive);
    return kept;
}

/* Loose to reduced, where `high` is below 2p - 1. */
FOUR static void SIZED(settle)(four *x, const struct prime *p)
{
    x[LIMBS] = _mm256_add_epi64(x[LIMBS], SIZED(reduce_once)(x, p));
    SIZED(carry)(x + LIMBS, x + LIMBS, LIMBS);
    SIZED(reduce_once)(x + LIMBS, p);
}

/* One row of limbs in every lane. */
FOUR INLINE void SIZED(spread)(four *out, const u64 *row)
{
    for (int j = 0; j < LIMBS; j++)
        out[j] = everywhere(row[j]);
}

/* Four little-endian rows of `words` 64-bit words to 2 LIMBS limbs; they must fit. */
FOUR static void SIZED(load_words)(four *out, const uint8_t *const rows[LANES], int words)
{
    uint8_t padded[LANES][2 * LIMBS * LIMB_BITS / 8 + 8] = {{0}};
    for (int k = 0; k < LANES; k++)
        memcpy(padded[k], rows[k], 8 * (size_t)words);
    for (int j = 0; j < 2 * LIMBS; j++) {
        u64 lanes[LANES];
        for (int k = 0; k < LANES; k++) {
            memcpy(&lanes[k], padded[k] + j * LIMB_BITS / 8, 8);
            lanes[k] = lanes[k] >> j * LIMB_BITS % 8 & LIMB_MASK;
        }
        out[j] = four_at(lanes);
    }
}

/* 4 LIMBS limbs to four little-endian rows of `words` 64-bit words; the number must fit. */
FOUR static void SIZED(store_words)(uint8_t *const rows[LANES], const four *in, int words)
{
    u64 lanes[4 * LIMBS][LANES];
    for (int j = 0; j < 4 * LIMBS; j++)
        to_lanes(lanes[j], in[j]);
    for (int k = 0; k < LANES; k++)
        for (int word = 0; word < words; word++) {
            int limb = word * 64 / LIMB_BITS, shift = word * 64 % LIMB_BITS;
            u64 x = lanes[limb][k] >> shift;
            for (int at = LIMB_BITS - shift; at < 64 && limb + 1 < 4 * LIMBS; at += LIMB_BITS)
                x |= lanes[++limb][k] << at;
            memcpy(rows[k] + 8 * word, &x, 8);
        }
}
