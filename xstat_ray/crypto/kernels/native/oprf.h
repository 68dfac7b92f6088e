/* Columns of bits at the positions of items, for the oblivious PRF (crypto/oprf.py), with AES-NI.

   The positions of an item in the columns 4g to 4g + 3 are the four words of AES-128(item ^ g), each
   times the capacity and over 2^32. Addresses depend on them. */

#ifndef XR_OPRF_H
#define XR_OPRF_H

#include <stddef.h>
#include <stdint.h>

/* 64-bit words of a column. */
static inline size_t xr_oprf_words(uint32_t capacity) { return ((size_t)capacity + 63) / 64; }

/* Fill `count` columns, the first of which has the number `first`, with ones, and clear the bit at
   the position of each of n items of 16 bytes. `first` and `count` are multiples of 4, the capacity
   is above 0; `out` has xr_oprf_words(capacity) words a column. */
void xr_oprf_mark(uint64_t *out, const uint8_t key[16], const uint8_t *items, size_t n,
                  uint32_t capacity, size_t first, size_t count);

/* Gather the bits of n items in `width` columns, a multiple of 8: bit c % 8 of byte c / 8 of row i of
   `out`, which has width / 8 bytes a row, is that of `matrix` at the position of item i in column
   c. */
void xr_oprf_rows(uint8_t *out, const uint8_t key[16], const uint8_t *items, size_t n,
                  const uint64_t *matrix, uint32_t capacity, size_t width);

/* XOR `count` columns of `matrix`, of `words` words each, with the key streams of as many keys of 16
   bytes: AES-128 in counter mode, whose blocks are (bin, number), both big-endian and of 8 bytes. No
   address depends on a key. */
void xr_oprf_pad(uint64_t *matrix, const uint8_t *keys, size_t count, size_t words, uint64_t bin);

#endif
