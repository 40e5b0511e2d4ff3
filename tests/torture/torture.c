/*
 * Torture on the real clock: many processes, every mover, swaps, kills, crashes, hangs, delays at marked points; nothing may be
 * lost, doubled, reordered, leaked. See torture.h, or: torture --help.
 *
 * ctest: machines=fifo,other movers=strict,strict-mremap,flat,copy
 */
#include "torture.h"

#include "ica/sanitizer.h"

#include <getopt.h>
#include <malloc.h>
#include <time.h>
#include <unistd.h>

_Atomic uint64_t tallies[TALLIES];

static const char usage[] =
    "usage: torture [OPTION ...]\n"
    "  --minutes M   for so long; default 1 (0.2 is allowed)\n"
    "  --seconds S   likewise\n"
    "  --round S     seconds of a round; default 3\n"
    "  --machine X   fifo or other; default: in turns where fifo is permitted, else other (environment: ANT_MACHINE)\n"
    "  --mover X     strict, strict-mremap, flat or copy; default: in turns, those that run here (environment: ANT_MOVER)\n"
    "  --seed S      what is drawn for the rounds; default: the time\n"
    "  --no-contain  faults are not contained, in no round\n"
    "  --verbose     a line for each round\n";

static struct {
    double seconds, round_seconds;
    uint64_t seed;
    const char *machine, *mover;
    bool contain, verbose;
} options = {.seconds = 60, .round_seconds = 3, .contain = true};

/* --- What is printed at the end ---------------------------------------------------------------------------------------------- */

static const char *const tally_names[TALLIES] = {
    [T_ROUNDS] = "rounds",
    [T_REQUESTS] = "requests",
    [T_ANSWERED] = "  answered by a server",
    [T_DROPPED] = "  answered by the core",
    [T_WITHDRAWN] = "  withdrawn",
    [T_TWICE] = "  served again after a death",
    [T_DIRECT] = "  taken on the thread of a client",
    [T_SWAPS] = "swaps",
    [T_COMMITTED] = "  committed",
    [T_CANCELLED] = "  rolled back: cancelled",
    [T_TIMED_OUT] = "  rolled back: time limit",
    [T_OWNER_DEAD] = "  rolled back: new server died",
    [T_START_ERROR] = "  rolled back: start failed",
    [T_SERVER_GONE] = "  old server had ended",
    [T_OTHER_ERROR] = "  other errors",
    [T_RESTARTS] = "  restarts of the dead",
    [T_TRUSTED] = "  ... with their state",
    [T_FORCED] = "  with force",
    [T_ABANDONED] = "  new servers abandoned",
    [T_KILLS_CLIENT] = "kills of clients",
    [T_KILLS_SERVER] = "kills of servers",
    [T_KILLS_DRIVER] = "kills of drivers",
    [T_KILLS_REQUESTER] = "kills of requesters of swaps",
    [T_KILLS_OTHER] = "kills of others",
    [T_STOPS] = "stops",
    [T_CRASHES] = "crashes, contained",
    [T_HANGS] = "hangs",
    [T_DEATHS_TOLD] = "deaths told by monitors",
    [T_CHANGES_TOLD] = "other changes told by monitors",
    [T_SERVED_AGAIN] = "servers ended and created again",
    [T_COME_AND_GONE] = "processes that came and went",
};

static void print_table(double seconds)
{
    uint64_t kills = 0;

    for (unsigned i = 0; i < TALLIES; i++) {
        printf("%-34s %12" PRIu64 "\n", tally_names[i], atomic_load(&tallies[i]));
        kills += i >= T_KILLS_CLIENT && i <= T_KILLS_OTHER ? atomic_load(&tallies[i]) : 0;
    }
    host_print_growth();
    printf("torture %.1f min: requests %" PRIu64 " swaps %" PRIu64 " kills %" PRIu64 " violations %u\n",
           seconds / 60, atomic_load(&tallies[T_REQUESTS]), atomic_load(&tallies[T_SWAPS]), kills,
           atomic_load(&stress_record.count));
}

/* --- Options ------------------------------------------------------------------------------------------------------------------ */

static void read_options(int argc, char **argv)
{
    static const struct option known[] = {{"minutes", 1, NULL, 'm'},    {"seconds", 1, NULL, 's'},
                                          {"round", 1, NULL, 'r'},      {"machine", 1, NULL, 'M'},
                                          {"mover", 1, NULL, 'V'},      {"seed", 1, NULL, 'S'},
                                          {"no-contain", 0, NULL, 'n'}, {"verbose", 0, NULL, 'v'},
                                          {"help", 0, NULL, 'h'},       {0}};
    int letter;

    options.seed = (uint64_t)time(NULL);
    options.machine = getenv("ANT_MACHINE");
    options.mover = getenv("ANT_MOVER");
    while ((letter = getopt_long(argc, argv, "", known, NULL)) != -1) {
        switch (letter) {
        case 'm':
            options.seconds = 60 * strtod(optarg, NULL);
            break;
        case 's':
            options.seconds = strtod(optarg, NULL);
            break;
        case 'r':
            options.round_seconds = strtod(optarg, NULL);
            break;
        case 'M':
            options.machine = optarg;
            break;
        case 'V':
            options.mover = optarg;
            break;
        case 'S':
            options.seed = strtoull(optarg, NULL, 0);
            break;
        case 'n':
            options.contain = false;
            break;
        case 'v':
            options.verbose = true;
            break;
        default:
            fputs(usage, letter == 'h' ? stdout : stderr);
            exit(letter == 'h' ? 0 : 2);
        }
    }
}

/* The one that was asked for, or the round's turn. */
static enum ant_machine machine_of(uint64_t round)
{
    const char *name = options.machine;

    if (name == NULL || strcmp(name, "auto") == 0) {
        bool only_other = antk_under_asan() || antk_under_tsan() || geteuid() != 0;
        return only_other || round / 4 % 2 == 0 ? ANT_MACHINE_OTHER : ANT_MACHINE_FIFO;
    }
    return strcmp(name, "fifo") == 0 ? ANT_MACHINE_FIFO : ANT_MACHINE_OTHER;
}

static const enum ant_mover movers[] = {ANT_MOVER_STRICT, ANT_MOVER_STRICT_MREMAP, ANT_MOVER_FLAT,
                                        ANT_MOVER_COPY};
static const char *const mover_names[] = {"strict", "strict-mremap", "flat", "copy"};

static enum ant_mover mover_of(uint64_t round)
{
    for (unsigned i = 0; options.mover != NULL && i < 4; i++) {
        if (strcmp(options.mover, mover_names[i]) == 0) {
            return movers[i];
        }
    }
    return antk_under_tsan() ? movers[2 + round % 2] : movers[round % 4];
}

/* --- Main --------------------------------------------------------------------------------------------------------------------- */

static double now_s(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* The first boot makes a thread that stays; what it makes is no leak. */
static void warm_up(void)
{
    STRESS_OK(ant_boot(&(struct ant_config){.machine = ANT_MACHINE_OTHER, .log = ANT_LOG_QUIET}));
    STRESS_OK(ant_shutdown(NULL));
}

int main(int argc, char **argv)
{
    uint64_t random;
    double begin_s = now_s(), end_s;
    uint32_t run = 0;

    read_options(argc, argv);
    mallopt(M_ARENA_MAX, 4); /* arenas would look like a leak of addresses */
    host_catch_signals();
    warm_up();
    host_watch();
    random = stress_mix(options.seed);
    end_s = begin_s + options.seconds;
    for (uint64_t round = 0; now_s() < end_s && atomic_load(&stress_record.count) == 0; round++) {
        double left_s = end_s - now_s();
        bool contain = options.contain && !antk_under_tsan() && stress_below(&random, 4) != 0;
        int error = round_run(stress_random(&random), machine_of(round), mover_of(round), contain,
                              left_s < options.round_seconds ? left_s : options.round_seconds);
        if (options.verbose) {
            fprintf(stderr, "%s\n", round_now.text);
        }
        run += error == 0;
        if (error == 77 && round >= 8 && run == 0) {
            printf("skipped: this machine or mover does not run here\n");
            return 77;
        }
        host_check_growth(run);
    }
    host_print_violations();
    print_table(now_s() - begin_s);
    return atomic_load(&stress_record.count) == 0 && run > 0 ? 0 : 1;
}
