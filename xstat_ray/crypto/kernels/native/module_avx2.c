/* The AVX2 kernel as Python functions over buffers, by the rules of module.c. */

#include "module_avx2.h"
#include "avx2.h"

#if XR_KERNELS

/* Whether the processor has the instructions (otherwise RuntimeError), whether there is a kernel of
   this size, and a digit has this width (otherwise ValueError). */
static int has_four(int limbs, unsigned digit_bits)
{
    if (!xr_avx2_available()) {
        PyErr_SetString(PyExc_RuntimeError, "this processor or operating system lacks AVX2");
        return 0;
    }
#define CASE(size) limbs == size ||
    return require(XR_FOUR_SIZES(CASE) 0, "there are no kernels of this size") &&
           require(digit_bits >= 1 && digit_bits <= MAX_DIGIT_BITS,
                   "the width of a digit is out of range");
#undef CASE
}

/* Bytes of the rows of one place of a table, of 2 limbs of 32 bits. */
static size_t place_bytes(int limbs, unsigned digit_bits)
{
    return (size_t)limbs * 2 * sizeof(uint32_t) << digit_bits;
}

PyObject *xr_py_four_table(PyObject *module, PyObject *args)
{
    (void)module;
    int limbs;
    unsigned digit_bits;
    Py_buffer table, base, constants;
    if (!PyArg_ParseTuple(args, "iIw*y*y*", &limbs, &digit_bits, &table, &base, &constants))
        return NULL;
    PyObject *result = NULL;
    if (has_four(limbs, digit_bits)) {
        size_t place = place_bytes(limbs, digit_bits), places = rows_of(&table, place);
        if (has_numbers(&table, "table", places * place / 8) &&
            has_numbers(&base, "base", 2 * (size_t)limbs) &&
            has_numbers(&constants, "constants", XR_PRIME_ROWS * (size_t)limbs)) {
            Py_BEGIN_ALLOW_THREADS
            xr_four_table(limbs, table.buf, base.buf, constants.buf, (unsigned)places, digit_bits);
            Py_END_ALLOW_THREADS
            result = Py_NewRef(Py_None);
        }
    }
    RELEASE(&table, &base, &constants);
    return result;
}

/* How constants, a table and the exponents of one base arrive. */
struct powers_arguments {
    Py_buffer constants, table, exponents;
};

/* Whether they fit each other and n encryptions; fills `powers`. */
static int take_powers(struct xr_powers *powers, const struct powers_arguments *from, int limbs,
                       unsigned digit_bits, int constant_time, size_t n)
{
    size_t place = place_bytes(limbs, digit_bits), places = rows_of(&from->table, place);
    size_t bytes = rows_of(&from->exponents, n);
    *powers = (struct xr_powers){
        .constants = from->constants.buf,
        .table = from->table.buf,
        .places = (unsigned)places,
        .digit_bits = digit_bits,
        .exponent_bytes = bytes,
        .constant_time = constant_time,
    };
    return has_numbers(&from->constants, "constants", XR_PRIME_ROWS * (size_t)limbs) &&
           has_numbers(&from->table, "table", places * place / 8) &&
           has_size(&from->exponents, "exponents", n * bytes) &&
           require(places > 0 && 8 * bytes <= places * digit_bits,
                   "exponents are longer than the table was made for");
}

PyObject *xr_py_four_encrypt(PyObject *module, PyObject *args)
{
    (void)module;
    int limbs, constant_time;
    unsigned digit_bits;
    Py_buffer out, messages, index, joint;
    struct powers_arguments a, b;
    if (!PyArg_ParseTuple(args, "iIpw*y*y*y*y*y*y*y*y*y*", &limbs, &digit_bits, &constant_time,
                          &out, &messages, &index, &a.constants, &a.table, &a.exponents,
                          &b.constants, &b.table, &b.exponents, &joint))
        return NULL;
    PyObject *result = NULL;
    size_t n = (size_t)index.len / 8, width = 16 * xr_four_words(limbs);
    struct xr_powers p, q;
    if (has_four(limbs, digit_bits) && has_size(&out, "out", n * 2 * width) &&
        has_numbers(&index, "index", n) &&
        has_size(&messages, "messages", rows_of(&messages, width) * width) &&
        all_below(&index, "index", rows_of(&messages, width)) &&
        has_numbers(&joint, "joint", XR_JOINT_ROWS * (size_t)limbs) &&
        take_powers(&p, &a, limbs, digit_bits, constant_time, n) &&
        take_powers(&q, &b, limbs, digit_bits, constant_time, n)) {
        Py_BEGIN_ALLOW_THREADS
        xr_four_encrypt(limbs, out.buf, messages.buf, index.buf, n, &p, a.exponents.buf, &q,
                        b.exponents.buf, joint.buf);
        Py_END_ALLOW_THREADS
        result = Py_NewRef(Py_None);
    }
    RELEASE(&out, &messages, &index, &a.constants, &a.table, &a.exponents, &b.constants, &b.table,
            &b.exponents, &joint);
    return result;
}

#endif
