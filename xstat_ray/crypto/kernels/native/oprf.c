/* A block of items at a time: their positions in four columns, in the cache, and then the bits.

   AES is done in the processor's own instructions, eight items in flight, as many as its pipeline
   takes. Four blocks are transposed, so that words of the same column are together, and scaled two
   at a time. The functions that use such instructions are marked AES; whoever calls them must have
   asked `xr_aes_available` (cpu.h) first. */

#include "cpu.h"
#include "oprf.h"

#if XR_KERNELS

#include <immintrin.h>
#include <string.h>

#ifndef AES
#define AES __attribute__((target("aes,sse4.1")))
#endif

#define ROUNDS 10
#define IN_FLIGHT 8
#define COLUMNS 4 /* whose positions one block of AES gives */
#define ITEMS 1024 /* of a block, a multiple of IN_FLIGHT */
#define MANY (8 * ITEMS) /* that read a column before the next is read */

struct cipher {
    __m128i key[ROUNDS + 1];
};

/* A round key from the one before (FIPS 197, 5.2); the last word of `rotated` is that of
   aeskeygenassist. Three such sums make of every word the sum of all up to it. */
AES static inline __m128i next_key(__m128i key, __m128i rotated)
{
    for (int i = 0; i < 3; i++)
        key = _mm_xor_si128(key, _mm_slli_si128(key, 4));
    return _mm_xor_si128(key, _mm_shuffle_epi32(rotated, 0xff));
}

AES static struct cipher expand(const uint8_t key[16])
{
    struct cipher c;
    c.key[0] = _mm_loadu_si128((const __m128i *)key);
#define STEP(i, constant) \
    c.key[i] = next_key(c.key[i - 1], _mm_aeskeygenassist_si128(c.key[i - 1], constant))
    STEP(1, 0x01), STEP(2, 0x02), STEP(3, 0x04), STEP(4, 0x08), STEP(5, 0x10);
    STEP(6, 0x20), STEP(7, 0x40), STEP(8, 0x80), STEP(9, 0x1b), STEP(10, 0x36);
#undef STEP
    return c;
}

/* The high halves of the products of four words with the capacity, which every 64-bit lane holds. */
AES static inline __m128i scaled(__m128i words, __m128i capacity)
{
    const __m128i high = _mm_set1_epi64x((long long)UINT64_C(0xffffffff00000000));
    __m128i even = _mm_srli_epi64(_mm_mul_epu32(words, capacity), 32);
    __m128i odd = _mm_mul_epu32(_mm_srli_epi64(words, 32), capacity);
    return _mm_or_si128(even, _mm_and_si128(odd, high));
}

/* Encrypt `IN_FLIGHT` items and write their positions to each of the four columns at `to`. */
AES static inline void positions_in_flight(const struct cipher *c, const uint8_t *items,
                                           __m128i group, __m128i capacity, uint32_t *to)
{
    __m128i s[IN_FLIGHT];
    group = _mm_xor_si128(group, c->key[0]);
    for (int i = 0; i < IN_FLIGHT; i++)
        s[i] = _mm_xor_si128(_mm_loadu_si128((const __m128i *)(items + 16 * i)), group);
    for (int round = 1; round < ROUNDS; round++)
        for (int i = 0; i < IN_FLIGHT; i++)
            s[i] = _mm_aesenc_si128(s[i], c->key[round]);
    for (int i = 0; i < IN_FLIGHT; i++)
        s[i] = _mm_aesenclast_si128(s[i], c->key[ROUNDS]);
    for (int i = 0; i < IN_FLIGHT; i += 4) {
        __m128i a = _mm_unpacklo_epi32(s[i], s[i + 1]), b = _mm_unpackhi_epi32(s[i], s[i + 1]);
        __m128i d = _mm_unpacklo_epi32(s[i + 2], s[i + 3]);
        __m128i e = _mm_unpackhi_epi32(s[i + 2], s[i + 3]);
        const __m128i words[COLUMNS] = {_mm_unpacklo_epi64(a, d), _mm_unpackhi_epi64(a, d),
                                        _mm_unpacklo_epi64(b, e), _mm_unpackhi_epi64(b, e)};
        for (int k = 0; k < COLUMNS; k++)
            _mm_storeu_si128((__m128i *)(to + k * ITEMS + i), scaled(words[k], capacity));
    }
}

/* Positions of n <= ITEMS items in the columns of one group, `to` being [COLUMNS][ITEMS]; behind the
   last item may be up to seven numbers more. */
AES static void positions(const struct cipher *c, const uint8_t *items, size_t n, size_t group,
                          uint32_t capacity, uint32_t *to)
{
    const __m128i number = _mm_set_epi32(0, 0, 0, (int)group);
    const __m128i factor = _mm_set1_epi64x((long long)capacity);
    size_t whole = n / IN_FLIGHT * IN_FLIGHT;
    for (size_t i = 0; i < whole; i += IN_FLIGHT)
        positions_in_flight(c, items + 16 * i, number, factor, to + i);
    if (whole < n) {
        uint8_t last[16 * IN_FLIGHT] = {0};
        memcpy(last, items + 16 * whole, 16 * (n - whole));
        positions_in_flight(c, last, number, factor, to + whole);
    }
}

static inline size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

AES void xr_oprf_mark(uint64_t *out, const uint8_t key[16], const uint8_t *items, size_t n,
                      uint32_t capacity, size_t first, size_t count)
{
    const struct cipher c = expand(key);
    const size_t words = xr_oprf_words(capacity);
    uint32_t at[COLUMNS * ITEMS];
    memset(out, 0xff, 8 * words * count);
    for (size_t column = 0; column < count; column += COLUMNS)
        for (size_t i = 0; i < n; i += ITEMS) {
            size_t size = smaller(ITEMS, n - i);
            positions(&c, items + 16 * i, size, (first + column) / COLUMNS, capacity, at);
            for (int k = 0; k < COLUMNS; k++) {
                uint64_t *bits = out + (column + (size_t)k) * words;
                for (size_t j = 0; j < size; j++) {
                    uint32_t p = at[k * ITEMS + j];
                    bits[p / 64] &= ~(UINT64_C(1) << p % 64);
                }
            }
        }
}

/* For each of n items, in four columns from `bits`: 1, 2, 4 and 8 where there is a one. */
static inline unsigned four_bits(const uint64_t *bits, size_t words, const uint32_t *at)
{
    unsigned found = 0;
    for (int k = 0; k < COLUMNS; k++) {
        uint32_t p = at[k * ITEMS];
        found |= (unsigned)(bits[(size_t)k * words + p / 64] >> p % 64 & 1) << k;
    }
    return found;
}

AES void xr_oprf_rows(uint8_t *out, const uint8_t key[16], const uint8_t *items, size_t n,
                      const uint64_t *matrix, uint32_t capacity, size_t width)
{
    const struct cipher c = expand(key);
    const size_t words = xr_oprf_words(capacity), bytes = width / 8;
    uint32_t at[COLUMNS * ITEMS];
    uint64_t found[MANY];
    for (size_t start = 0; start < n; start += MANY) {
        size_t many = smaller(MANY, n - start);
        for (size_t column = 0; column < width; column += COLUMNS) {
            size_t shift = column % 64;
            if (shift == 0)
                memset(found, 0, 8 * many);
            for (size_t i = 0; i < many; i += ITEMS) {
                size_t size = smaller(ITEMS, many - i);
                positions(&c, items + 16 * (start + i), size, column / COLUMNS, capacity, at);
                for (size_t j = 0; j < size; j++)
                    found[i + j] |= (uint64_t)four_bits(matrix + column * words, words, at + j)
                                    << shift;
            }
            if (shift == 64 - COLUMNS || column + COLUMNS == width)
                for (size_t i = 0; i < many; i++)
                    memcpy(out + (start + i) * bytes + column / 64 * 8, &found[i],
                           (shift + COLUMNS) / 8);
        }
    }
}

/* Eight bytes of a number, the highest first, as the low half of a register. */
static inline uint64_t big_endian(uint64_t number) { return __builtin_bswap64(number); }

AES void xr_oprf_pad(uint64_t *matrix, const uint8_t *keys, size_t count, size_t words,
                     uint64_t bin)
{
    const size_t bytes = 8 * words, block = sizeof(__m128i);
    for (size_t column = 0; column < count; column++) {
        const struct cipher c = expand(keys + 16 * column);
        uint8_t *to = (uint8_t *)(matrix + column * words);
        for (size_t at = 0; at < bytes; at += IN_FLIGHT * block) {
            __m128i s[IN_FLIGHT];
            uint8_t stream[IN_FLIGHT * sizeof(__m128i)];
            for (size_t i = 0; i < IN_FLIGHT; i++)
                s[i] = _mm_xor_si128(_mm_set_epi64x((long long)big_endian(at / block + i),
                                                    (long long)big_endian(bin)),
                                     c.key[0]);
            for (int round = 1; round < ROUNDS; round++)
                for (int i = 0; i < IN_FLIGHT; i++)
                    s[i] = _mm_aesenc_si128(s[i], c.key[round]);
            for (size_t i = 0; i < IN_FLIGHT; i++)
                _mm_storeu_si128((__m128i *)(stream + block * i),
                                 _mm_aesenclast_si128(s[i], c.key[ROUNDS]));
            size_t size = smaller(sizeof stream, bytes - at);
            for (size_t i = 0; i < size; i++)
                to[at + i] ^= stream[i];
        }
    }
}

#endif
