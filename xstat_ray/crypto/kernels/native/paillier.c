/* Every size of the templates, and the choice of one. ciphertexts.h includes the templates it rests
   on. */

#include "cpu.h"

#if XR_KERNELS

#include "paillier.h"
#include "columns.h"

#define LIMBS 40
#include "ciphertexts.h"
#undef LIMBS
#define LIMBS 60
#include "ciphertexts.h"
#undef LIMBS
#define LIMBS 80
#include "ciphertexts.h"
#undef LIMBS
#define LIMBS 120
#include "ciphertexts.h"
#undef LIMBS
#define LIMBS 160
#include "ciphertexts.h"
#undef LIMBS

#define CHOOSE(limbs) \
    switch (limbs) { \
        XR_SIZES(CASE) \
    } \
    return -1

int xr_make_table(int limbs, uint64_t *table, const uint64_t *base, const uint64_t *modulus,
                  unsigned places, unsigned digit_bits)
{
    struct modulus m = modulus_at(modulus, (int)xr_row(limbs));
#define CASE(size) \
    case size: make_table_##size(table, base, places, digit_bits, &m); return 0;
    CHOOSE(limbs);
#undef CASE
}

int xr_encrypt_public(int limbs, uint8_t *out, const uint8_t *messages, const int64_t *index,
                      size_t n, const struct xr_fixed_base *base, const uint8_t *exponents)
{
#define CASE(size) \
    case size: encrypt_public_##size(out, messages, index, n, base, exponents); return 0;
    CHOOSE(limbs);
#undef CASE
}

int xr_encrypt_owner(int limbs, uint8_t *out, const uint8_t *messages, const int64_t *index,
                     size_t n, const struct xr_fixed_base *p, const uint8_t *p_exponents,
                     const struct xr_fixed_base *q, const uint8_t *q_exponents,
                     const uint64_t *p2_inverse)
{
#define CASE(size) \
    case size: \
        encrypt_owner_##size(out, messages, index, n, p, p_exponents, q, q_exponents, p2_inverse); \
        return 0;
    CHOOSE(limbs);
#undef CASE
}

int xr_accumulate(int limbs, uint8_t *out, const uint8_t *rows, const int64_t *index,
                  const int64_t *edges, const int64_t *order, size_t count, const uint64_t *modulus,
                  const uint64_t *r_powers)
{
#define CASE(size) \
    case size: \
        accumulate_##size(out, rows, index, edges, order, count, modulus, r_powers); \
        return 0;
    CHOOSE(limbs);
#undef CASE
}

int xr_power(int limbs, uint8_t *out, const uint8_t *rows, size_t n, const uint8_t *exponent,
             size_t exponent_bytes, const uint64_t *modulus)
{
#define CASE(size) \
    case size: power_##size(out, rows, n, exponent, exponent_bytes, modulus); return 0;
    CHOOSE(limbs);
#undef CASE
}

#endif
