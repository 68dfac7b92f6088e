/* SHA-512 (FIPS 180-4) of many short texts, several at a time, for the hashes of the ID exchange
   (crypto/oprf.py). No address depends on a text, and time depends on the lengths alone. */

#ifndef XR_SHA512_H
#define XR_SHA512_H

#include <stddef.h>
#include <stdint.h>

/* Texts: each is the prefix and then the first `lengths[i]` of the `width` bytes of row i. */
struct xr_texts {
    const uint8_t *prefix, *rows;
    size_t prefix_size, width, count;
    const int64_t *lengths;
};

#define XR_SHA512_BYTES 64

/* Write the first `size` <= XR_SHA512_BYTES bytes of the hash of every text to its row of `out`, of
   `size` bytes. Whoever calls the function of eight lanes must have asked `xr_ifma_available`
   (cpu.h) first, and of four `xr_avx2_available`; that of one lane runs everywhere. */
void xr_sha512_1(uint8_t *out, size_t size, const struct xr_texts *texts);
void xr_sha512_4(uint8_t *out, size_t size, const struct xr_texts *texts);
void xr_sha512_8(uint8_t *out, size_t size, const struct xr_texts *texts);

#endif
