/* SHA-512 of many texts as a Python function over buffers, by the rules of module.c. */

#include "module_sha512.h"
#include "sha512.h"

#if XR_KERNELS

/* The function of so many lanes; NULL where there is none (ValueError), or the processor lacks its
   instructions (RuntimeError). */
static void (*function_of(int lanes))(uint8_t *, size_t, const struct xr_texts *)
{
    if (!require(lanes == 1 || lanes == 4 || lanes == 8, "there are 1, 4 or 8 lanes"))
        return NULL;
    if ((lanes == 8 && !xr_ifma_available()) || (lanes == 4 && !xr_avx2_available())) {
        PyErr_SetString(PyExc_RuntimeError, "this processor or operating system lacks such lanes");
        return NULL;
    }
    return lanes == 8 ? xr_sha512_8 : lanes == 4 ? xr_sha512_4 : xr_sha512_1;
}

PyObject *xr_py_sha512(PyObject *module, PyObject *args)
{
    (void)module;
    int lanes;
    Py_buffer out, prefix, rows, lengths;
    if (!PyArg_ParseTuple(args, "iw*y*y*y*", &lanes, &out, &prefix, &rows, &lengths))
        return NULL;
    PyObject *result = NULL;
    size_t n = (size_t)lengths.len / 8, width = n ? (size_t)rows.len / n : 0;
    size_t size = n ? (size_t)out.len / n : 0;
    void (*hash)(uint8_t *, size_t, const struct xr_texts *) = function_of(lanes);
    if (hash && has_numbers(&lengths, "lengths", n) && has_size(&rows, "rows", n * width) &&
        has_size(&out, "out", n * size) &&
        require(size <= XR_SHA512_BYTES, "a hash has 64 bytes at most") &&
        all_below(&lengths, "lengths", width + 1)) {
        struct xr_texts texts = {
            .prefix = prefix.buf,
            .rows = rows.buf,
            .prefix_size = (size_t)prefix.len,
            .width = width,
            .count = n,
            .lengths = lengths.buf,
        };
        Py_BEGIN_ALLOW_THREADS
        hash(out.buf, size, &texts);
        Py_END_ALLOW_THREADS
        result = Py_NewRef(Py_None);
    }
    RELEASE(&out, &prefix, &rows, &lengths);
    return result;
}

#endif
