/* Probabilistic concurrency testing: see pct.h. */
#include "core/pct.h"

#include <stdlib.h>

/* splitmix64 */
static uint64_t draw(struct antk_pct *pct)
{
    uint64_t z = (pct->random += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

struct antk_pct *antk_pct_create(uint32_t depth, uint32_t steps, uint64_t seed)
{
    struct antk_pct *pct = calloc(1, sizeof *pct + (depth - 1) * sizeof pct->change_at[0]);
    if (!pct)
        return NULL;
    pct->random = seed;
    pct->changes = depth - 1;
    for (uint32_t i = 0; i < pct->changes; i++)
        pct->change_at[i] = 1 + draw(pct) % steps;
    return pct;
}

void antk_pct_destroy(struct antk_pct *pct)
{
    free(pct);
}

/* The top bit is above every low rank, the lowest 32 tell equals apart, what lies between is drawn. */
uint64_t antk_pct_rank(struct antk_pct *pct)
{
    pct->threads++;
    return UINT64_C(1) << 63 | draw(pct) >> 33 << 32 | pct->threads;
}

uint64_t antk_pct_point(struct antk_pct *pct)
{
    uint64_t rank = 0;
    pct->points++;
    for (uint32_t i = 0; i < pct->changes; i++)
        if (pct->change_at[i] == pct->points)
            rank = i + 1;
    return rank;
}
