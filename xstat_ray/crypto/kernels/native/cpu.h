/* Whether this processor and operating system run the kernels. */

#ifndef XR_CPU_H
#define XR_CPU_H

/* 1 where every instruction of a WIDE function (wide.h) may be executed, else 0. */
int xr_ifma_available(void);

#endif
