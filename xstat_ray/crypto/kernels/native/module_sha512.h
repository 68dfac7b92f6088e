/* SHA-512 of many texts for Python; module.c lists it. */

#ifndef XR_MODULE_SHA512_H
#define XR_MODULE_SHA512_H

#include "arguments.h"

#if XR_KERNELS

/* sha512(lanes, out, prefix, rows, lengths) */
PyObject *xr_py_sha512(PyObject *module, PyObject *args);

#endif
#endif
