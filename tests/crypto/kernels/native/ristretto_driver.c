/* The ristretto255 kernels as a program, for sanitizers and valgrind: arguments on standard input,
   results on standard output. Arrays have their exact size on the heap, so that one byte read or
   written beyond is seen.

   multiply: 32 bytes of scalar and the points, to the returned number (4 bytes) and the products.
             Under valgrind the scalar counts as not initialised, which makes every branch and every
             address that depends on it an error.
   map:      digests of 64 bytes to encodings.
   field:    eight pairs (a, b) of five limbs, to the limbs of a b, a^2, a + b, a - b and a made
             canonical. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ristretto255.h"

#include "ristretto255_field.h"

#if __has_include(<valgrind/memcheck.h>)
#include <valgrind/memcheck.h>
#else
#define VALGRIND_MAKE_MEM_UNDEFINED(address, size) (void)0
#define VALGRIND_MAKE_MEM_DEFINED(address, size) (void)0
#endif

static uint8_t *exactly(const uint8_t *from, size_t size)
{
    uint8_t *copy = malloc(size ? size : 1);
    if (!copy)
        exit(2);
    if (size)
        memcpy(copy, from, size);
    return copy;
}

static void write_out(void *from, size_t size)
{
    VALGRIND_MAKE_MEM_DEFINED(from, size);
    if (fwrite(from, 1, size, stdout) != size)
        exit(2);
}

static void run_multiply(const uint8_t *input, size_t size)
{
    size_t n = (size - 32) / 32;
    uint8_t *scalar = exactly(input, 32);
    uint8_t *points = exactly(input + 32, 32 * n);
    uint8_t *out = exactly(input + 32, 32 * n);
    VALGRIND_MAKE_MEM_UNDEFINED(scalar, 32);
    int refused = xr_ristretto_multiply(out, points, n, scalar);
    write_out(&refused, sizeof refused);
    write_out(out, 32 * n);
    free(scalar), free(points), free(out);
}

static void run_map(const uint8_t *input, size_t size)
{
    size_t n = size / 64;
    uint8_t *digests = exactly(input, 64 * n), *out = exactly(input, 32 * n);
    xr_ristretto_from_hash(out, digests, n);
    write_out(out, 32 * n);
    free(digests), free(out);
}

WIDE static void run_field(const uint8_t *input, size_t size)
{
    field pair[2];
    if (size != sizeof pair)
        exit(2);
    memcpy(pair, input, size);
    field results[] = {multiply(pair[0], pair[1]), square(pair[0]), add(pair[0], pair[1]),
                       subtract(pair[0], pair[1]), canonical(pair[0])};
    write_out(results, sizeof results);
}

int main(int count, char **arguments)
{
    static uint8_t input[1 << 24];
    size_t size = fread(input, 1, sizeof input, stdin);
    const char *mode = count == 2 ? arguments[1] : "";
    if (!strcmp(mode, "multiply") && size >= 32)
        run_multiply(input, size);
    else if (!strcmp(mode, "map"))
        run_map(input, size);
    else if (!strcmp(mode, "field"))
        run_field(input, size);
    else
        return 2;
    return 0;
}
