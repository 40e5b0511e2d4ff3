/* Small things that the parts of the demo share. */
#include "demo.h"

#include <stdio.h>
#include <time.h>

const char *demo_hex(const uint8_t *sha256, char *text)
{
    for (size_t i = 0; i < SHA256_DIGEST_SIZE; i++) {
        snprintf(text + 2 * i, 3, "%02x", sha256[i]);
    }
    return text;
}

double demo_wall_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

bool demo_failed(struct demo *demo, const char *call, int error)
{
    if (error != 0 && demo->failed == NULL) {
        demo->failed = call;
        demo->failed_error = error;
    }
    return error != 0;
}
