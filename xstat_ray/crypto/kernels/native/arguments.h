/* Checks of the arguments that Python hands to the kernels (module.c): each returns 1 where its
   promise holds, and else sets an exception and returns 0. */

#ifndef XR_ARGUMENTS_H
#define XR_ARGUMENTS_H

#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030B0000
#include <Python.h>

#include "cpu.h"
#include "paillier.h"

#if XR_KERNELS

#define MAX_DIGIT_BITS 16

/* Whether `condition` holds; otherwise ValueError. */
static inline int require(int condition, const char *message)
{
    if (!condition)
        PyErr_SetString(PyExc_ValueError, message);
    return condition;
}

/* Whether a buffer has exactly `size` bytes; otherwise ValueError. */
static inline int has_size(const Py_buffer *buffer, const char *name, size_t size)
{
    if ((size_t)buffer->len == size)
        return 1;
    PyErr_Format(PyExc_ValueError, "%s has %zd bytes in place of %zu", name, buffer->len, size);
    return 0;
}

/* Whether a buffer that is read as 64-bit numbers has `count` of them, aligned; otherwise
   ValueError. */
static inline int has_numbers(const Py_buffer *buffer, const char *name, size_t count)
{
    return has_size(buffer, name, 8 * count) &&
           require((uintptr_t)buffer->buf % 8 == 0, "an array is not aligned");
}

/* Whether the processor has the instructions; otherwise RuntimeError. */
static inline int runs_here(void)
{
    if (!xr_ifma_available())
        PyErr_SetString(PyExc_RuntimeError,
                        "this processor or operating system lacks AVX-512 IFMA");
    return xr_ifma_available();
}

/* Whether the processor has the instructions (otherwise RuntimeError), and whether there are
   kernels of this size (otherwise ValueError). */
static inline int has_kernels(int limbs)
{
#define CASE(size) limbs == size ||
    return runs_here() && require(XR_SIZES(CASE) 0, "there are no kernels of this size");
#undef CASE
}

/* Whether all numbers of an array are in [0, bound); otherwise ValueError. */
static inline int all_below(const Py_buffer *array, const char *name, size_t bound)
{
    const int64_t *value = array->buf;
    for (size_t i = 0; i < (size_t)array->len / 8; i++)
        if (value[i] < 0 || (size_t)value[i] >= bound) {
            PyErr_Format(PyExc_ValueError, "%s: %lld at %zu is out of range", name,
                         (long long)value[i], i);
            return 0;
        }
    return 1;
}

/* How many rows of `size` bytes a buffer has; that it has no part of one more is checked with its
   size. */
static inline size_t rows_of(const Py_buffer *buffer, size_t size)
{
    return size ? (size_t)buffer->len / size : 0;
}

static inline void release(Py_buffer *buffers[], int count)
{
    for (int i = 0; i < count; i++)
        PyBuffer_Release(buffers[i]);
}

#define RELEASE(...) \
    release((Py_buffer *[]){__VA_ARGS__}, \
            (int)(sizeof((Py_buffer *[]){__VA_ARGS__}) / sizeof(Py_buffer *)))

/* Whether edges rise from 0 to `total` in steps of 1 to `most`; otherwise ValueError. */
static inline int are_edges(const Py_buffer *edges, size_t total, size_t most)
{
    const int64_t *edge = edges->buf;
    size_t count = (size_t)edges->len / 8;
    int fine =
        count > 0 && edge[0] == 0 && edge[count - 1] >= 0 && (size_t)edge[count - 1] == total;
    for (size_t i = 1; i < count && fine; i++)
        fine = edge[i] > edge[i - 1] && (size_t)(edge[i] - edge[i - 1]) <= most;
    return require(fine, "a segment is empty, too long, or not inside the index");
}

#endif
#endif
