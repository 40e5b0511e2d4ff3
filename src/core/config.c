/* A core's configuration: defaults, the environment, limits. */
#include "core/config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#define MIB ((size_t)1 << 20)
#define CHUNK (2 * MIB)
#define PCT_DEPTH_MAX 100

/* A choice from the environment, where the config leaves it open. Not one of the names: -EINVAL. */
static int choose(const char *variable, const char *const names[], int count, bool quiet, int *choice)
{
    const char *value = getenv(variable);
    if (*choice != 0 || !value || !*value)
        return 0;
    for (int i = 0; i < count; i++) {
        if (names[i] && strcasecmp(value, names[i]) == 0) {
            *choice = i;
            return 0;
        }
    }
    if (quiet)
        return -EINVAL;
    fprintf(stderr, "ant: %s=%s is not one of:", variable, value);
    for (int i = 0; i < count; i++)
        if (names[i])
            fprintf(stderr, " %s", names[i]);
    fputc('\n', stderr);
    return -EINVAL;
}

static int read_environment(struct ant_config *c)
{
    static const char *const machines[] = {"auto", "fifo", "other", "virtual"};
    static const char *const movers[] = {"auto", "strict", "strict-mremap", "flat", "copy"};
    static const char *const levels[] = {NULL, "quiet", "error", "warning", "info", "debug"};
    int machine = (int)c->machine, mover = (int)c->mover, level = (int)c->log;
    int rc = choose("ANT_LOG", levels, 6, false, &level);
    bool quiet = level == ANT_LOG_QUIET;
    if (rc == 0)
        rc = choose("ANT_MACHINE", machines, 4, quiet, &machine);
    if (rc == 0)
        rc = choose("ANT_MOVER", movers, 5, quiet, &mover);
    c->machine = (enum ant_machine)machine;
    c->mover = (enum ant_mover)mover;
    c->log = (enum ant_log_level)level;
    return rc;
}

static bool costs_ok(const struct ant_costs *costs)
{
    uint64_t most_ns = costs->create_ns;
    for (int step = 1; step <= 12; step++)
        most_ns = costs->step_ns[step] > most_ns ? costs->step_ns[step] : most_ns;
    most_ns = costs->switch_ns > most_ns ? costs->switch_ns : most_ns;
    most_ns = costs->remap_page_ns > most_ns ? costs->remap_page_ns : most_ns;
    return costs->step_ns[0] == 0 && most_ns <= ANT_COST_MAX_NS;
}

#define DEFAULT(field, value) ((field) = (field) ? (field) : (value))

/* The name of a field whose value is not allowed, or NULL. */
static const char *wrong_field(const struct ant_config *c)
{
    if (c->machine > ANT_MACHINE_VIRTUAL)
        return "machine";
    if (c->mover > ANT_MOVER_COPY)
        return "mover";
    if (c->log > ANT_LOG_DEBUG)
        return "log";
    if (c->pool_bytes < CHUNK || c->pool_bytes > MIB * MIB)
        return "pool_bytes";
    if (c->max_processes < 2 || c->max_processes > 65535)
        return "max_processes";
    if (!antk_process_options_ok(ANT_PRIORITY_MIN, c->stack_bytes))
        return "stack_bytes";
    if (c->priority < ANT_PRIORITY_MIN || c->priority > ANT_PRIORITY_MAX)
        return "priority";
    if (c->rt_base < 1 || c->rt_base > 38)
        return "rt_base";
    if (c->spin_ns < 0 || c->spin_ns > (int64_t)ANT_NS_PER_MS)
        return "spin_ns";
    if (c->pct_depth > PCT_DEPTH_MAX || (c->pct_depth > 0 && c->machine != ANT_MACHINE_VIRTUAL))
        return "pct_depth";
    if (c->costs && !costs_ok(c->costs))
        return "costs";
    return c->cpu_count > 64 || (c->cpu_count > 0 && !c->cpus) ? "cpus" : NULL;
}

int antk_config_fill(const struct ant_config *given, struct ant_config *c, const char **wrong)
{
    static const struct ant_config defaults;
    *c = given ? *given : defaults;
    *wrong = NULL;
    int rc = read_environment(c);
    if (rc != 0)
        return rc;
    DEFAULT(c->log, ANT_LOG_WARNING);
    DEFAULT(c->pool_bytes, 64 * MIB);
    DEFAULT(c->max_processes, 1024);
    DEFAULT(c->stack_bytes, MIB);
    DEFAULT(c->priority, ANT_PRIORITY_MIN);
    DEFAULT(c->rt_base, ANT_RT_BASE_DEFAULT);
    DEFAULT(c->pct_steps, 1000);
    DEFAULT(c->shutdown_timeout_ns, (int64_t)(5 * ANT_NS_PER_S));
    *wrong = wrong_field(c);
    c->pool_bytes = (c->pool_bytes + CHUNK - 1) / CHUNK * CHUNK;
    return *wrong ? -EINVAL : 0;
}
