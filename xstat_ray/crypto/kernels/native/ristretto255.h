/* ristretto255 (RFC 9496) for many elements at once, eight to an instruction. */

#ifndef XR_RISTRETTO255_H
#define XR_RISTRETTO255_H

#include <stddef.h>
#include <stdint.h>

/* out[i] = scalar * points[i] for n < 2^31 encodings of 32 bytes, with one scalar for all of them.
   No address and no branch depends on the scalar. Returns 0, or 1 + the index of the first row that
   is not a canonical encoding (RFC 9496, section 4.3.1: bit 255 set is not canonical) or whose
   product is the identity; `out` is then unspecified. Refusals and products are those of libsodium,
   except that libsodium 1.0.18 ignores bit 255 of an encoding; that of the scalar is ignored by
   both, and a scalar need not be below the order of the group. `out` may be `points`. */
int xr_ristretto_multiply(uint8_t *out, const uint8_t *points, size_t n, const uint8_t scalar[32]);

/* out[i] = the one-way map (RFC 9496, section 4.3.4) of the 64 uniform bytes digests64[i], encoded;
   takes any n. The two arrays must not overlap. */
void xr_ristretto_from_hash(uint8_t *out, const uint8_t *digests64, size_t n);

#endif
