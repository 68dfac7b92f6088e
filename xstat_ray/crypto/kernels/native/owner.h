/* Encryption by the owner, four ciphertexts at a time, modulo p^2 and q^2. A template, included once
   for every LIMBS. What the functions take and give is said in avx2.h.

   Tables are those of powers.h: base^(d 2^(digit_bits i)) for every place i and digit d, times R;
   here a row is the 2 LIMBS limbs of a number, in 32 bits each. In constant time every row of a
   place is read for every digit and the wanted one is kept by a mask. Groups that are not full work
   as those of ciphertexts.h do.

   Messages. 1 + m n is 1 + p (m q) modulo p^2, so that the last multiplication of a power is one by
   a number whose low part is 1; as that is no multiple of R, it takes the factor R away.

   Results are reduced to the one number below n^2, so that they equal those of any other
   implementation to the bit. */

#include "digits.h"
#include "squares.h"

/* Four rows of a table to a number. */
FOUR static void SIZED(load_rows)(four *out, const uint32_t *const rows[LANES])
{
    for (int j = 0; j < 2 * LIMBS; j += 4) {
        __m128i r[LANES];
        for (int k = 0; k < LANES; k++)
            r[k] = _mm_loadu_si128((const __m128i *)(rows[k] + j));
        const __m128i a = _mm_unpacklo_epi32(r[0], r[1]), b = _mm_unpackhi_epi32(r[0], r[1]);
        const __m128i c = _mm_unpacklo_epi32(r[2], r[3]), d = _mm_unpackhi_epi32(r[2], r[3]);
        out[j] = _mm256_cvtepu32_epi64(_mm_unpacklo_epi64(a, c));
        out[j + 1] = _mm256_cvtepu32_epi64(_mm_unpackhi_epi64(a, c));
        out[j + 2] = _mm256_cvtepu32_epi64(_mm_unpacklo_epi64(b, d));
        out[j + 3] = _mm256_cvtepu32_epi64(_mm_unpackhi_epi64(b, d));
    }
}

/* The reverse; a row of NULL is not written. */
FOUR static void SIZED(store_rows)(uint32_t *const rows[LANES], const four *in)
{
    for (int j = 0; j < 2 * LIMBS; j++) {
        u64 lanes[LANES];
        to_lanes(lanes, in[j]);
        for (int k = 0; k < LANES; k++)
            if (rows[k])
                rows[k][j] = (uint32_t)lanes[k];
    }
}

FOUR static void SIZED(make_table)(uint32_t *table, const u64 *base, const u64 *constants,
                                   unsigned places, unsigned digit_bits)
{
    const struct prime p = prime_at(constants, LIMBS);
    const size_t rows = (size_t)1 << digit_bits;
    uint32_t bases[LANES][2 * LIMBS], *to[LANES];
    four power[2 * LIMBS], step[2 * LIMBS], next[2 * LIMBS];
    SIZED(spread)(next, base);
    SIZED(spread)(next + LIMBS, base + LIMBS);
    for (unsigned first = 0; first < places; first += LANES) {
        /* The bases of four places, each the 2^digit_bits-th power of the one before; then their
           rows side by side. */
        for (int k = 0; k < LANES; k++) {
            for (int j = 0; j < LANES; j++)
                to[j] = j == k ? bases[k] : NULL;
            SIZED(store_rows)(to, next);
            for (unsigned bit = 0; bit < digit_bits; bit++)
                SIZED(multiply)(next, next, &p);
        }
        const uint32_t *from[LANES] = {bases[0], bases[1], bases[2], bases[3]};
        SIZED(load_rows)(step, from);
        SIZED(spread)(power, p.one);
        SIZED(spread)(power + LIMBS, p.one + LIMBS);
        for (size_t d = 0; d < rows; d++) {
            for (unsigned k = 0; k < LANES; k++)
                to[k] = first + k < places ? table + ((first + k) * rows + d) * 2 * LIMBS : NULL;
            SIZED(store_rows)(to, power);
            SIZED(multiply)(power, step, &p);
        }
    }
}

/* Row digits[k] of a place for lane k, found by reading all of them. */
FOUR static void SIZED(scan_rows)(uint32_t out[LANES][2 * LIMBS], const uint32_t *place,
                                  unsigned digit_bits, const unsigned digits[LANES])
{
    four wanted[LANES];
    for (int k = 0; k < LANES; k++)
        wanted[k] = everywhere(digits[k]);
    for (int from = 0; from < 2 * LIMBS; from += 8) {
        four kept[LANES];
        for (int k = 0; k < LANES; k++)
            kept[k] = everywhere(0);
        for (size_t d = 0; d < (size_t)1 << digit_bits; d++) {
            const four row = _mm256_loadu_si256((const __m256i *)(place + d * 2 * LIMBS + from));
            for (int k = 0; k < LANES; k++) {
                const four here = _mm256_cmpeq_epi64(wanted[k], everywhere(d));
                kept[k] = _mm256_or_si256(kept[k], _mm256_and_si256(row, here));
            }
        }
        for (int k = 0; k < LANES; k++)
            _mm256_storeu_si256((__m256i *)(out[k] + from), kept[k]);
    }
}

/* out = base^exponent for four exponents, times R, loose. */
FOUR static void SIZED(power)(four *out, const struct xr_powers *base, const struct prime *p,
                              const uint8_t *const exponents[LANES])
{
    const size_t place_limbs = (size_t)2 * LIMBS << base->digit_bits;
    four factor[2 * LIMBS];
    uint32_t found[LANES][2 * LIMBS];
    for (unsigned i = 0; i < base->places; i++) {
        const uint32_t *place = base->table + i * place_limbs, *rows[LANES];
        unsigned digits[LANES];
        for (int k = 0; k < LANES; k++) {
            digits[k] = digit_at(exponents[k], base->exponent_bytes, i, base->digit_bits);
            rows[k] = base->constant_time ? found[k] : place + digits[k] * (size_t)(2 * LIMBS);
        }
        if (base->constant_time)
            SIZED(scan_rows)(found, place, base->digit_bits, digits);
        SIZED(load_rows)(i ? factor : out, rows);
        for (int k = 0; k < LANES && i + 1 < base->places && !base->constant_time; k++) {
            size_t next = digit_at(exponents[k], base->exponent_bytes, i + 1, base->digit_bits);
            for (int j = 0; j < 2 * LIMBS; j += 64 / (int)sizeof(uint32_t))
                __builtin_prefetch(place + place_limbs + next * 2 * LIMBS + j);
        }
        if (i)
            SIZED(multiply)(out, factor, p);
    }
}

/* out = (1 + message n) base^exponent modulo p^2, where n = p q; loose. */
FOUR static void SIZED(encrypt)(four *out, const four *message, const struct xr_powers *base,
                                const struct prime *p, const uint8_t *const exponents[LANES])
{
    four t[2 * LIMBS], constant[LIMBS], product[LIMBS], low[LIMBS], quotient[LIMBS];
    /* The message is m0 + R m1, both below R; m0 (q R) / R + m1 (q R^2) / R = m q, below 3p. */
    SIZED(begin)(t, NULL);
    SIZED(spread)(constant, p->other);
    SIZED(add_to)(t, message, constant);
    SIZED(spread)(constant, p->other + LIMBS);
    SIZED(add_to)(t, message + LIMBS, constant);
    SIZED(reduce)(product, quotient, t, p);
    /* out (1 + p m q) / R, as in `multiply`. */
    SIZED(power)(out, base, p, exponents);
    SIZED(begin)(t, out);
    SIZED(reduce)(low, quotient, t, p);
    SIZED(begin_high)(t, quotient, p);
    for (int j = 0; j < LIMBS; j++)
        t[j] = _mm256_add_epi64(t[j], out[LIMBS + j]);
    SIZED(add_to)(t, out, product);
    SIZED(reduce)(out + LIMBS, quotient, t, p);
    for (int j = 0; j < LIMBS; j++)
        out[j] = low[j];
}

/* x = (x - y) / p^2 modulo q^2, reduced, for x loose modulo q^2 and y reduced modulo p^2, where p and
   q have equally many bits. `joint` has R / p^2 and -R / p modulo q^2. */
FOUR static void SIZED(divide_difference)(four *x, const four *y, const struct prime *q,
                                          const u64 *joint)
{
    four t[2 * LIMBS], low[LIMBS], quotient[LIMBS], constant[4][LIMBS];
    for (int row = 0; row < 4; row++)
        SIZED(spread)(constant[row], joint + row * LIMBS);
    /* x minus the low half of y, which is below p and so below 2q: the low half has 2q added, which
       makes it positive and below 4q, and the high half therefore 2 subtracted, and q added for
       the same reason, which makes it less than 3q. In every limb 2^30 is lent, which the next one
       gives back as 4. */
    four lent = everywhere(0), high = everywhere(0);
    for (int j = 0; j < LIMBS; j++) {
        const u64 twice = 2 * q->limbs[j] + (1 << 30) - (j ? 4 : 0);
        four d = _mm256_add_epi64(_mm256_add_epi64(x[j], everywhere(twice)), lent);
        d = _mm256_sub_epi64(d, y[j]);
        lent = _mm256_srli_epi64(d, LIMB_BITS);
        x[j] = _mm256_and_si256(d, everywhere(LIMB_MASK));
        const u64 once = q->limbs[j] + (1 << 30) - (j ? 4 : 2);
        d = _mm256_add_epi64(_mm256_add_epi64(x[LIMBS + j], everywhere(once)), high);
        high = _mm256_srli_epi64(d, LIMB_BITS);
        x[LIMBS + j] = _mm256_and_si256(d, everywhere(LIMB_MASK));
    }
    /* That times 1 / p^2, and the high half of y, which stands for p times as much, times -1 / p. */
    SIZED(begin)(t, NULL);
    SIZED(add_to)(t, x, constant[0]);
    SIZED(add_to)(t, y + LIMBS, constant[2]);
    SIZED(reduce)(low, quotient, t, q);
    SIZED(begin_high)(t, quotient, q);
    SIZED(add_to)(t, x + LIMBS, constant[0]);
    SIZED(add_to)(t, x, constant[1]);
    SIZED(carry)(t, t, 2 * LIMBS);
    SIZED(add_to)(t, y + LIMBS, constant[3]);
    SIZED(reduce)(x + LIMBS, quotient, t, q);
    for (int j = 0; j < LIMBS; j++)
        x[j] = low[j];
    SIZED(settle)(x, q);
}

/* whole[0 .. 4 LIMBS) = x + p^2 y, exactly, for x modulo p^2 and y modulo q^2, both reduced: with
   their halves, low + p (high + p (low + q high)). */
FOUR static void SIZED(join)(four *whole, const four *x, const four *y, const struct prime *p,
                             const struct prime *q)
{
    four t[4 * LIMBS], factor[LIMBS];
    SIZED(begin)(whole, y);
    SIZED(spread)(factor, q->limbs);
    SIZED(add_to)(whole, y + LIMBS, factor);
    SIZED(carry)(whole, whole, 2 * LIMBS);
    SIZED(spread)(factor, p->limbs);
    for (int parts = 2; parts < 4; parts++) {
        for (int j = 0; j < (parts + 1) * LIMBS; j++)
            t[j] = j >= LIMBS ? everywhere(0) : parts == 2 ? x[LIMBS + j] : x[j];
        for (int part = 0; part < parts; part++)
            SIZED(add_to)(t + part * LIMBS, whole + part * LIMBS, factor);
        SIZED(carry)(whole, t, (parts + 1) * LIMBS);
    }
}

FOUR static void SIZED(encrypt_all)(uint8_t *out, const uint8_t *messages, const int64_t *index,
                                    size_t n, const struct xr_powers *by_p,
                                    const uint8_t *p_exponents, const struct xr_powers *by_q,
                                    const uint8_t *q_exponents, const u64 *joint)
{
    const struct prime p = prime_at(by_p->constants, LIMBS), q = prime_at(by_q->constants, LIMBS);
    uint8_t unused[32 * WORDS], *to[LANES];
    const uint8_t *from[LANES], *p_own[LANES], *q_own[LANES];
    four message[2 * LIMBS], whole[4 * LIMBS];
    four x[2 * LIMBS], y[2 * LIMBS];
    for (size_t first = 0; first < n; first += LANES) {
        for (size_t k = 0; k < LANES; k++) {
            size_t row = first + k < n ? first + k : n - 1;
            from[k] = messages + index[row] * (16 * WORDS);
            p_own[k] = p_exponents + row * by_p->exponent_bytes;
            q_own[k] = q_exponents + row * by_q->exponent_bytes;
            to[k] = first + k < n ? out + row * (32 * WORDS) : unused;
        }
        SIZED(load_words)(message, from, 2 * WORDS);
        SIZED(encrypt)(x, message, by_p, &p, p_own);
        SIZED(settle)(x, &p);
        SIZED(encrypt)(y, message, by_q, &q, q_own);
        /* Chinese remainders: x + p^2 ((y - x) / p^2 mod q^2). */
        SIZED(divide_difference)(y, x, &q, joint);
        SIZED(join)(whole, x, y, &p, &q);
        SIZED(store_words)(to, whole, 4 * WORDS);
    }
}
