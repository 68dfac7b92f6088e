/* The question comes from a file of its own, compiled for the baseline processor, so that no wide
   instruction can be reached before the answer. __builtin_cpu_supports looks at CPUID and also, by
   XGETBV, whether the operating system saves the wide registers when it switches tasks. */

#include "cpu.h"

int xr_ifma_available(void)
{
#if XR_KERNELS
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512ifma");
#else
    return 0;
#endif
}

int xr_avx2_available(void)
{
#if XR_KERNELS
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2") != 0;
#else
    return 0;
#endif
}

int xr_aes_available(void)
{
#if XR_KERNELS
    __builtin_cpu_init();
    return __builtin_cpu_supports("aes") && __builtin_cpu_supports("sse4.1");
#else
    return 0;
#endif
}
