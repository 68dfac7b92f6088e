/* Digits of exponents, the same for every size and kernel. */

#ifndef XR_DIGITS_H
#define XR_DIGITS_H

#include <stddef.h>
#include <stdint.h>

/* The digit of `digit_bits` bits (at most 16) that begins at bit `place * digit_bits`; bits beyond the
   exponent are zero. */
static inline unsigned digit_at(const uint8_t *exponent, size_t bytes, unsigned place,
                                unsigned digit_bits)
{
    size_t bit = (size_t)place * digit_bits, byte = bit / 8;
    unsigned x = 0;
    for (size_t k = 0; k < 3 && byte + k < bytes; k++)
        x |= (unsigned)exponent[byte + k] << (8 * k);
    return x >> bit % 8 & ((1u << digit_bits) - 1);
}

#endif
