/* The AVX2 instructions of the kernel avx2, in plain C; included by immintrin.h.

   A register is four lanes. Sums and differences of this kernel are never to wrap, so here they may
   not, and a factor has at most 32 bits unless DROP_UPPER marks it as one whose upper bits the
   kernel lets the instruction drop. */

#ifndef XR_EMULATED_AVX2_H
#define XR_EMULATED_AVX2_H

typedef struct {
    uint64_t lane[4];
} __attribute__((aligned(32))) __m256i;

#define FOUR
#define EACH_OF_FOUR for (int k = 0; k < 4; k++)
#define DROP_UPPER(x) _mm256_and_si256(x, _mm256_set1_epi64x(UINT32_MAX))

EMULATED __m256i _mm256_set1_epi64x(long long value)
{
    __m256i out;
    EACH_OF_FOUR out.lane[k] = (uint64_t)value;
    return out;
}

#define FOURFOLD(name, holds, bound, expression) \
    EMULATED __m256i name(__m256i a, __m256i b) \
    { \
        EACH_OF_FOUR \
        { \
            const uint64_t x = a.lane[k], y = b.lane[k]; \
            must(holds, bound); \
            a.lane[k] = (expression); \
        } \
        return a; \
    }

FOURFOLD(_mm256_mul_epu32, (x | y) <= UINT32_MAX, "a factor exceeds 32 bits", x *y)
FOURFOLD(_mm256_add_epi64, x + y >= x, "a column of four overflows", x + y)
FOURFOLD(_mm256_sub_epi64, x >= y, "a difference is negative", x - y)
FOURFOLD(_mm256_and_si256, 1, "", (x & y))
FOURFOLD(_mm256_or_si256, 1, "", x | y)
FOURFOLD(_mm256_cmpeq_epi64, 1, "", x == y ? UINT64_MAX : 0)

EMULATED __m256i _mm256_srli_epi64(__m256i a, int by)
{
    EACH_OF_FOUR a.lane[k] >>= by;
    return a;
}

/* Masks are of whole lanes here. */
EMULATED __m256i _mm256_blendv_epi8(__m256i a, __m256i b, __m256i mask)
{
    EACH_OF_FOUR
    {
        must(mask.lane[k] + 1 <= 1, "a mask is not of whole lanes");
        a.lane[k] = mask.lane[k] ? b.lane[k] : a.lane[k];
    }
    return a;
}

EMULATED __m256i _mm256_loadu_si256(const __m256i *from)
{
    __m256i out;
    memcpy(&out, from, sizeof out);
    return out;
}

EMULATED void _mm256_storeu_si256(__m256i *to, __m256i a) { memcpy(to, &a, sizeof a); }

EMULATED __m256i _mm256_cvtepu32_epi64(__m128i a)
{
    __m256i out;
    EACH_OF_FOUR out.lane[k] = a.word[k];
    return out;
}

#endif
