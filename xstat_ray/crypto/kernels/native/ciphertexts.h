/* Encryption, sums and decryption, eight ciphertexts at a time. A template, included once for every
   LIMBS. What the functions take and give is said in paillier.h.

   Tails. Work is done in groups of eight rows. In the last group the lanes beyond the end repeat
   its last row, and what they compute is stored to a row that nobody reads: no buffer is read or
   written outside its rows.

   Montgomery factors. `multiply` divides by R. Encryption multiplies table rows, which carry a
   factor R, and at last the plain 1 + m n, which takes it away; m n itself comes from m and the
   constant n R. A product of k plain ciphertexts lacks R^(k-1), which one more multiplication, by
   R^k from a table, puts right. Decryption enters Montgomery form by the constants R^2 and R^3 and
   leaves it by a multiplication with 1.

   Reduced results. Every result is reduced to the one number below the modulus, so that it equals
   that of any other implementation to the bit. */

#include "powers.h"

/* Which rows the eight lanes of the group at `first` read, of n: the last one again beyond the
   end. */
static inline size_t SIZED(lane)(size_t first, int k, size_t n)
{
    return first + k < n ? first + k : n - 1;
}

/* out = (1 + message n) base^exponent modulo the base's modulus, loose. */
WIDE static void SIZED(encrypt_eight)(wide *out, const wide *message,
                                      const struct xr_fixed_base *base, const struct modulus *m,
                                      const uint8_t *exponents, size_t first, size_t n)
{
    const uint8_t *own[LANES];
    wide randomizer[LIMBS];
    for (int k = 0; k < LANES; k++)
        own[k] = exponents + SIZED(lane)(first, k, n) * base->exponent_bytes;
    SIZED(fixed_base_power)(randomizer, base, m, own);
    SIZED(spread)(out, base->modulus + 4 * ROW);
    SIZED(multiply)(out, message, out, m);
    out[0] = _mm512_add_epi64(out[0], everywhere(1));
    SIZED(carry)(out, out, LIMBS);
    SIZED(multiply)(out, randomizer, out, m);
}

WIDE static void SIZED(encrypt_public)(uint8_t *out, const uint8_t *messages, const int64_t *index,
                                       size_t n, const struct xr_fixed_base *base,
                                       const uint8_t *exponents)
{
    const struct modulus m = modulus_at(base->modulus, ROW);
    uint8_t unused[8 * WORDS], *to[LANES];
    const uint8_t *from[LANES];
    wide message[LIMBS], x[LIMBS];
    for (size_t first = 0; first < n; first += LANES) {
        for (int k = 0; k < LANES; k++) {
            from[k] = messages + index[SIZED(lane)(first, k, n)] * (4 * WORDS);
            to[k] = first + k < n ? out + (first + k) * (8 * WORDS) : unused;
        }
        SIZED(load_words)(message, LIMBS, from, WORDS / 2);
        SIZED(encrypt_eight)(x, message, base, &m, exponents, first, n);
        SIZED(reduce_once)(x, &m);
        SIZED(store_words)(to, WORDS, x, LIMBS);
    }
}

WIDE static void SIZED(encrypt_owner)(uint8_t *out, const uint8_t *messages, const int64_t *index,
                                      size_t n, const struct xr_fixed_base *p,
                                      const uint8_t *p_exponents, const struct xr_fixed_base *q,
                                      const uint8_t *q_exponents, const u64 *p2_inverse)
{
    const struct modulus p2 = modulus_at(p->modulus, ROW), q2 = modulus_at(q->modulus, ROW);
    uint8_t unused[16 * WORDS], *to[LANES];
    const uint8_t *from[LANES];
    wide message[LIMBS], by_p[LIMBS], by_q[LIMBS], inverse[LIMBS], whole[2 * LIMBS];
    SIZED(spread)(inverse, p2_inverse);
    for (size_t first = 0; first < n; first += LANES) {
        for (int k = 0; k < LANES; k++) {
            from[k] = messages + index[SIZED(lane)(first, k, n)] * (8 * WORDS);
            to[k] = first + k < n ? out + (first + k) * (16 * WORDS) : unused;
        }
        SIZED(load_words)(message, LIMBS, from, WORDS);
        SIZED(encrypt_eight)(by_p, message, p, &p2, p_exponents, first, n);
        SIZED(reduce_once)(by_p, &p2);
        SIZED(encrypt_eight)(by_q, message, q, &q2, q_exponents, first, n);
        /* Chinese remainders: by_p + p^2 ((by_q - by_p) / p^2 mod q^2). As p and q have equally
           many bits, p^2 is below 4 q^2, and the difference plus 4 q^2 positive and below 6 q^2. */
        SIZED(subtract)(by_q, by_q, by_p, &q2);
        SIZED(multiply)(by_q, by_q, inverse, &q2);
        SIZED(reduce_once)(by_q, &q2);
        SIZED(multiply_add)(whole, by_q, p2.limbs, by_p);
        SIZED(store_words)(to, 2 * WORDS, whole, 2 * LIMBS);
    }
}

WIDE static void SIZED(accumulate)(uint8_t *out, const uint8_t *rows, const int64_t *index,
                                   const int64_t *edges, const int64_t *order, size_t count,
                                   const u64 *modulus, const u64 *r_powers)
{
    const struct modulus m = modulus_at(modulus, ROW);
    uint8_t unused[8 * WORDS], *to[LANES];
    const uint8_t *from[LANES];
    const u64 *factor[LANES];
    const int64_t *at[LANES];
    int64_t left[LANES];
    wide product[LIMBS], x[LIMBS], one[LIMBS];
    SIZED(spread)(one, m.one);
    for (size_t first = 0; first < count; first += LANES) {
        int64_t longest = 0;
        for (int k = 0; k < LANES; k++) {
            int64_t segment = order[SIZED(lane)(first, k, count)];
            at[k] = index + edges[segment];
            left[k] = edges[segment + 1] - edges[segment];
            longest = left[k] > longest ? left[k] : longest;
            factor[k] = r_powers + left[k] * ROW;
            to[k] = first + k < count ? out + segment * (8 * WORDS) : unused;
            from[k] = rows + *at[k] * (8 * WORDS);
        }
        SIZED(load_words)(product, LIMBS, from, WORDS);
        for (int64_t done = 1; done < longest; done++) {
            /* Lanes whose segment has ended multiply by R, which changes nothing. */
            __mmask8 active = 0;
            for (int k = 0; k < LANES; k++)
                if (done < left[k]) {
                    active |= (__mmask8)(1u << k);
                    from[k] = rows + at[k][done] * (8 * WORDS);
                    for (int line = 0; line < 8 * WORDS && done + 1 < left[k]; line += 64)
                        __builtin_prefetch(rows + at[k][done + 1] * (8 * WORDS) + line);
                }
            SIZED(load_words)(x, LIMBS, from, WORDS);
            for (int j = 0; j < LIMBS; j++)
                x[j] = _mm512_mask_mov_epi64(one[j], active, x[j]);
            SIZED(multiply)(product, product, x, &m);
        }
        SIZED(load_limbs)(x, factor);
        SIZED(multiply)(product, product, x, &m);
        SIZED(reduce_once)(product, &m);
        SIZED(store_words)(to, WORDS, product, LIMBS);
    }
}

WIDE static void SIZED(power)(uint8_t *out, const uint8_t *rows, size_t n, const uint8_t *exponent,
                              size_t exponent_bytes, const u64 *modulus)
{
    const struct modulus m = modulus_at(modulus, ROW);
    uint8_t unused[8 * WORDS], *to[LANES];
    const uint8_t *from[LANES];
    wide whole[2 * LIMBS], base[LIMBS], x[LIMBS];
    for (size_t first = 0; first < n; first += LANES) {
        for (int k = 0; k < LANES; k++) {
            from[k] = rows + SIZED(lane)(first, k, n) * (16 * WORDS);
            to[k] = first + k < n ? out + (first + k) * (8 * WORDS) : unused;
        }
        /* The row is low + R high; low R^2 / R + high R^3 / R = (low + R high) R is its Montgomery
           form, below 4m. */
        SIZED(load_words)(whole, 2 * LIMBS, from, 2 * WORDS);
        SIZED(spread)(x, m.square);
        SIZED(multiply)(base, whole, x, &m);
        SIZED(spread)(x, m.cube);
        SIZED(multiply)(x, whole + LIMBS, x, &m);
        for (int j = 0; j < LIMBS; j++)
            base[j] = _mm512_add_epi64(base[j], x[j]);
        SIZED(carry)(base, base, LIMBS);
        SIZED(fixed_exponent_power)(x, base, exponent, exponent_bytes, &m);
        for (int j = 0; j < LIMBS; j++)
            base[j] = everywhere(j == 0);
        SIZED(multiply)(x, x, base, &m);
        SIZED(reduce_once)(x, &m);
        SIZED(store_words)(to, WORDS, x, LIMBS);
    }
}
