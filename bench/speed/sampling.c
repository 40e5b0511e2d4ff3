/* Sampling in turns; see sampling.h. */
#include "sampling.h"

#include <stdlib.h>

enum { WARM_UPS = 20, LEAST_SAMPLES = 3, CLOCK_LOOKS = 10001 };

static unsigned at_least_one(unsigned number)
{
    return number > 0 ? number : 1;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static void sort(double *values, unsigned count)
{
    qsort(values, count, sizeof *values, compare_doubles);
}

double quantile(const double *sorted, unsigned count, double q)
{
    return sorted[(unsigned)(q * (double)(count - 1) + 0.5)];
}

double median_of(double *values, unsigned count)
{
    sort(values, count);
    return quantile(values, count, 0.5);
}

double sampling_clock_ns(void)
{
    static double looks[CLOCK_LOOKS];

    for (int i = 0; i < CLOCK_LOOKS; i++) {
        uint64_t begin_ns = now_ns();
        looks[i] = (double)(now_ns() - begin_ns);
    }
    return median_of(looks, CLOCK_LOOKS);
}

/* --- Players ------------------------------------------------------------------------------------------------------------- */

static unsigned samples_of(const struct player *player, unsigned samples)
{
    unsigned count = samples / at_least_one(player->subject->rarity);

    return count > LEAST_SAMPLES ? count : LEAST_SAMPLES;
}

static void prepare(struct player *player, unsigned count)
{
    for (int i = 0; i < SUBJECT_VALUES; i++) {
        struct series *series = &player->series[i];
        *series = (struct series){.name = player->subject->names[i]};
        if (series->name != NULL) {
            series->values = calloc(count, sizeof *series->values);
            limit_must(series->values != NULL, "memory");
        }
    }
}

static void keep(struct player *player, const uint64_t *values, double clock_ns)
{
    const struct subject *subject = player->subject;

    for (int i = 0; i < SUBJECT_VALUES && player->series[i].name != NULL; i++) {
        struct series *series = &player->series[i];
        double value = (double)values[i] - (subject->raw[i] ? 0 : clock_ns);
        series->values[series->count++] = value / at_least_one(subject->batch);
    }
}

/* Takes its next `count` samples. */
static void play(struct player *player, unsigned count, bool warm_up, double clock_ns)
{
    const struct subject *subject = player->subject;

    if (count > 0 && subject->enter != NULL) {
        subject->enter(player->self);
    }
    for (unsigned i = 0; i < count; i++) {
        uint64_t values[SUBJECT_VALUES];
        subject->sample(player->self, values);
        if (!warm_up) {
            keep(player, values, clock_ns);
        }
    }
    if (count > 0 && subject->leave != NULL) {
        subject->leave(player->self);
    }
}

void sampling_run(struct player *players, size_t count, unsigned samples, unsigned turns, double clock_ns)
{
    for (size_t i = 0; i < count; i++) {
        prepare(&players[i], samples_of(&players[i], samples));
        unsigned warm_ups = WARM_UPS / at_least_one(players[i].subject->rarity);
        play(&players[i], at_least_one(warm_ups), true, 0);
    }
    for (unsigned turn = 0; turn < turns; turn++) {
        for (size_t i = 0; i < count; i++) {
            struct player *player = &players[(turn + i) % count];
            unsigned all = samples_of(player, samples);
            unsigned before = (unsigned)((uint64_t)all * turn / turns);
            unsigned after = (unsigned)((uint64_t)all * (turn + 1) / turns);
            play(player, after - before, false, clock_ns);
        }
    }
    for (size_t i = 0; i < count; i++) {
        for (int j = 0; j < SUBJECT_VALUES && players[i].series[j].name != NULL; j++) {
            sort(players[i].series[j].values, players[i].series[j].count);
        }
    }
}

void sampling_free(struct player *players, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        for (int j = 0; j < SUBJECT_VALUES; j++) {
            free(players[i].series[j].values);
        }
    }
}
