/* The AVX2 kernel: encryption by the key's owner, ciphertexts by the four, without Python and
   without big-integer library.

   Rows and exponents are as in paillier.h. Constants are made by the caller: rows of `limbs` limbs
   of 28 bits, 64 bits each. `limbs` is one of XR_FOUR_SIZES and fits primes p and q of
   64 xr_four_words(limbs) bits: 40, 56 or 76 for keys of 2048, 3072 or 4096 bits. R is
   2^(28 limbs); a number modulo p^2 is two rows, low and high, and stands for low + p high.
   Functions return 0, or -1 where there is no such size; nothing else is checked here. */

#ifndef XR_AVX2_H
#define XR_AVX2_H

#include <stddef.h>
#include <stdint.h>

#define XR_FOUR_SIZES(X) X(40) X(56) X(76)

/* 64-bit words of a prime. */
static inline size_t xr_four_words(int limbs) { return (size_t)limbs * 28 / 512 * 8; }

/* Of a prime p, where q is the other one: p; a multiple of p whose limbs are from 2^28 to 2^29 - 1;
   R modulo p^2 (two rows); q R and q R^2 modulo p. */
#define XR_PRIME_ROWS 6

/* R / p^2 and -R / p modulo q^2, two rows each. */
#define XR_JOINT_ROWS 4

/* Powers of one base modulo p^2, by a table. */
struct xr_powers {
    const uint64_t *constants; /* XR_PRIME_ROWS rows */
    const uint32_t *table; /* places << digit_bits rows of 2 limbs, from xr_four_table */
    unsigned places, digit_bits;
    size_t exponent_bytes;
    int constant_time; /* read the whole table rather than the rows that the exponent names */
};

/* Fill a table for exponents of places * digit_bits bits; `base` is a number modulo p^2, times R. */
int xr_four_table(int limbs, uint32_t *table, const uint64_t *base, const uint64_t *constants,
                  unsigned places, unsigned digit_bits);

/* out[i] = (1 + messages[index[i]] n) times what is p's base to its exponent modulo p^2, and q's
   modulo q^2; n of them. Messages are below p q and have twice as many words as a prime,
   ciphertexts four times. */
int xr_four_encrypt(int limbs, uint8_t *out, const uint8_t *messages, const int64_t *index,
                    size_t n, const struct xr_powers *p, const uint8_t *p_exponents,
                    const struct xr_powers *q, const uint8_t *q_exponents, const uint64_t *joint);

#endif
