/* ristretto255 (RFC 9496) for eight elements at once: what happens between encodings of 32 bytes
   and points.

   The field is in ristretto255_field.h (radix 2^51, lanes, carries, bounds), the curve in
   ristretto255_curve.h. The functions below follow the RFC line by line and use its names; section
   numbers refer to it. Where it branches, both outcomes are computed and one is chosen by a mask of
   lanes.

   Bit 255. Decoding (4.3.1) interprets all 32 bytes and refuses what is not below p, so an encoding
   with its highest bit set is refused. libsodium 1.0.18 clears that bit and accepts; the portable
   path asks for it first. */

#include "cpu.h"

#if XR_KERNELS

#include "ristretto255.h"

#include "ristretto255_curve.h"

static const u64 D[] = {0x34dca135978a3, 0x1a8283b156ebd, 0x5e7a26001c029, 0x739c663a03cbb,
                        0x52036cee2b6ff};
static const u64 SQRT_M1[] = {0x61b274a0ea0b0, 0x0d5a5fc8f189d, 0x7ef5e9cbd0c60, 0x78595a6804c9e,
                              0x2b8324804fc1d};
static const u64 SQRT_AD_MINUS_ONE[] = {
    0x7f6a0497b2e1b, 0x1836f0a97afd2, 0x7d747f6be7638, 0x456079e7e6498, 0x376931bf2b834,
};
static const u64 INVSQRT_A_MINUS_D[] = {
    0x0fdaa805d40ea, 0x2eb482e57d339, 0x007610274bc58, 0x6510b613dc8ff, 0x786c8905cfaff,
};
static const u64 ONE_MINUS_D_SQ[] = {
    0x409c1945fc176, 0x719abc6a1fc4f, 0x1c37f90b20684, 0x06bccca55eedf, 0x029072a8b2b3e,
};
static const u64 D_MINUS_ONE_SQ[] = {
    0x55aaa44ed4d20, 0x59603c3332635, 0x26d3baf4a7928, 0x120a66e6997a9, 0x5968b37af66c2,
};

/* SQRT_RATIO_M1 (4.2): the lanes in which u / v is a square; *r is its root there, that of SQRT_M1
   u / v elsewhere. */
WIDE static __mmask8 sqrt_ratio(field *r, field u, field v)
{
    const field i = constant(SQRT_M1);
    field v3 = multiply(square(v), v), v7 = multiply(square(v3), v);
    field root = multiply(multiply(u, v3), power_for_root(multiply(u, v7)));
    field check = multiply(v, square(root)), minus_u = negate(u);
    __mmask8 correct = is_equal(check, u), flipped = is_equal(check, minus_u);
    __mmask8 flipped_i = is_equal(check, multiply(minus_u, i));
    *r = absolute(choose(flipped | flipped_i, multiply(root, i), root));
    return correct | flipped;
}

/* Four words of 64 bits, lowest first, to limbs; bit 255 is dropped. */
WIDE static field from_words(const wide word[4])
{
    const wide mask = everywhere(RADIX_MASK);
    field out = {{
        word[0],
        _mm512_or_si512(_mm512_srli_epi64(word[0], 51), _mm512_slli_epi64(word[1], 13)),
        _mm512_or_si512(_mm512_srli_epi64(word[1], 38), _mm512_slli_epi64(word[2], 26)),
        _mm512_or_si512(_mm512_srli_epi64(word[2], 25), _mm512_slli_epi64(word[3], 39)),
        _mm512_srli_epi64(word[3], 12),
    }};
    for (int k = 0; k < FIELD_LIMBS; k++)
        out.limb[k] = _mm512_and_si512(out.limb[k], mask);
    return out;
}

/* Canonical limbs to four words. */
WIDE static void to_words(wide word[4], field a)
{
    word[0] = _mm512_or_si512(a.limb[0], _mm512_slli_epi64(a.limb[1], 51));
    word[1] = _mm512_or_si512(_mm512_srli_epi64(a.limb[1], 13), _mm512_slli_epi64(a.limb[2], 38));
    word[2] = _mm512_or_si512(_mm512_srli_epi64(a.limb[2], 26), _mm512_slli_epi64(a.limb[3], 25));
    word[3] = _mm512_or_si512(_mm512_srli_epi64(a.limb[3], 39), _mm512_slli_epi64(a.limb[4], 12));
}

/* Decode (4.3.1): the lanes in which the words are not the canonical encoding of an element. */
WIDE static __mmask8 decode(point *out, const wide word[4])
{
    const field one = small(1), s = from_words(word), reduced = canonical(s);
    __mmask8 refused =
        _mm512_movepi64_mask(word[3]) | _mm512_test_epi64_mask(word[0], everywhere(1));
    for (int k = 0; k < FIELD_LIMBS; k++)
        refused |= _mm512_cmpneq_epi64_mask(s.limb[k], reduced.limb[k]);
    field ss = square(s), u1 = subtract(one, ss), u2 = add(one, ss), u2_sqr = square(u2);
    field v = subtract(negate(multiply(constant(D), square(u1))), u2_sqr), invsqrt;
    __mmask8 was_square = sqrt_ratio(&invsqrt, one, multiply(v, u2_sqr));
    field den_x = multiply(invsqrt, u2), den_y = multiply(multiply(invsqrt, den_x), v);
    out->x = absolute(multiply(add(s, s), den_x));
    out->y = multiply(u1, den_y);
    out->z = one;
    out->t = multiply(out->x, out->y);
    return refused | (__mmask8)~was_square | is_negative(out->t) | is_zero(out->y);
}

/* Encode (4.3.2). */
WIDE static void encode(wide word[4], const point *p)
{
    const field i = constant(SQRT_M1);
    field u1 = multiply(add(p->z, p->y), subtract(p->z, p->y)), u2 = multiply(p->x, p->y), invsqrt;
    sqrt_ratio(&invsqrt, small(1), multiply(u1, square(u2)));
    field den1 = multiply(invsqrt, u1), den2 = multiply(invsqrt, u2),
          z_inv = multiply(multiply(den1, den2), p->t);
    __mmask8 rotate = is_negative(multiply(p->t, z_inv));
    field x = choose(rotate, multiply(p->y, i), p->x), y = choose(rotate, multiply(p->x, i), p->y);
    field den_inv = choose(rotate, multiply(den1, constant(INVSQRT_A_MINUS_D)), den2);
    y = choose(is_negative(multiply(x, z_inv)), negate(y), y);
    to_words(word, canonical(absolute(multiply(den_inv, subtract(p->z, y)))));
}

/* MAP (4.3.4): one half of the one-way map. */
WIDE static point map(const wide word[4])
{
    const field one = small(1), minus_one = negate(one), d = constant(D), t = from_words(word);
    field r = multiply(constant(SQRT_M1), square(t)),
          u = multiply(add(r, one), constant(ONE_MINUS_D_SQ));
    field v = multiply(subtract(minus_one, multiply(r, d)), add(r, d)), s;
    __mmask8 was_square = sqrt_ratio(&s, u, v);
    field s_prime = negate(absolute(multiply(s, t)));
    s = choose(was_square, s, s_prime);
    field c = choose(was_square, minus_one, r);
    field n = subtract(multiply(multiply(c, subtract(r, one)), constant(D_MINUS_ONE_SQ)), v),
          ss = square(s);
    sum w = {
        .e = multiply(add(s, s), v),
        .f = add(one, ss),
        .g = multiply(n, constant(SQRT_AD_MINUS_ONE)),
        .h = subtract(one, ss),
    };
    /* The RFC's w0 = e, w1 = g, w2 = h, w3 = f. */
    return with_t(w);
}

/* Up to eight rows of `words` words (4 or 8) to lanes; lanes without a row become zero, which
   encodes the identity. */
WIDE static void load_rows(wide word[LANES], const uint8_t *rows, size_t count, int words)
{
    const __mmask8 whole = (__mmask8)((1u << words) - 1);
    for (size_t k = 0; k < LANES; k++)
        word[k] = k < count ? _mm512_maskz_loadu_epi64(whole, rows + 8 * (size_t)words * k)
                            : everywhere(0);
    wide_transpose(word);
}

/* The reverse for rows of four words. */
WIDE static void store_rows(uint8_t *rows, size_t count, const wide word[4])
{
    wide row[LANES] = {word[0], word[1], word[2], word[3], word[0], word[1], word[2], word[3]};
    wide_transpose(row);
    for (size_t k = 0; k < count; k++)
        _mm512_mask_storeu_epi64(rows + 32 * k, 0x0f, row[k]);
}

/* The first of `count` rows that is zero, or `count`. This is the one place that branches on
   something that came from the scalar: on products, which are sent to others anyway. */
static size_t first_identity(const uint8_t *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        unsigned any = 0;
        for (size_t k = 0; k < 32; k++)
            any |= rows[32 * i + k];
        if (!any)
            return i;
    }
    return count;
}

WIDE int xr_ristretto_multiply(uint8_t *out, const uint8_t *points, size_t n,
                               const uint8_t scalar[32])
{
    int64_t digit[DIGITS];
    signed_digits(digit, scalar);
    size_t sound = n;
    for (size_t i = 0; i < n && sound == n; i += LANES) {
        size_t count = n - i < LANES ? n - i : LANES;
        wide word[LANES];
        load_rows(word, points + 32 * i, count, 4);
        point p;
        unsigned refused = decode(&p, word);
        p = multiply_point(&p, digit);
        encode(word, &p);
        store_rows(out + 32 * i, count, word);
        if (refused)
            sound = i + (size_t)__builtin_ctz(refused);
    }
    size_t identity = first_identity(out, sound);
    return identity < n ? (int)identity + 1 : 0;
}

WIDE void xr_ristretto_from_hash(uint8_t *out, const uint8_t *digests64, size_t n)
{
    for (size_t i = 0; i < n; i += LANES) {
        size_t count = n - i < LANES ? n - i : LANES;
        wide word[LANES];
        load_rows(word, digests64 + 64 * i, count, 8);
        const point first = map(word), second = map(word + 4);
        const addend term = as_addend(&second);
        const point p = with_t(added(&first, &term));
        encode(word, &p);
        store_rows(out + 32 * i, count, word);
    }
}

#endif
