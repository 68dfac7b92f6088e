/* The rounds of SHA-512 (FIPS 180-4, section 6.4.2) on HASH_LANES texts in step, a template that
   sha512.c includes once for each number of lanes. HASHED gives its names a suffix, and every function
   is marked HASH_TARGET. Arithmetic on vectors is that of the compiler: of one lane it is plain. */

#if HASH_LANES == 1
typedef uint64_t HASHED(words);
#else
typedef uint64_t HASHED(words) __attribute__((vector_size(8 * HASH_LANES)));
#endif

/* Words 16 later than those of `w`. */
#define LATER(t) \
    do { \
        const HASHED(words) x = w[((t) + 1) % WORDS], y = w[((t) + 14) % WORDS]; \
        w[t] += (TURNED(x, 1) ^ TURNED(x, 8) ^ (x >> 7)) + w[((t) + 9) % WORDS] + \
                (TURNED(y, 19) ^ TURNED(y, 61) ^ (y >> 6)); \
    } while (0)

#define TURN(a, b, c, d, e, f, g, h, t) \
    do { \
        h += (TURNED(e, 14) ^ TURNED(e, 18) ^ TURNED(e, 41)) + (g ^ (e & (f ^ g))) + w[t] + \
             ROUND[round + (t)]; \
        d += h; \
        h += (TURNED(a, 28) ^ TURNED(a, 34) ^ TURNED(a, 39)) + ((a & b) | (c & (a | b))); \
    } while (0)

/* Take a block of every lane into its state; where `alive` is zero the state stays as it is. */
HASH_TARGET static void HASHED(compress)(HASHED(words) state[8], HASHED(words) w[WORDS],
                                         const HASHED(words) * alive)
{
    HASHED(words) a = state[0], b = state[1], c = state[2], d = state[3];
    HASHED(words) e = state[4], f = state[5], g = state[6], h = state[7];
    for (size_t round = 0; round < ROUNDS; round += WORDS) {
        if (round > 0) {
#pragma GCC unroll 16
            for (size_t t = 0; t < WORDS; t++)
                LATER(t);
        }
#pragma GCC unroll 2
        for (size_t t = 0; t < WORDS; t += 8) {
            TURN(a, b, c, d, e, f, g, h, t);
            TURN(h, a, b, c, d, e, f, g, t + 1);
            TURN(g, h, a, b, c, d, e, f, t + 2);
            TURN(f, g, h, a, b, c, d, e, t + 3);
            TURN(e, f, g, h, a, b, c, d, t + 4);
            TURN(d, e, f, g, h, a, b, c, t + 5);
            TURN(c, d, e, f, g, h, a, b, t + 6);
            TURN(b, c, d, e, f, g, h, a, t + 7);
        }
    }
    const HASHED(words) last[8] = {a, b, c, d, e, f, g, h};
    for (int i = 0; i < 8; i++)
        state[i] += last[i] & *alive;
}

/* Hash the texts from `first` on, one in each lane; lanes beyond the last repeat it, and nobody
   reads them. */
HASH_TARGET static void HASHED(hash)(uint64_t hashes[8][HASH_LANES], const struct xr_texts *texts,
                                     size_t first)
{
    HASHED(words) state[8], w[WORDS], alive;
    uint64_t word[WORDS][HASH_LANES], mask[HASH_LANES];
    uint8_t block[BLOCK];
    size_t most = 0;
    for (size_t k = 0; k < HASH_LANES; k++)
        most = larger(most, blocks_of(texts, smaller(first + k, texts->count - 1)));
    for (int i = 0; i < 8; i++) {
        for (size_t k = 0; k < HASH_LANES; k++)
            hashes[i][k] = START[i];
        memcpy(&state[i], hashes[i], sizeof state[i]);
    }
    for (size_t number = 0; number < most; number++) {
        for (size_t k = 0; k < HASH_LANES; k++) {
            const size_t i = smaller(first + k, texts->count - 1);
            mask[k] = -(uint64_t)(number < blocks_of(texts, i));
            fill(block, texts, i, number);
            for (size_t t = 0; t < WORDS; t++)
                word[t][k] = swapped(block + 8 * t);
        }
        memcpy(w, word, sizeof w);
        memcpy(&alive, mask, sizeof alive);
        HASHED(compress)(state, w, &alive);
    }
    for (int i = 0; i < 8; i++)
        memcpy(hashes[i], &state[i], sizeof state[i]);
}

HASH_TARGET void HASHED(xr_sha512)(uint8_t *out, size_t size, const struct xr_texts *texts)
{
    uint64_t hashes[8][HASH_LANES];
    for (size_t first = 0; first < texts->count; first += HASH_LANES) {
        HASHED(hash)(hashes, texts, first);
        for (size_t k = 0; k < smaller(HASH_LANES, texts->count - first); k++) {
            uint64_t text[8];
            for (int i = 0; i < 8; i++)
                text[i] = swapped((const uint8_t *)&hashes[i][k]);
            memcpy(out + (first + k) * size, text, size);
        }
    }
}

#undef LATER
#undef TURN
#undef HASHED
#undef HASH_TARGET
#undef HASH_LANES
