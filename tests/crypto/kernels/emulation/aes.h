/* AES-NI and the instructions of SSE that go with it, in plain C; included by immintrin.h.

   A register is sixteen bytes, the lowest first. The S-box is computed: the inverse in the field of
   FIPS 197 (section 4.2), and the affine map of section 5.1.1. */

#ifndef XR_EMULATED_AES_H
#define XR_EMULATED_AES_H

#define AES
#define EACH_BYTE for (int k = 0; k < 16; k++)
#define EACH_WORD for (int k = 0; k < 4; k++)

EMULATED __m128i _mm_loadu_si128(const __m128i *from)
{
    __m128i out;
    memcpy(&out, from, sizeof out);
    return out;
}

EMULATED void _mm_storeu_si128(__m128i *to, __m128i a) { memcpy(to, &a, sizeof a); }

EMULATED __m128i _mm_set_epi32(int d, int c, int b, int a)
{
    return (__m128i){.word = {(uint32_t)a, (uint32_t)b, (uint32_t)c, (uint32_t)d}};
}

EMULATED __m128i _mm_set1_epi64x(long long value)
{
    return (__m128i){.lane = {(uint64_t)value, (uint64_t)value}};
}

EMULATED __m128i _mm_set_epi64x(long long high, long long low)
{
    return (__m128i){.lane = {(uint64_t)low, (uint64_t)high}};
}

#define PAIRWISE(name, expression) \
    EMULATED __m128i name(__m128i a, __m128i b) \
    { \
        for (int k = 0; k < 2; k++) { \
            const uint64_t x = a.lane[k], y = b.lane[k]; \
            a.lane[k] = (expression); \
        } \
        return a; \
    }

PAIRWISE(_mm_xor_si128, x ^ y)
PAIRWISE(_mm_or_si128, x | y)
PAIRWISE(_mm_and_si128, (x & y))
PAIRWISE(_mm_mul_epu32, (uint64_t)(uint32_t)x *(uint32_t)y)

EMULATED __m128i _mm_srli_epi64(__m128i a, int by)
{
    return (__m128i){.lane = {a.lane[0] >> by, a.lane[1] >> by}};
}

EMULATED __m128i _mm_slli_si128(__m128i a, int by)
{
    __m128i out;
    EACH_BYTE out.octet[k] = k < by ? 0 : a.octet[k - by];
    return out;
}

EMULATED __m128i _mm_shuffle_epi32(__m128i a, int choice)
{
    __m128i out;
    EACH_WORD out.word[k] = a.word[choice >> 2 * k & 3];
    return out;
}

#define INTERLEAVED(name, member, half) \
    EMULATED __m128i name(__m128i a, __m128i b) \
    { \
        enum { COUNT = sizeof a.member / sizeof a.member[0] }; \
        __m128i out; \
        for (int k = 0; k < COUNT; k++) \
            out.member[k] = (k % 2 ? b : a).member[k / 2 + (half) * COUNT / 2]; \
        return out; \
    }

INTERLEAVED(_mm_unpacklo_epi32, word, 0)
INTERLEAVED(_mm_unpackhi_epi32, word, 1)
INTERLEAVED(_mm_unpacklo_epi64, lane, 0)
INTERLEAVED(_mm_unpackhi_epi64, lane, 1)

static inline uint8_t times_two(uint8_t a) { return (uint8_t)(a << 1 ^ (a >> 7) * 0x1b); }

EMULATED uint8_t field_product(uint8_t a, uint8_t b)
{
    uint8_t product = 0;
    for (; b; b >>= 1, a = times_two(a))
        product ^= b & 1 ? a : 0;
    return product;
}

EMULATED uint8_t substituted(uint8_t a)
{
    static uint8_t box[256];
    static int made;
    if (!made) {
        for (int x = 0; x < 256; x++) {
            uint8_t inverse = 1; /* x^254 */
            for (int i = 0; i < 254; i++)
                inverse = field_product(inverse, (uint8_t)x);
            unsigned twice = inverse | (unsigned)inverse << 8;
            box[x] = (uint8_t)(inverse ^ twice >> 7 ^ twice >> 6 ^ twice >> 5 ^ twice >> 4 ^ 0x63);
        }
        made = 1;
    }
    return box[a];
}

/* SubBytes and ShiftRows. */
static inline __m128i substituted_rows(__m128i a)
{
    __m128i out;
    EACH_BYTE out.octet[k] = substituted(a.octet[(k + 4 * (k % 4)) % 16]);
    return out;
}

EMULATED __m128i _mm_aesenclast_si128(__m128i a, __m128i key)
{
    return _mm_xor_si128(substituted_rows(a), key);
}

EMULATED __m128i _mm_aesenc_si128(__m128i a, __m128i key)
{
    const __m128i s = substituted_rows(a);
    EACH_BYTE
    {
        const uint8_t *column = s.octet + k / 4 * 4;
        a.octet[k] = (uint8_t)(times_two(column[k % 4]) ^ times_two(column[(k + 1) % 4]) ^
                               column[(k + 1) % 4] ^ column[(k + 2) % 4] ^ column[(k + 3) % 4]);
    }
    return _mm_xor_si128(a, key);
}

EMULATED __m128i _mm_aeskeygenassist_si128(__m128i a, int constant)
{
    __m128i out;
    EACH_WORD
    {
        const uint8_t *word = a.octet + (k < 2 ? 4 : 12);
        for (int i = 0; i < 4; i++)
            out.octet[4 * k + i] = substituted(word[(i + k % 2) % 4]);
        out.word[k] ^= k % 2 ? (uint32_t)constant : 0;
    }
    return out;
}

#endif
