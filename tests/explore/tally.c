/* What many runs came to; see tally.h. */
#include "tally.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

static void widen(struct depth_tally *d, uint64_t runs, uint32_t threads_least,
                  uint32_t threads_most, uint64_t points_least, uint64_t points_most)
{
    if (d->runs == 0 || threads_least < d->threads_least)
        d->threads_least = threads_least;
    if (d->runs == 0 || points_least < d->points_least)
        d->points_least = points_least;
    if (threads_most > d->threads_most)
        d->threads_most = threads_most;
    if (points_most > d->points_most)
        d->points_most = points_most;
    d->runs += runs;
}

void tally_run(struct tally *tally, uint32_t depth, const struct outcome *o)
{
    tally->violations += o->violations > 0;
    tally->direct += o->direct;
    widen(&tally->depth[depth], 1, o->threads, o->threads, o->points, o->points);
}

void tally_add(struct tally *tally, const struct tally *other)
{
    tally->violations += other->violations;
    tally->direct += other->direct;
    for (uint32_t depth = 0; depth <= DEPTH_MAX; depth++) {
        const struct depth_tally *d = &other->depth[depth];
        if (d->runs > 0)
            widen(&tally->depth[depth], d->runs, d->threads_least, d->threads_most, d->points_least,
                  d->points_most);
    }
}

/* The chance of a run to meet a bug of this depth, at least. */
static double bound(const struct depth_tally *d, uint32_t depth)
{
    return 1 / ((double)d->threads_most * pow((double)d->points_most, depth - 1));
}

/* The chance of at least one of so many runs. */
static double chance(double bound, double runs)
{
    return -expm1(runs * log1p(-bound));
}

static void print_depth(const struct depth_tally *d, uint32_t depth)
{
    double p = bound(d, depth);
    printf("%5u %10" PRIu64 " %5u to %-3u %6" PRIu64 " to %-6" PRIu64 " %10.3g %8.4f %14.3g\n",
           depth, d->runs, d->threads_least, d->threads_most, d->points_least, d->points_most, p,
           chance(p, (double)d->runs), ceil(log1p(-0.95) / log1p(-p)));
}

bool tally_print(const struct tally *tally, double wall_s)
{
    uint32_t threads = 0, deepest = 1;
    uint64_t runs = 0, points = 0;
    printf("depth       runs   threads (n)     points (k) bound 1/(n k^(d-1))  chance  runs for 0.95\n");
    for (uint32_t depth = 1; depth <= DEPTH_MAX; depth++) {
        const struct depth_tally *d = &tally->depth[depth];
        if (d->runs == 0)
            continue;
        print_depth(d, depth);
        deepest = depth;
        runs += d->runs;
        threads = d->threads_most > threads ? d->threads_most : threads;
        points = d->points_most > points ? d->points_most : points;
    }
    printf("requests served by direct calls: %" PRIu64 "\n", tally->direct);
    printf("explore runs %" PRIu64 " violations %" PRIu64 " n %u k %" PRIu64
           " d %u bound %.3g wall %.1f s\n",
           runs, tally->violations, threads, points, deepest,
           runs > 0 ? bound(&tally->depth[deepest], deepest) : 0, wall_s);
    return runs > 0 && tally->violations == 0;
}
