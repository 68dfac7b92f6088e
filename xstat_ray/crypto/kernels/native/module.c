/* xstat_ray.crypto.kernels._native: the kernels as Python functions over buffers.

   This layer knows sizes and nothing else. Every argument is a Py_buffer, so that the memory can be neither freed nor
   resized during a call; it must be contiguous and have exactly the bytes that the kernel will touch, otherwise
   ValueError is raised and nothing is read. Nothing calls a WIDE function unless the processor has it (RuntimeError).
   The interpreter lock is released while a kernel runs. Whether values are reduced, indexes in range and segments not
   empty is checked one layer up, in ifma.py, where numpy does it in one pass.

   Only the stable interface of Python 3.11 is used: one build serves every later version. */

#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030B0000
#include <Python.h>

#include "cpu.h"
#include "ristretto255.h"

/* Whether a buffer has exactly `size` bytes; otherwise ValueError. */
static int has_size(const Py_buffer *buffer, const char *name, Py_ssize_t size)
{
    if (buffer->len == size)
        return 1;
    PyErr_Format(PyExc_ValueError, "%s has %zd bytes in place of %zd", name, buffer->len, size);
    return 0;
}

/* Whether the processor has the instructions; otherwise RuntimeError. */
static int runs_here(void)
{
    if (xr_ifma_available())
        return 1;
    PyErr_SetString(PyExc_RuntimeError, "this processor or operating system lacks AVX-512 IFMA");
    return 0;
}

static PyObject *available(PyObject *module, PyObject *none)
{
    (void)module, (void)none;
    return PyBool_FromLong(xr_ifma_available());
}

/* ristretto_multiply(out, points, scalar) -> 0, or 1 + the first row that is refused */
static PyObject *ristretto_multiply(PyObject *module, PyObject *args)
{
    (void)module;
    Py_buffer out, points, scalar;
    if (!PyArg_ParseTuple(args, "w*y*y*", &out, &points, &scalar))
        return NULL;
    PyObject *result = NULL;
    size_t n = (size_t)points.len / 32;
    if (runs_here() && has_size(&points, "points", (Py_ssize_t)n * 32) && has_size(&out, "out", points.len) &&
        has_size(&scalar, "scalar", 32)) {
        int bad;
        Py_BEGIN_ALLOW_THREADS
        bad = xr_ristretto_multiply(out.buf, points.buf, n, scalar.buf);
        Py_END_ALLOW_THREADS
        result = PyLong_FromLong(bad);
    }
    PyBuffer_Release(&out), PyBuffer_Release(&points), PyBuffer_Release(&scalar);
    return result;
}

/* ristretto_from_hash(out, digests) */
static PyObject *ristretto_from_hash(PyObject *module, PyObject *args)
{
    (void)module;
    Py_buffer out, digests;
    if (!PyArg_ParseTuple(args, "w*y*", &out, &digests))
        return NULL;
    PyObject *result = NULL;
    size_t n = (size_t)digests.len / 64;
    if (runs_here() && has_size(&digests, "digests", (Py_ssize_t)n * 64) &&
        has_size(&out, "out", (Py_ssize_t)n * 32)) {
        Py_BEGIN_ALLOW_THREADS
        xr_ristretto_from_hash(out.buf, digests.buf, n);
        Py_END_ALLOW_THREADS
        result = Py_NewRef(Py_None);
    }
    PyBuffer_Release(&out), PyBuffer_Release(&digests);
    return result;
}

static PyMethodDef methods[] = {
    {"available", available, METH_NOARGS, "Whether the processor and the operating system run the kernels."},
    {"ristretto_multiply", ristretto_multiply, METH_VARARGS, "(out, points, scalar) -> 0 or 1 + first refused row"},
    {"ristretto_from_hash", ristretto_from_hash, METH_VARARGS, "(out, digests)"},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "_native", "AVX-512 IFMA kernels; use xstat_ray.crypto.kernels.", 0, methods,
    NULL, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__native(void)
{
    return PyModuleDef_Init(&definition);
}
