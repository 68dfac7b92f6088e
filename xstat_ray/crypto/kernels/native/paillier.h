/* The Paillier kernels: ciphertexts by the eight, without Python and without big-integer library.

   All functions take rows of little-endian 64-bit words without alignment, any number of them, and
   constants made by the caller: rows of `xr_row(limbs)` limbs of 52 bits, padded with zeros.
   `limbs` is one of XR_SIZES and fits a modulus of up to 64 `xr_words(limbs)` bits: 40 or 60 for
   p^2 and q^2 of keys of 2048 and 3072 bits, 80 for those of 4096 and for n^2 of 2048, 120 and 160
   for n^2 of 3072 and 4096. Functions that can be given a size return 0, or -1 where it is not one
   of these; nothing else is checked here. */

#ifndef XR_PAILLIER_H
#define XR_PAILLIER_H

#include <stddef.h>
#include <stdint.h>

#define XR_SIZES(X) X(40) X(60) X(80) X(120) X(160)

/* Limbs from one row of constants to the next. */
static inline size_t xr_row(int limbs) { return ((size_t)limbs + 7) / 8 * 8; }

/* 64-bit words of a number modulo the modulus. */
static inline size_t xr_words(int limbs) { return (size_t)limbs * 4 / 5; }

/* A modulus m: the rows m, R mod m, R^2 mod m, R^3 mod m (R = 2^(52 limbs)), and n R mod m, n being
   the Paillier modulus. */
#define XR_MODULUS_ROWS 5

/* Powers of one base modulo one modulus, by a table. */
struct xr_fixed_base {
    const uint64_t *modulus; /* XR_MODULUS_ROWS rows */
    const uint64_t *table; /* places << digit_bits rows, from xr_make_table */
    unsigned places, digit_bits;
    size_t exponent_bytes;
    int constant_time; /* read the whole table rather than the rows that the exponent names */
};

/* Fill a table for exponents of places * digit_bits bits; `base` is a row in Montgomery form (base R
   mod m). */
int xr_make_table(int limbs, uint64_t *table, const uint64_t *base, const uint64_t *modulus,
                  unsigned places, unsigned digit_bits);

/* out[i] = (1 + messages[index[i]] n) base^exponents[i] modulo the modulus, n of them. Messages
   have half as many words as the modulus, which is n^2. */
int xr_encrypt_public(int limbs, uint8_t *out, const uint8_t *messages, const int64_t *index,
                      size_t n, const struct xr_fixed_base *base, const uint8_t *exponents);

/* Encrypt by the primes: moduli p^2 and q^2 (p and q of equally many bits), the results combined
   to one modulo p^2 q^2 of twice as many words. Messages have as many words as each modulus.
   `p2_inverse` is the row of R / p^2 modulo q^2. */
int xr_encrypt_owner(int limbs, uint8_t *out, const uint8_t *messages, const int64_t *index,
                     size_t n, const struct xr_fixed_base *p, const uint8_t *p_exponents,
                     const struct xr_fixed_base *q, const uint8_t *q_exponents,
                     const uint64_t *p2_inverse);

/* out[s] = the product of rows[index[i]], edges[s] <= i < edges[s + 1], modulo the modulus, for
   `count` segments. `order` names the segments, sorted by length so that those of a group of eight
   end together; no segment may be empty or longer than `most`. `r_powers` has the rows R^0 ..
   R^most modulo the modulus. */
int xr_accumulate(int limbs, uint8_t *out, const uint8_t *rows, const int64_t *index,
                  const int64_t *edges, const int64_t *order, size_t count, const uint64_t *modulus,
                  const uint64_t *r_powers);

/* out[i] = rows[i]^exponent modulo the modulus; rows have twice as many words as the modulus, the
   exponent is the same for all and of at least one byte. No address depends on it. */
int xr_power(int limbs, uint8_t *out, const uint8_t *rows, size_t n, const uint8_t *exponent,
             size_t exponent_bytes, const uint64_t *modulus);

#endif
