/* The functions of the AVX2 kernel for Python; module.c lists them. */

#ifndef XR_MODULE_AVX2_H
#define XR_MODULE_AVX2_H

#include "arguments.h"

#if XR_KERNELS

/* four_table(limbs, digit_bits, table, base, constants) */
PyObject *xr_py_four_table(PyObject *module, PyObject *args);

/* four_encrypt(limbs, digit_bits, constant_time, out, messages, index, constants, table, exponents
   of p, the same of q, joint) */
PyObject *xr_py_four_encrypt(PyObject *module, PyObject *args);

#endif
#endif
