/* ristretto255 (RFC 9496) for many elements at once, eight to an instruction. */

#ifndef XR_RISTRETTO255_H
#define XR_RISTRETTO255_H

#include <stddef.h>
#include <stdint.h>

/* out[i] = scalar * points[i] for n encodings of 32 bytes, with one scalar below the order of the group for all of
   them. Takes any n; no address and no branch depends on the scalar. Returns 0, or 1 + the index of the first row that
   is not the canonical encoding of an element or is the identity; `out` is then unspecified. */
int xr_ristretto_multiply(uint8_t *out, const uint8_t *points, size_t n, const uint8_t scalar[32]);

/* out[i] = the one-way map (RFC 9496, section 4.3.4) of the 64 uniform bytes digests64[i], encoded; takes any n. */
void xr_ristretto_from_hash(uint8_t *out, const uint8_t *digests64, size_t n);

#endif
