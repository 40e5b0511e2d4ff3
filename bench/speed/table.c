/* The table for people. */
#include "figures.h"

#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

/* The first line of a file, without its end. */
static void read_line(const char *path, char *text, int bytes)
{
    FILE *file = fopen(path, "re");

    if (file == NULL || fgets(text, bytes, file) == NULL) {
        snprintf(text, (size_t)bytes, "unknown");
    }
    text[strcspn(text, "\n")] = '\0';
    if (file != NULL) {
        fclose(file);
    }
}

/* Real-time threads may have so much of each period (-1: all of it); a measurement on fifo has to say so. */
static void print_throttling(void)
{
    char runtime[32], period[32];

    read_line("/proc/sys/kernel/sched_rt_runtime_us", runtime, sizeof runtime);
    read_line("/proc/sys/kernel/sched_rt_period_us", period, sizeof period);
    printf("real-time throttling: %s of %s us\n", runtime, period);
}

static void print_heading(const struct place *place)
{
    struct utsname kernel;

    uname(&kernel);
    printf("machine %s: %s\n", place->machine == ANT_MACHINE_FIFO ? "fifo" : "other", place->reason);
    printf("%s %s, CPU %d; a look at the clock takes %.0f ns and is taken off\n", kernel.sysname,
           kernel.release, place->cpu, place->clock_ns);
    print_throttling();
    printf("\n%-28s %10s %10s  %-10s  %-24s %10s %7s %9s\n", "", "median", "p99", "", "limit", "",
           "ratio", "target");
}

/* Three or four digits that mean something. */
static void print_number(int width, double value)
{
    printf(" %*.*f", width, value < 10 ? 3 : value < 100 ? 2 : value < 1000 ? 1 : 0, value);
}

static void print_target(const struct figure *it, const struct place *place)
{
    enum judged judged = it->row->judged;
    char text[32];

    if (judged == JUDGED_NOT) {
        return;
    }
    snprintf(text, sizeof text, "%s %g",
             judged == TIMES_AT_LEAST || judged == FIGURE_AT_LEAST ? ">=" : "<=", it->row->target);
    printf(" %9s%s", text,
           place->machine != ANT_MACHINE_FIFO ? "  not judged on other"
           : figure_holds(it)                 ? ""
                                              : "  DOES NOT HOLD");
}

static void print_row(const struct figure *it, const struct place *place)
{
    char limit[64];

    printf("%-28s", it->row->name);
    print_number(10, it->median);
    print_number(10, it->p99);
    if (it->row->limits[0] != NULL) {
        row_limit_name(it->row, limit, sizeof limit);
        printf("  %-10s  %-24s", unit_name(it->row->unit), limit);
        print_number(10, it->limit);
        printf(" %7.2f", it->ratio);
    } else if (it->row->judged != JUDGED_NOT) {
        printf("  %-10s  %-24s %10s %7s", unit_name(it->row->unit), "", "", "");
    } else {
        printf("  %s", unit_name(it->row->unit));
    }
    print_target(it, place);
    putchar('\n');
}

void figures_table(const struct figures *figures, const struct place *place)
{
    const struct group *group = NULL;

    print_heading(place);
    for (size_t at = 0; at < figures->count; at++) {
        const struct figure *it = &figures->at[at];
        if (!it->wanted || !it->measured) {
            continue;
        }
        if (group != NULL && group != it->group) {
            putchar('\n');
        }
        group = it->group;
        print_row(it, place);
    }
}
