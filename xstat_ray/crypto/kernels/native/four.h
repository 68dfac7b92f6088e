/* What the AVX2 kernel is built from: four 64-bit lanes to a register, and one multiplication.

   vpmuludq multiplies the low 32 bits of each of four pairs of lanes to 64. Numbers are cut into
   limbs of 28 bits, one limb to a lane, and lane k of every register belongs to number k of a group
   of four: four computations run in step, as eight do in wide.h. A product has at most 56 bits, so
   255 of them, and small change, can be added in a lane before a carry is needed.

   Every function that uses such an instruction is marked FOUR. As with WIDE, the file then needs no
   machine flags, and whoever calls such a function must have asked `xr_avx2_available` (cpu.h). */

#ifndef XR_FOUR_H
#define XR_FOUR_H

#include <immintrin.h>
#include <stdint.h>

/* The tests have an <immintrin.h> in plain C that defines both, as wide.h says. DROP_UPPER marks a
   factor that may have more than 32 bits, where those above do not matter; the instruction looks at
   no more in any case. */
#ifndef FOUR
#define FOUR __attribute__((target("avx2")))
#define DROP_UPPER(x) (x)
#endif
#define LANES 4
#define LIMB_BITS 28
#define LIMB_MASK ((UINT64_C(1) << LIMB_BITS) - 1)
#define INLINE static inline __attribute__((always_inline))

typedef uint64_t u64;
typedef __m256i four;

/* One value in every lane. */
FOUR INLINE four everywhere(u64 x) { return _mm256_set1_epi64x((long long)x); }

/* c + a b. */
FOUR INLINE four add_product(four c, four a, four b)
{
    return _mm256_add_epi64(c, _mm256_mul_epu32(a, b));
}

/* Four values of memory to lanes, and back. */
FOUR INLINE four four_at(const u64 lanes[LANES])
{
    return _mm256_loadu_si256((const __m256i *)lanes);
}

FOUR INLINE void to_lanes(u64 lanes[LANES], four x) { _mm256_storeu_si256((__m256i *)lanes, x); }

#endif
