/* xstat_ray.crypto.kernels._native: the kernels as Python functions over buffers.

   This layer makes sure that no call, whatever its arguments, touches memory that is not its own.
   Every argument is a Py_buffer, so that the memory can be neither freed nor resized during a call;
   it must be contiguous, aligned where it is read as 64-bit numbers, and have exactly the bytes
   that the kernel will touch; indexes and segments must lie inside their arrays. Otherwise
   ValueError is raised before anything is computed. Nothing calls a WIDE, a FOUR or an AES function
   unless the processor has it (RuntimeError), and where the compiler has none the module has
   `available`, `avx2_available` and `aes_available` alone. The functions of the AVX2 kernel are in
   module_avx2.c, SHA-512 is in module_sha512.c. Whether numbers are reduced, which the kernels take for
   granted and which decides whether
   results are right, is checked one layer up, in ifma.py.

   Arguments are never grouped in tuples: PyArg_ParseTuple notes the buffers it has taken in an
   array with room for the outermost level only, and writes past its end otherwise (CPython 3.11).

   The interpreter lock is released while a kernel runs, so threads share tables and use all cores.
   Only the stable interface of Python 3.11 is used: one build serves every later version. */

#include "arguments.h"
#include "module_avx2.h"
#include "module_sha512.h"
#include "oprf.h"

static PyObject *available(PyObject *module, PyObject *none)
{
    (void)module, (void)none;
    return PyBool_FromLong(xr_ifma_available());
}

static PyObject *avx2_available(PyObject *module, PyObject *none)
{
    (void)module, (void)none;
    return PyBool_FromLong(xr_avx2_available());
}

static PyObject *aes_available(PyObject *module, PyObject *none)
{
    (void)module, (void)none;
    return PyBool_FromLong(xr_aes_available());
}

#if XR_KERNELS

/* make_table(limbs, digit_bits, table, base, modulus) */
static PyObject *make_table(PyObject *module, PyObject *args)
{
    (void)module;
    int limbs;
    unsigned digit_bits;
    Py_buffer table, base, modulus;
    if (!PyArg_ParseTuple(args, "iIw*y*y*", &limbs, &digit_bits, &table, &base, &modulus))
        return NULL;
    PyObject *result = NULL;
    if (has_kernels(limbs) && require(digit_bits >= 1 && digit_bits <= MAX_DIGIT_BITS,
                                      "the width of a digit is out of range")) {
        size_t place = xr_row(limbs) << digit_bits, places = rows_of(&table, 8 * place);
        if (has_numbers(&table, "table", places * place) &&
            has_numbers(&base, "base", xr_row(limbs)) &&
            has_numbers(&modulus, "modulus", XR_MODULUS_ROWS * xr_row(limbs))) {
            Py_BEGIN_ALLOW_THREADS
            xr_make_table(limbs, table.buf, base.buf, modulus.buf, (unsigned)places, digit_bits);
            Py_END_ALLOW_THREADS
            result = Py_NewRef(Py_None);
        }
    }
    RELEASE(&table, &base, &modulus);
    return result;
}

/* How a table and the exponents of one base arrive. */
struct base_arguments {
    Py_buffer modulus, table, exponents;
};

/* Whether they fit each other and n encryptions; fills `base`. */
static int take_base(struct xr_fixed_base *base, const struct base_arguments *from, int limbs,
                     unsigned digit_bits, int constant_time, size_t n)
{
    if (!require(digit_bits >= 1 && digit_bits <= MAX_DIGIT_BITS,
                 "the width of a digit is out of range"))
        return 0;
    size_t place = xr_row(limbs) << digit_bits, places = rows_of(&from->table, 8 * place);
    size_t bytes = rows_of(&from->exponents, n);
    *base = (struct xr_fixed_base){
        .modulus = from->modulus.buf,
        .table = from->table.buf,
        .places = (unsigned)places,
        .digit_bits = digit_bits,
        .exponent_bytes = bytes,
        .constant_time = constant_time,
    };
    return has_numbers(&from->modulus, "modulus", XR_MODULUS_ROWS * xr_row(limbs)) &&
           has_numbers(&from->table, "table", places * place) &&
           has_size(&from->exponents, "exponents", n * bytes) &&
           require(places > 0 && 8 * bytes <= places * digit_bits,
                   "exponents are longer than the table was made for");
}

/* encrypt_public(limbs, digit_bits, constant_time, out, messages, index, modulus, table, exponents) */
static PyObject *encrypt_public(PyObject *module, PyObject *args)
{
    (void)module;
    int limbs, constant_time;
    unsigned digit_bits;
    Py_buffer out, messages, index;
    struct base_arguments a;
    if (!PyArg_ParseTuple(args, "iIpw*y*y*y*y*y*", &limbs, &digit_bits, &constant_time, &out,
                          &messages, &index, &a.modulus, &a.table, &a.exponents))
        return NULL;
    PyObject *result = NULL;
    size_t n = (size_t)index.len / 8, width = 8 * xr_words(limbs);
    struct xr_fixed_base base;
    if (has_kernels(limbs) && has_size(&out, "out", n * width) && has_numbers(&index, "index", n) &&
        has_size(&messages, "messages", rows_of(&messages, width / 2) * (width / 2)) &&
        all_below(&index, "index", rows_of(&messages, width / 2)) &&
        take_base(&base, &a, limbs, digit_bits, constant_time, n)) {
        Py_BEGIN_ALLOW_THREADS
        xr_encrypt_public(limbs, out.buf, messages.buf, index.buf, n, &base, a.exponents.buf);
        Py_END_ALLOW_THREADS
        result = Py_NewRef(Py_None);
    }
    RELEASE(&out, &messages, &index, &a.modulus, &a.table, &a.exponents);
    return result;
}

/* encrypt_owner(limbs, digit_bits, constant_time, out, messages, index, modulus, table, exponents of p,
   the same of q, p2_inverse) */
static PyObject *encrypt_owner(PyObject *module, PyObject *args)
{
    (void)module;
    int limbs, constant_time;
    unsigned digit_bits;
    Py_buffer out, messages, index, p2_inverse;
    struct base_arguments a, b;
    if (!PyArg_ParseTuple(args, "iIpw*y*y*y*y*y*y*y*y*y*", &limbs, &digit_bits, &constant_time,
                          &out, &messages, &index, &a.modulus, &a.table, &a.exponents, &b.modulus,
                          &b.table, &b.exponents, &p2_inverse))
        return NULL;
    PyObject *result = NULL;
    size_t n = (size_t)index.len / 8, width = 8 * xr_words(limbs);
    struct xr_fixed_base p, q;
    if (has_kernels(limbs) && has_size(&out, "out", n * 2 * width) &&
        has_numbers(&index, "index", n) &&
        has_size(&messages, "messages", rows_of(&messages, width) * width) &&
        all_below(&index, "index", rows_of(&messages, width)) &&
        has_numbers(&p2_inverse, "p2_inverse", xr_row(limbs)) &&
        take_base(&p, &a, limbs, digit_bits, constant_time, n) &&
        take_base(&q, &b, limbs, digit_bits, constant_time, n)) {
        Py_BEGIN_ALLOW_THREADS
        xr_encrypt_owner(limbs, out.buf, messages.buf, index.buf, n, &p, a.exponents.buf, &q,
                         b.exponents.buf, p2_inverse.buf);
        Py_END_ALLOW_THREADS
        result = Py_NewRef(Py_None);
    }
    RELEASE(&out, &messages, &index, &a.modulus, &a.table, &a.exponents, &b.modulus, &b.table,
            &b.exponents, &p2_inverse);
    return result;
}

/* accumulate(limbs, out, rows, index, edges, order, modulus, r_powers) */
static PyObject *accumulate(PyObject *module, PyObject *args)
{
    (void)module;
    int limbs;
    Py_buffer out, rows, index, edges, order, modulus, r_powers;
    if (!PyArg_ParseTuple(args, "iw*y*y*y*y*y*y*", &limbs, &out, &rows, &index, &edges, &order,
                          &modulus, &r_powers))
        return NULL;
    PyObject *result = NULL;
    size_t count = (size_t)order.len / 8, width = 8 * xr_words(limbs), row = xr_row(limbs);
    size_t powers = rows_of(&r_powers, 8 * row);
    if (has_kernels(limbs) && has_size(&out, "out", count * width) &&
        has_size(&rows, "rows", rows_of(&rows, width) * width) &&
        has_numbers(&index, "index", (size_t)index.len / 8) &&
        has_numbers(&edges, "edges", count + 1) && has_numbers(&order, "order", count) &&
        has_numbers(&modulus, "modulus", XR_MODULUS_ROWS * row) &&
        has_numbers(&r_powers, "r_powers", powers * row) &&
        require(powers > 0, "there are no powers of R") &&
        all_below(&index, "index", rows_of(&rows, width)) && all_below(&order, "order", count) &&
        are_edges(&edges, (size_t)index.len / 8, powers - 1)) {
        Py_BEGIN_ALLOW_THREADS
        xr_accumulate(limbs, out.buf, rows.buf, index.buf, edges.buf, order.buf, count, modulus.buf,
                      r_powers.buf);
        Py_END_ALLOW_THREADS
        result = Py_NewRef(Py_None);
    }
    RELEASE(&out, &rows, &index, &edges, &order, &modulus, &r_powers);
    return result;
}

/* power(limbs, out, rows, exponent, modulus) */
static PyObject *power(PyObject *module, PyObject *args)
{
    (void)module;
    int limbs;
    Py_buffer out, rows, exponent, modulus;
    if (!PyArg_ParseTuple(args, "iw*y*y*y*", &limbs, &out, &rows, &exponent, &modulus))
        return NULL;
    PyObject *result = NULL;
    size_t width = 8 * xr_words(limbs), n = rows_of(&out, width);
    if (has_kernels(limbs) && has_size(&out, "out", n * width) &&
        has_size(&rows, "rows", n * 2 * width) &&
        has_numbers(&modulus, "modulus", XR_MODULUS_ROWS * xr_row(limbs)) &&
        require(exponent.len > 0, "the exponent is empty")) {
        Py_BEGIN_ALLOW_THREADS
        xr_power(limbs, out.buf, rows.buf, n, exponent.buf, (size_t)exponent.len, modulus.buf);
        Py_END_ALLOW_THREADS
        result = Py_NewRef(Py_None);
    }
    RELEASE(&out, &rows, &exponent, &modulus);
    return result;
}

/* Whether the processor has the instructions; otherwise RuntimeError. */
static int has_aes(void)
{
    if (!xr_aes_available())
        PyErr_SetString(PyExc_RuntimeError, "this processor lacks AES instructions");
    return xr_aes_available();
}

/* Whether the arguments of the functions of the oblivious PRF that have items are good; `columns` gets how many
   columns of the capacity `bits` has. */
static int is_oprf(const Py_buffer *key, const Py_buffer *items, const Py_buffer *bits,
                   unsigned capacity, size_t *columns)
{
    if (!has_aes() || !require(capacity > 0, "the capacity is zero"))
        return 0;
    size_t words = xr_oprf_words(capacity);
    *columns = rows_of(bits, 8 * words);
    return has_size(key, "key", 16) && has_size(items, "items", rows_of(items, 16) * 16) &&
           has_numbers(bits, "columns", *columns * words) &&
           require(*columns % 8 == 0, "columns do not come in eights");
}

/* oprf_mark(out, key, items, capacity, first) */
static PyObject *oprf_mark(PyObject *module, PyObject *args)
{
    (void)module;
    unsigned capacity, first;
    Py_buffer out, key, items;
    if (!PyArg_ParseTuple(args, "w*y*y*II", &out, &key, &items, &capacity, &first))
        return NULL;
    PyObject *result = NULL;
    size_t columns;
    if (is_oprf(&key, &items, &out, capacity, &columns) &&
        require(first % 8 == 0, "columns do not come in eights")) {
        Py_BEGIN_ALLOW_THREADS
        xr_oprf_mark(out.buf, key.buf, items.buf, rows_of(&items, 16), capacity, first, columns);
        Py_END_ALLOW_THREADS
        result = Py_NewRef(Py_None);
    }
    RELEASE(&out, &key, &items);
    return result;
}

/* oprf_rows(out, key, items, matrix, capacity) */
static PyObject *oprf_rows(PyObject *module, PyObject *args)
{
    (void)module;
    unsigned capacity;
    Py_buffer out, key, items, matrix;
    if (!PyArg_ParseTuple(args, "w*y*y*y*I", &out, &key, &items, &matrix, &capacity))
        return NULL;
    PyObject *result = NULL;
    size_t columns, n = rows_of(&items, 16);
    if (is_oprf(&key, &items, &matrix, capacity, &columns) &&
        has_size(&out, "out", n * (columns / 8))) {
        Py_BEGIN_ALLOW_THREADS
        xr_oprf_rows(out.buf, key.buf, items.buf, n, matrix.buf, capacity, columns);
        Py_END_ALLOW_THREADS
        result = Py_NewRef(Py_None);
    }
    RELEASE(&out, &key, &items, &matrix);
    return result;
}

/* oprf_pad(matrix, keys, bin) */
static PyObject *oprf_pad(PyObject *module, PyObject *args)
{
    (void)module;
    unsigned long long bin;
    Py_buffer matrix, keys;
    if (!PyArg_ParseTuple(args, "w*y*K", &matrix, &keys, &bin))
        return NULL;
    PyObject *result = NULL;
    size_t count = rows_of(&keys, 16), words = count ? (size_t)matrix.len / 8 / count : 0;
    if (has_aes() && has_size(&keys, "keys", 16 * count) &&
        has_numbers(&matrix, "matrix", count * words)) {
        Py_BEGIN_ALLOW_THREADS
        xr_oprf_pad(matrix.buf, keys.buf, count, words, bin);
        Py_END_ALLOW_THREADS
        result = Py_NewRef(Py_None);
    }
    RELEASE(&matrix, &keys);
    return result;
}

#endif

static PyMethodDef methods[] = {
    {"available", available, METH_NOARGS,
     "Whether the processor and the operating system run the kernels."},
    {"avx2_available", avx2_available, METH_NOARGS,
     "Whether the processor has the AVX2 instructions of the four functions."},
    {"aes_available", aes_available, METH_NOARGS,
     "Whether the processor has the AES instructions of the oprf functions."},
#if XR_KERNELS
    {"make_table", make_table, METH_VARARGS, "(limbs, digit_bits, table, base, modulus)"},
    {"encrypt_public", encrypt_public, METH_VARARGS,
     "(limbs, digit_bits, constant_time, out, messages, index, modulus, table, exponents)"},
    {"encrypt_owner", encrypt_owner, METH_VARARGS,
     "(limbs, digit_bits, constant_time, out, messages, index, modulus, table, exponents, "
     "the same of q, p2_inverse)"},
    {"accumulate", accumulate, METH_VARARGS,
     "(limbs, out, rows, index, edges, order, modulus, r_powers)"},
    {"power", power, METH_VARARGS, "(limbs, out, rows, exponent, modulus)"},
    {"four_table", xr_py_four_table, METH_VARARGS, "(limbs, digit_bits, table, base, constants)"},
    {"four_encrypt", xr_py_four_encrypt, METH_VARARGS,
     "(limbs, digit_bits, constant_time, out, messages, index, constants, table, exponents, "
     "the same of q, joint)"},
    {"oprf_mark", oprf_mark, METH_VARARGS, "(out, key, items, capacity, first)"},
    {"oprf_rows", oprf_rows, METH_VARARGS, "(out, key, items, matrix, capacity)"},
    {"oprf_pad", oprf_pad, METH_VARARGS, "(matrix, keys, bin)"},
    {"sha512", xr_py_sha512, METH_VARARGS, "(lanes, out, prefix, rows, lengths)"},
#endif
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "_native",
    .m_doc = "AVX-512, AVX2 and AES kernels; use xstat_ray.crypto.kernels.",
    .m_methods = methods,
};

PyMODINIT_FUNC PyInit__native(void) { return PyModuleDef_Init(&definition); }
