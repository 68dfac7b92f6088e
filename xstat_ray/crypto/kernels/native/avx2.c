/* Every size of the templates of the AVX2 kernel, and the choice of one. owner.h includes the
   template it rests on. */

#include "cpu.h"

#if XR_KERNELS

#include <string.h>

#include "avx2.h"
#include "four.h"

/* A prime and what Montgomery's reduction needs of it, each a row of limbs in memory. */
struct prime {
    const u64 *limbs;
    const u64 *filler;
    const u64 *one;
    const u64 *other;
    u64 inverse; /* -1/p mod 2^28 */
};

/* The rows that avx2.h describes, as a prime. */
static inline struct prime prime_at(const u64 *rows, int limbs)
{
    /* Newton's iteration doubles the correct bits of 1/p; an odd number is its own inverse to three
       bits. */
    u64 inverse = rows[0];
    for (int bits = 3; bits < LIMB_BITS; bits *= 2)
        inverse *= 2 - rows[0] * inverse;
    return (struct prime){rows, rows + limbs, rows + 2 * limbs, rows + 4 * limbs,
                          -inverse & LIMB_MASK};
}

#define LIMBS 40
#include "owner.h"
#undef LIMBS
#define LIMBS 56
#include "owner.h"
#undef LIMBS
#define LIMBS 76
#include "owner.h"
#undef LIMBS

int xr_four_table(int limbs, uint32_t *table, const uint64_t *base, const uint64_t *constants,
                  unsigned places, unsigned digit_bits)
{
    switch (limbs) {
#define CASE(size) \
    case size: make_table_##size(table, base, constants, places, digit_bits); return 0;
        XR_FOUR_SIZES(CASE)
#undef CASE
    }
    return -1;
}

int xr_four_encrypt(int limbs, uint8_t *out, const uint8_t *messages, const int64_t *index,
                    size_t n, const struct xr_powers *p, const uint8_t *p_exponents,
                    const struct xr_powers *q, const uint8_t *q_exponents, const uint64_t *joint)
{
    switch (limbs) {
#define CASE(size) \
    case size: \
        encrypt_all_##size(out, messages, index, n, p, p_exponents, q, q_exponents, joint); \
        return 0;
        XR_FOUR_SIZES(CASE)
#undef CASE
    }
    return -1;
}

#endif
