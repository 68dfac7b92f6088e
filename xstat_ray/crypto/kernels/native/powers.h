/* Powers modulo a fixed number, eight at a time. A template, included once for every LIMBS.

   Fixed base. The exponent is cut into digits of `digit_bits` bits, lowest first; the table holds
   base^(d 2^(digit_bits i)) for every place i and digit d, in Montgomery form (times R), so that a
   power is one table row for each digit, multiplied together. Eight exponents walk through the
   table in step. In the ordinary way each lane reads its own row, and the rows of the next digit
   are fetched ahead; a table larger than the caches then costs little, but the addresses tell
   whoever can watch the shared cache which digits were used. In constant time every row of a place
   is read for every digit and the wanted one is kept by a mask.

   Fixed exponent. Decryption raises different bases to one secret exponent: digits of four bits,
   highest first. All sixteen powers of the bases are read at every step and one kept by a mask,
   which costs a hundredth, so there is only the constant-time way.

   Bounds. Rows of tables and all intermediate powers are loose (below 2m), with normal limbs:
   `multiply` and `square` take and give just that. */

#include "digits.h"
#include "montgomery.h"

/* table[places << digit_bits][ROW]: the rows of one place after the other. `base` is a row in
   Montgomery form. */
WIDE static void SIZED(make_table)(u64 *table, const u64 *base, unsigned places,
                                   unsigned digit_bits, const struct modulus *m)
{
    const size_t rows = (size_t)1 << digit_bits;
    u64 bases[LANES][ROW], unused[ROW], *out[LANES];
    wide power[LIMBS], step[LIMBS], next[LIMBS];
    SIZED(spread)(next, base);
    for (unsigned first = 0; first < places; first += LANES) {
        /* The bases of eight places, each the 2^digit_bits-th power of the one before; then their rows
           side by side. */
        for (unsigned k = 0; k < LANES; k++) {
            for (unsigned j = 0; j < LANES; j++)
                out[j] = j == k ? bases[k] : unused;
            SIZED(store_limbs)(out, next);
            for (unsigned bit = 0; bit < digit_bits; bit++)
                SIZED(square)(next, next, m);
        }
        const u64 *from[LANES] = {bases[0], bases[1], bases[2], bases[3],
                                  bases[4], bases[5], bases[6], bases[7]};
        SIZED(load_limbs)(step, from);
        SIZED(spread)(power, m->one);
        for (size_t d = 0; d < rows; d++) {
            for (unsigned k = 0; k < LANES; k++)
                out[k] = first + k < places ? table + ((first + k) * rows + d) * ROW : unused;
            SIZED(store_limbs)(out, power);
            SIZED(multiply)(power, power, step, m);
        }
    }
}

/* Row `digit[k]` of a place for lane k, found by reading all of them. */
WIDE static inline void SIZED(scan_rows)(wide *out, const u64 *rows, unsigned digit_bits,
                                         const u64 digit[LANES])
{
    const wide wanted = _mm512_loadu_si512(digit);
    /* Twenty limbs, a divisor of every LIMBS, are as many as stay in registers. */
    for (int from = 0; from < LIMBS; from += 20) {
        wide kept[20];
        for (int j = 0; j < 20; j++)
            kept[j] = everywhere(0);
        for (size_t d = 0; d < (size_t)1 << digit_bits; d++) {
            __mmask8 here = _mm512_cmpeq_epi64_mask(wanted, everywhere(d));
            for (int j = 0; j < 20; j++)
                kept[j] =
                    _mm512_mask_mov_epi64(kept[j], here, everywhere(rows[d * ROW + from + j]));
        }
        for (int j = 0; j < 20; j++)
            out[from + j] = kept[j];
    }
}

/* out = base^exponent for eight exponents, in Montgomery form, loose. */
WIDE static void SIZED(fixed_base_power)(wide *out, const struct xr_fixed_base *base,
                                         const struct modulus *m,
                                         const uint8_t *const exponents[LANES])
{
    const size_t place_limbs = (size_t)ROW << base->digit_bits;
    wide factor[LIMBS];
    for (unsigned i = 0; i < base->places; i++) {
        const u64 *place = base->table + i * place_limbs, *rows[LANES];
        u64 digits[LANES];
        for (int k = 0; k < LANES; k++) {
            digits[k] = digit_at(exponents[k], base->exponent_bytes, i, base->digit_bits);
            rows[k] = place + digits[k] * ROW;
        }
        wide *into = i ? factor : out;
        if (base->constant_time)
            SIZED(scan_rows)(into, place, base->digit_bits, digits);
        else
            SIZED(load_limbs)(into, rows);
        for (int k = 0; k < LANES && i + 1 < base->places && !base->constant_time; k++) {
            unsigned next = digit_at(exponents[k], base->exponent_bytes, i + 1, base->digit_bits);
            for (int j = 0; j < ROW; j += 64 / (int)sizeof(u64))
                __builtin_prefetch(place + place_limbs + (size_t)next * ROW + j);
        }
        if (i)
            SIZED(multiply)(out, out, factor, m);
    }
}

/* out = x^exponent for eight x in Montgomery form and one exponent of at least one byte; loose. */
WIDE static void SIZED(fixed_exponent_power)(wide *out, const wide *x, const uint8_t *exponent,
                                             size_t bytes, const struct modulus *m)
{
    wide powers[16][LIMBS], factor[LIMBS];
    SIZED(spread)(powers[0], m->one);
    for (int j = 0; j < LIMBS; j++)
        powers[1][j] = x[j];
    for (int d = 2; d < 16; d++)
        if (d % 2)
            SIZED(multiply)(powers[d], powers[d - 1], x, m);
        else
            SIZED(square)(powers[d], powers[d / 2], m);
    SIZED(spread)(out, m->one);
    for (size_t i = 2 * bytes; i-- > 0;) {
        const wide wanted = everywhere(exponent[i / 2] >> i % 2 * 4 & 15);
        for (int j = 0; j < LIMBS; j++)
            factor[j] = powers[0][j];
        for (u64 d = 1; d < 16; d++) {
            __mmask8 here = _mm512_cmpeq_epi64_mask(wanted, everywhere(d));
            for (int j = 0; j < LIMBS; j++)
                factor[j] = _mm512_mask_mov_epi64(factor[j], here, powers[d][j]);
        }
        for (int s = 0; s < 4 && i + 1 < 2 * bytes; s++)
            SIZED(square)(out, out, m);
        SIZED(multiply)(out, out, factor, m);
    }
}
