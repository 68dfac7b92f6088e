/* Whether the kernels are compiled at all, and whether this processor and operating system run
   them. */

#ifndef XR_CPU_H
#define XR_CPU_H

/* 1 where the compiler has the wide instructions, that is gcc and clang for x86-64. Elsewhere the
   extension is built without kernels. */
#ifndef XR_KERNELS
#if defined(__x86_64__) && defined(__GNUC__)
#define XR_KERNELS 1
#else
#define XR_KERNELS 0
#endif
#endif

/* 1 where every instruction of a WIDE function (wide.h) may be executed, else 0. */
int xr_ifma_available(void);

/* The same of a FOUR function (four.h). */
int xr_avx2_available(void);

/* The same of an AES function (oprf.c). */
int xr_aes_available(void);

#endif
