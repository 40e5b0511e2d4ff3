/*
 * campaign: faults of every kind, at every step and every core call, on the virtual machine.
 *
 *     campaign [--faults N] [--seed S] [--jobs J] [--show N]
 *     campaign --replay SEED [--shrink] [--keep I,J,...] [--clients N] [--requests N] [--swaps N]
 *
 * Exit status 1 if a promise was broken.
 */
#include "report.h"
#include "shrink.h"
#include "worker.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct options {
    uint64_t faults, seed, replay;
    uint32_t jobs;
    uint32_t shown; /* violations that are shrunk and shown */
    bool replays;
    bool shrinks;                 /* what is replayed, first */
    const char *keep;             /* NULL: all faults */
    int clients, requests, swaps; /* below 0: as drawn */
};

static void usage(void)
{
    fputs("usage: campaign [--faults N] [--seed S] [--jobs J] [--show N]\n"
          "       campaign --replay SEED [--shrink] [--keep I,J,...] [--clients N] [--requests N] [--swaps N]\n",
          stderr);
    exit(2);
}

static struct options parse(int count, char **arguments)
{
    static const struct option known[] = {{"faults", required_argument, NULL, 'f'},
                                          {"seed", required_argument, NULL, 's'},
                                          {"jobs", required_argument, NULL, 'j'},
                                          {"shrink", no_argument, NULL, 'm'},
                                          {"show", required_argument, NULL, 'n'},
                                          {"replay", required_argument, NULL, 'r'},
                                          {"keep", required_argument, NULL, 'k'},
                                          {"clients", required_argument, NULL, 'c'},
                                          {"requests", required_argument, NULL, 'q'},
                                          {"swaps", required_argument, NULL, 'w'},
                                          {0}};
    struct options o = {
        .faults = 20000, .seed = 1, .shown = 3, .clients = -1, .requests = -1, .swaps = -1};
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    o.jobs = cpus > 0 ? (uint32_t)cpus : 1;
    for (int letter; (letter = getopt_long(count, arguments, "", known, NULL)) != -1;) {
        uint64_t number = optarg ? strtoull(optarg, NULL, 10) : 0;
        switch (letter) {
        case 'f':
            o.faults = number;
            break;
        case 's':
            o.seed = number;
            break;
        case 'j':
            o.jobs = number > 0 ? (uint32_t)number : 1;
            break;
        case 'r':
            o.replays = true;
            o.replay = number;
            break;
        case 'k':
            o.keep = optarg;
            break;
        case 'c':
            o.clients = (int)number;
            break;
        case 'q':
            o.requests = (int)number;
            break;
        case 'w':
            o.swaps = (int)number;
            break;
        case 'm':
            o.shrinks = true;
            break;
        case 'n':
            o.shown = (uint32_t)number;
            break;
        default:
            usage();
        }
    }
    if (optind < count)
        usage();
    return o;
}

/* ---- a violation ---- */

static void show(const struct plan *plan, const struct history_verdict *verdict)
{
    struct history_verdict again;
    plan_print(plan, stdout);
    printf("trace:\n");
    worker_try(plan, STDOUT_FILENO, &again);
    printf("%s\n", verdict->violations > 0 ? verdict->text : "no violation");
}

static void explain(uint64_t seed, const char *text, uint64_t *blamed)
{
    struct history_verdict verdict;
    uint32_t keep[PLAN_FAULTS];
    struct plan plan;
    plan_make(seed, &plan);
    printf("\nviolation with seed %llu: %s\n", (unsigned long long)seed, text);
    uint32_t runs = shrink(&plan, keep, &verdict);
    if (verdict.violations == 0) {
        printf("by itself the run breaks no promise: it depends on the runs before it\n");
        return;
    }
    printf("shrunk in %u runs; repeat: ./dev campaign --replay %llu --clients %u --requests %u --swaps %u --keep '",
           runs, (unsigned long long)seed, plan.clients, plan.requests, plan.swaps);
    for (uint32_t i = 0; i < plan.fault_count; i++) {
        printf("%s%u", i ? "," : "", keep[i]);
        blamed[plan.faults[i].kind]++;
    }
    printf("'\n");
    show(&plan, &verdict);
}

/* ---- the two commands ---- */

static void keep_only(struct plan *plan, const char *list)
{
    uint32_t count = 0;
    char *rest;
    for (; *list; list = *rest ? rest + 1 : rest) {
        unsigned long number = strtoul(list, &rest, 10);
        if (rest == list)
            usage();
        if (number < plan->fault_count && number >= count)
            plan->faults[count++] = plan->faults[number];
    }
    plan->fault_count = count;
}

static int replay(const struct options *o)
{
    struct history_verdict verdict;
    struct plan plan;
    plan_make(o->replay, &plan);
    if (o->keep)
        keep_only(&plan, o->keep);
    plan.clients =
        o->clients > 0 && o->clients <= (int)PLAN_CLIENTS ? (uint32_t)o->clients : plan.clients;
    plan.requests = o->requests >= 0 ? (uint32_t)o->requests : plan.requests;
    plan.swaps = o->swaps >= 0 ? (uint32_t)o->swaps : plan.swaps;
    worker_try(&plan, -1, &verdict);
    if (o->shrinks && verdict.violations > 0)
        explain(o->replay, verdict.text, (uint64_t[HISTORY_FAULTS]){0});
    else
        show(&plan, &verdict);
    return verdict.violations > 0;
}

static int run_all(const struct options *o)
{
    uint64_t blamed[HISTORY_FAULTS] = {0};
    struct timespec from, to;
    struct totals *t = totals_new();
    clock_gettime(CLOCK_MONOTONIC, &from);
    workers_run(t, o->seed, o->faults, o->jobs);
    clock_gettime(CLOCK_MONOTONIC, &to);
    for (uint32_t i = 0; i < t->violations && i < WORKER_VIOLATIONS; i++)
        printf("violation with seed %llu: %s\n", (unsigned long long)t->violation[i].seed,
               t->violation[i].text);
    for (uint32_t i = 0; i < t->violations && i < o->shown; i++)
        explain(t->violation[i].seed, t->violation[i].text, blamed);
    report_print(t, blamed,
                 (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9);
    return t->violations > 0;
}

int main(int count, char **arguments)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    struct options o = parse(count, arguments);
    const char *divisor = getenv("ANT_STRESS_DIVISOR");
    if (divisor && strtoul(divisor, NULL, 10) > 1)
        o.faults = o.faults / strtoul(divisor, NULL, 10) + 1;
    return o.replays ? replay(&o) : run_all(&o);
}
