/* Numbers drawn from a seed: splitmix64. */
#ifndef EXPLORE_DRAW_H
#define EXPLORE_DRAW_H

#include <stdint.h>

static inline uint64_t draw(uint64_t *random)
{
    uint64_t z = (*random += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static inline uint32_t draw_below(uint64_t *random, uint32_t limit)
{
    return (uint32_t)(draw(random) % limit);
}

/* A number for each pair. */
static inline uint64_t draw_of(uint64_t seed, uint64_t number)
{
    uint64_t random = seed;
    random = draw(&random) + number;
    return draw(&random);
}

#endif
