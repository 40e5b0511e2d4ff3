/* Measuring a group, and what becomes of its series; see group.h. */
#include "group.h"
#include "sampling.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

enum { MAX_PLAYERS = 24, STACK_BYTES = 1 << 20 };

/* --- Which subjects the wanted rows need --------------------------------------------------------------------------------- */

static const char *series_name(const struct row *row)
{
    return row->series != NULL ? row->series : row->name;
}

static bool row_needs(const struct row *row, const char *series)
{
    if (strcmp(series_name(row), series) == 0) {
        return true;
    }
    for (int i = 0; i < ROW_LIMITS && row->limits[i] != NULL; i++) {
        if (strcmp(row->limits[i], series) == 0) {
            return true;
        }
    }
    return false;
}

static bool wanted(const struct group *group, const struct figure *figures, const struct subject *subject)
{
    for (size_t row = 0; row < group->row_count; row++) {
        for (int i = 0; figures[row].wanted && i < SUBJECT_VALUES && subject->names[i] != NULL; i++) {
            if (row_needs(&group->rows[row], subject->names[i])) {
                return true;
            }
        }
    }
    return false;
}

static size_t choose_players(const struct group *group, const struct figure *figures, struct player *players)
{
    size_t count = 0;

    for (int i = 0; group->subjects[i] != NULL && count < MAX_PLAYERS; i++) {
        if (wanted(group, figures, group->subjects[i])) {
            players[count++] = (struct player){.subject = group->subjects[i]};
        }
    }
    return count;
}

/* --- Its core ------------------------------------------------------------------------------------------------------------ */

/* Both CPUs for a group of two, else the one; the library takes what the caller may run on for itself. */
static void settle(const struct place *place, unsigned cpus)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET((size_t)place->cpu, &set);
    if (cpus > 1) {
        CPU_SET((size_t)place->other_cpu, &set);
    }
    sched_setaffinity(0, sizeof set, &set);
}

static int boot(const struct group *group, const struct place *place)
{
    const int cpus[] = {place->cpu, place->other_cpu};

    if (group->no_core) {
        return 0;
    }
    return ant_boot(&(struct ant_config){.machine = place->machine,
                                         .mover = group->mover,
                                         .log = ANT_LOG_ERROR,
                                         .pool_bytes = group->pool_bytes,
                                         .max_processes = group->max_processes,
                                         .stack_bytes = STACK_BYTES,
                                         .warm_threads = group->warm_threads,
                                         .spin_ns = group->spin_ns,
                                         .priority = group->client_priority,
                                         .cpus = cpus,
                                         .cpu_count = group->cpus});
}

/* --- Figures -------------------------------------------------------------------------------------------------------------- */

static const struct series *find_series(const struct player *players, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        for (int j = 0; j < SUBJECT_VALUES && players[i].series[j].name != NULL; j++) {
            if (strcmp(players[i].series[j].name, name) == 0) {
                return &players[i].series[j];
            }
        }
    }
    return NULL;
}

/* From nanoseconds of one operation, or from what was counted. */
static double in_unit(double value, enum unit unit)
{
    switch (unit) {
    case UNIT_US:
        return value / 1e3;
    case UNIT_PER_S:
        return 1e9 / value;
    default:
        return value;
    }
}

/* False: a series that it needs is not there. */
static bool limit_of(const struct row *row, const struct player *players, size_t count, double *limit)
{
    *limit = 0;
    for (int i = 0; i < ROW_LIMITS && row->limits[i] != NULL; i++) {
        const struct series *series = find_series(players, count, row->limits[i]);
        if (series == NULL) {
            return false;
        }
        *limit += quantile(series->values, series->count, 0.5);
    }
    return true;
}

static void fill_in(struct figure *figure, const struct player *players, size_t count)
{
    const struct row *row = figure->row;
    const struct series *ours = find_series(players, count, series_name(row));
    double limit;

    if (ours == NULL || !limit_of(row, players, count, &limit)) {
        fprintf(stderr, "speed: %s is not measured\n", row->name);
        return;
    }
    double median = quantile(ours->values, ours->count, 0.5);
    figure->measured = true;
    figure->samples = ours->count;
    figure->median = in_unit(median, row->unit);
    figure->p99 = in_unit(quantile(ours->values, ours->count, 0.99), row->unit);
    if (limit > 0) {
        figure->limit = in_unit(limit, row->unit);
        bool faster = row->judged == TIMES_AT_LEAST || row->unit == UNIT_PER_S;
        figure->ratio = faster ? limit / median : median / limit;
    }
}

/* Those that this system does not have do not take part; returns how many do. */
static size_t create_players(struct player *players, size_t count, const struct setting *setting)
{
    size_t created = 0;

    for (size_t i = 0; i < count; i++) {
        const struct subject *subject = players[i].subject;
        void *self = subject->create(subject, setting);
        if (self != NULL) {
            players[created++] = (struct player){.subject = subject, .self = self};
        } else {
            fprintf(stderr, "speed: there is no %s here: %s\n", subject->names[0], strerror(errno));
        }
    }
    return created;
}

void group_measure(const struct group *group, const struct place *place, unsigned samples,
                   struct figure *figures)
{
    struct player players[MAX_PLAYERS];
    struct setting setting = {
        .cpu = place->cpu,
        .other_cpu = place->other_cpu,
        .realtime = place->machine == ANT_MACHINE_FIFO,
        .caller_priority = ANT_RT_BASE_DEFAULT + group->client_priority,
        .partner_priority = ANT_RT_BASE_DEFAULT + group->server_priority,
        .stack_bytes = STACK_BYTES,
    };
    size_t count = choose_players(group, figures, players);

    if (count == 0) {
        return;
    }
    if (group->wants_other_cpu && place->other_cpu < 0) {
        fprintf(stderr, "speed: %s is not measured: there is one CPU only\n", group->rows[0].name);
        return;
    }
    settle(place, group->cpus);
    int error = boot(group, place);
    if (error != 0) {
        fprintf(stderr, "speed: %s and what belongs to it is not measured: no core boots: %s\n",
                group->rows[0].name, ant_strerror(error));
        return;
    }
    count = create_players(players, count, &setting);
    sampling_run(players, count, samples, group->turns != 0 ? group->turns : TURNS, place->clock_ns);
    for (size_t i = count; i-- > 0;) {
        players[i].subject->destroy(players[i].self);
    }
    if (!group->no_core) {
        ant_shutdown(NULL);
    }
    for (size_t i = 0; i < group->row_count; i++) {
        if (figures[i].wanted) {
            fill_in(&figures[i], players, count);
        }
    }
    sampling_free(players, count);
}

/* --- What is said of a row ------------------------------------------------------------------------------------------------ */

double figure_judged(const struct figure *figure)
{
    enum judged judged = figure->row->judged;

    return judged == FIGURE_AT_MOST || judged == FIGURE_AT_LEAST ? figure->median : figure->ratio;
}

bool figure_holds(const struct figure *figure)
{
    const struct row *row = figure->row;
    bool at_least = row->judged == TIMES_AT_LEAST || row->judged == FIGURE_AT_LEAST;
    double value = figure_judged(figure);

    return figure->measured && (at_least ? value >= row->target : value <= row->target);
}

void row_limit_name(const struct row *row, char *text, size_t bytes)
{
    snprintf(text, bytes, "%s%s%s", row->limits[0] != NULL ? row->limits[0] : "",
             row->limits[1] != NULL ? " + " : "", row->limits[1] != NULL ? row->limits[1] : "");
}

const char *unit_name(enum unit unit)
{
    static const char *const names[] = {"ns", "us", "requests/s", "bytes"};

    return names[unit];
}
