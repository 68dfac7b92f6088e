/* Multiplication modulo a fixed odd number, eight at a time. A template, included once for every
   LIMBS.

   Representation. A number is LIMBS limbs of 52 bits, lowest first, in an array of registers; lane
   k of register j is limb j of the k-th of eight numbers (wide.h). R = 2^(52 LIMBS). Moduli m have
   at most 64 WORDS bits, which leaves R >= 2^32 m at the least of the sizes (LIMBS 40: 2080 bits
   for 2048). "Reduced" means below m; "loose" means below 2m; limbs handed from one function to the
   next are always normal, that is below 2^52, because the multiply-add instructions look at no
   more.

   Multiplication. Montgomery's product a b / R mod m, operand scanning, four limbs of b to a pass:
   a pass adds a * (b0..b3) and then q * m with q chosen so that the lowest four columns vanish, and
   drops those columns. The four columns in work stay in registers while a pass sweeps over a and m;
   every step is 16 multiply-adds for three loads. With a b < 2^32 m^2 (two factors below 2^16 m)
   the result is below a b / R + m < 2m: loose inputs, and sums of a few of them, may be multiplied
   again without a reduction.

   Carries. Columns are unsigned 64-bit sums of halves of products, each half below 2^52. A column
   meets at most LIMBS limbs of b and as many of q, with a low and a high half from each: 4 LIMBS
   2^52 <= 640 * 2^52 < 2^62 at the largest size, so no column overflows; of a square, whose cross
   products are doubled, no more arrive. A pass hands on only the carry out of the columns that it
   drops; `carry` makes all limbs normal once, at the end.

   No branch and no address depends on a value. */

#define JOIN_(a, b) a##_##b
#define JOIN(a, b) JOIN_(a, b)
#define SIZED(name) JOIN(name, LIMBS)

/* 64-bit words of a modulus, and of a row of limbs in memory, which is padded to whole
   registers. */
#define WORDS (LIMBS * 4 / 5)
#define ROW ((LIMBS + LANES - 1) / LANES * LANES)

/* Columns t to normal limbs, unsigned; what is carried out of the last one is dropped (it is
   zero). */
WIDE static inline void SIZED(carry)(wide *out, const wide *t, int count)
{
    const wide mask = everywhere(LIMB_MASK);
    wide carry = everywhere(0);
    for (int j = 0; j < count; j++) {
        wide x = _mm512_add_epi64(t[j], carry);
        carry = _mm512_srli_epi64(x, LIMB_BITS);
        out[j] = _mm512_and_si512(x, mask);
    }
}

/* out = a b / R mod m, loose; `out` may be `a` or `b`. */
WIDE static __attribute__((noinline)) void SIZED(multiply)(wide *out, const wide *a, const wide *b,
                                                           const struct modulus *m)
{
    wide t[LIMBS + 5], q[4], low[4];
    for (int j = 0; j < LIMBS + 5; j++)
        t[j] = everywhere(0);
    for (int k = 0; k < 4; k++)
        low[k] = everywhere(m->limbs[k]);
    for (int i = 0; i < LIMBS; i += 4) {
        const wide b4[4] = {b[i], b[i + 1], b[i + 2], b[i + 3]};
        wide u[9];
        for (int k = 0; k < 9; k++)
            u[k] = t[k];
        for (int k = 0; k < 4; k++)
            add_row(u + k, a[k], b4);
        clear_columns(u, q, low, m->inverse);
        wide s[5] = {u[4], u[5], u[6], u[7], u[8]};
        for (int j = 4; j < LIMBS; j++) {
            add_row(s, a[j], b4);
            add_row(s, everywhere(m->limbs[j]), q);
            t[j - 4] = s[0];
            slide(s, t[j + 5]);
        }
        for (int k = 0; k < 4; k++)
            t[LIMBS - 4 + k] = s[k];
    }
    SIZED(carry)(out, t, LIMBS);
}

/* out = t / R mod m, loose, for columns t[0 .. 2 LIMBS) whose sum is below R m; t[2 LIMBS .. 2
   LIMBS + 5) are zero. */
WIDE static inline void SIZED(reduce)(wide *out, wide *t, const struct modulus *m)
{
    wide q[4], low[4];
    for (int k = 0; k < 4; k++)
        low[k] = everywhere(m->limbs[k]);
    for (int i = 0; i < LIMBS; i += 4) {
        wide u[9];
        for (int k = 0; k < 9; k++)
            u[k] = t[i + k];
        clear_columns(u, q, low, m->inverse);
        wide s[5] = {u[4], u[5], u[6], u[7], u[8]};
        for (int j = 4; j < LIMBS; j++) {
            add_row(s, everywhere(m->limbs[j]), q);
            t[i + j] = s[0];
            slide(s, t[i + j + 5]);
        }
        for (int k = 0; k < 4; k++)
            t[i + LIMBS + k] = s[k];
    }
    SIZED(carry)(out, t + LIMBS, LIMBS);
}

/* out = a^2 / R mod m, loose: every product of two different limbs is made once and doubled. */
WIDE static __attribute__((noinline)) void SIZED(square)(wide *out, const wide *a,
                                                         const struct modulus *m)
{
    wide t[2 * LIMBS + 5];
    for (int j = 0; j < 2 * LIMBS + 5; j++)
        t[j] = everywhere(0);
    for (int i = 0; i < LIMBS; i += 4) {
        const wide a4[4] = {a[i], a[i + 1], a[i + 2], a[i + 3]};
        wide u[9];
        for (int k = 0; k < 9; k++)
            u[k] = t[2 * i + k];
        for (int k = 0; k < 4; k++)
            for (int j = k + 1; j < 4; j++) {
                u[k + j] = madd_low(u[k + j], a4[k], a4[j]);
                u[k + j + 1] = madd_high(u[k + j + 1], a4[k], a4[j]);
            }
        for (int k = 0; k < 4; k++)
            t[2 * i + k] = u[k];
        wide s[5] = {u[4], u[5], u[6], u[7], u[8]};
        for (int j = i + 4; j < LIMBS; j++) {
            add_row(s, a[j], a4);
            t[i + j] = s[0];
            slide(s, t[i + j + 5]);
        }
        for (int k = 0; k < 4; k++)
            t[i + LIMBS + k] = s[k];
    }
    for (int j = 0; j < LIMBS; j++) {
        t[2 * j] = madd_low(_mm512_add_epi64(t[2 * j], t[2 * j]), a[j], a[j]);
        t[2 * j + 1] = madd_high(_mm512_add_epi64(t[2 * j + 1], t[2 * j + 1]), a[j], a[j]);
    }
    SIZED(reduce)(out, t, m);
}

/* out[0 .. 2 LIMBS) = a * factor + addend, exactly; `factor` is the same for all lanes. */
WIDE static __attribute__((noinline)) void
SIZED(multiply_add)(wide *out, const wide *a, const u64 *factor, const wide *addend)
{
    wide t[2 * LIMBS + 5];
    for (int j = 0; j < 2 * LIMBS + 5; j++)
        t[j] = j < LIMBS ? addend[j] : everywhere(0);
    for (int i = 0; i < LIMBS; i += 4) {
        const wide f4[4] = {everywhere(factor[i]), everywhere(factor[i + 1]),
                            everywhere(factor[i + 2]), everywhere(factor[i + 3])};
        wide s[5] = {t[i], t[i + 1], t[i + 2], t[i + 3], t[i + 4]};
        for (int j = 0; j < LIMBS; j++) {
            add_row(s, a[j], f4);
            t[i + j] = s[0];
            slide(s, t[i + j + 5]);
        }
        for (int k = 0; k < 4; k++)
            t[i + LIMBS + k] = s[k];
    }
    SIZED(carry)(out, t, 2 * LIMBS);
}

/* Loose to reduced: subtract m where the difference is not negative. */
WIDE static inline void SIZED(reduce_once)(wide *x, const struct modulus *m)
{
    wide difference[LIMBS], borrow = everywhere(0);
    for (int j = 0; j < LIMBS; j++) {
        wide d = _mm512_add_epi64(_mm512_sub_epi64(x[j], everywhere(m->limbs[j])), borrow);
        borrow = _mm512_srai_epi64(d, LIMB_BITS);
        difference[j] = _mm512_and_si512(d, everywhere(LIMB_MASK));
    }
    __mmask8 negative = _mm512_movepi64_mask(borrow);
    for (int j = 0; j < LIMBS; j++)
        x[j] = _mm512_mask_mov_epi64(difference[j], negative, x[j]);
}

/* out = a - b + 4m with normal limbs, for a loose and b below 4m: between 0 and 6m. */
WIDE static inline void SIZED(subtract)(wide *out, const wide *a, const wide *b,
                                        const struct modulus *m)
{
    wide borrow = everywhere(0);
    for (int j = 0; j < LIMBS; j++) {
        wide d = _mm512_add_epi64(_mm512_sub_epi64(a[j], b[j]), everywhere(4 * m->limbs[j]));
        d = _mm512_add_epi64(d, borrow);
        borrow = _mm512_srai_epi64(d, LIMB_BITS);
        out[j] = _mm512_and_si512(d, everywhere(LIMB_MASK));
    }
}

/* One row of limbs in every lane. */
WIDE static inline void SIZED(spread)(wide *out, const u64 *row)
{
    for (int j = 0; j < LIMBS; j++)
        out[j] = everywhere(row[j]);
}

/* Eight rows of limbs in memory to lanes. */
WIDE static inline void SIZED(load_limbs)(wide *out, const u64 *const rows[LANES])
{
    for (int j = 0; j < ROW; j += LANES) {
        wide block[LANES];
        for (int k = 0; k < LANES; k++)
            block[k] = _mm512_loadu_si512(rows[k] + j);
        wide_transpose(block);
        for (int k = 0; k < LANES && j + k < LIMBS; k++)
            out[j + k] = block[k];
    }
}

/* The reverse; the padding of the rows becomes zero. */
WIDE static inline void SIZED(store_limbs)(u64 *const rows[LANES], const wide *in)
{
    for (int j = 0; j < ROW; j += LANES) {
        wide block[LANES];
        for (int k = 0; k < LANES; k++)
            block[k] = j + k < LIMBS ? in[j + k] : everywhere(0);
        wide_transpose(block);
        for (int k = 0; k < LANES; k++)
            _mm512_storeu_si512(rows[k] + j, block[k]);
    }
}

/* Eight little-endian rows of `words` 64-bit words (a multiple of 8, at most 2 WORDS) to `limbs`
   limbs. */
WIDE static inline void SIZED(load_words)(wide *out, int limbs, const uint8_t *const rows[LANES],
                                          int words)
{
    wide w[2 * WORDS];
    for (int j = 0; j < words; j += LANES) {
        for (int k = 0; k < LANES; k++)
            w[j + k] = _mm512_loadu_si512(rows[k] + 8 * j);
        wide_transpose(w + j);
    }
    for (int i = 0; i < limbs; i++) {
        /* A shift by 64 gives zero, which is what a limb that begins with a word needs. */
        int word = i * LIMB_BITS / 64, shift = i * LIMB_BITS % 64;
        wide low = word < words ? w[word] : everywhere(0),
             high = word + 1 < words ? w[word + 1] : everywhere(0);
        low = _mm512_srl_epi64(low, _mm_cvtsi32_si128(shift));
        high = _mm512_sll_epi64(high, _mm_cvtsi32_si128(64 - shift));
        out[i] = _mm512_and_si512(_mm512_or_si512(low, high), everywhere(LIMB_MASK));
    }
}

/* `limbs` limbs to eight little-endian rows of `words` 64-bit words; the number must fit. */
WIDE static inline void SIZED(store_words)(uint8_t *const rows[LANES], int words, const wide *in,
                                           int limbs)
{
    for (int j = 0; j < words; j += LANES) {
        wide block[LANES];
        for (int k = 0; k < LANES; k++) {
            int limb = (j + k) * 64 / LIMB_BITS, shift = (j + k) * 64 % LIMB_BITS;
            wide x = _mm512_srl_epi64(in[limb], _mm_cvtsi32_si128(shift));
            for (int next = 1; next < 3 && limb + next < limbs; next++)
                x = _mm512_or_si512(
                    x,
                    _mm512_sll_epi64(in[limb + next], _mm_cvtsi32_si128(next * LIMB_BITS - shift)));
            block[k] = x;
        }
        wide_transpose(block);
        for (int k = 0; k < LANES; k++)
            _mm512_storeu_si512(rows[k] + 8 * j, block[k]);
    }
}
