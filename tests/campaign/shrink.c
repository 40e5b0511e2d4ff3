/* Shrinking: parts of a plan are left out, one after another, as long as what is left still breaks a promise. */
#include "shrink.h"

#include "worker.h"

#include <string.h>
#include <time.h>

#define RUNS_MAX 300u
#define WALL_MAX_S 120 /* a run that hangs takes its time */

struct shrinking {
    struct plan *plan;
    uint32_t *keep; /* the faults' numbers in the whole plan */
    struct history_verdict *verdict;
    uint32_t runs;
    time_t until;
};

/* Do two texts say the same of other numbers? */
static bool alike(const char *one, const char *other)
{
    for (;; one++, other++) {
        one += strspn(one, "0123456789");
        other += strspn(other, "0123456789");
        if (*one != *other || *one == 0)
            return *one == *other;
    }
}

/* Keeps the smaller plan if that breaks the same promise in the same way. */
static bool accept(struct shrinking *s, const struct plan *smaller)
{
    struct history_verdict verdict;
    if (s->runs++ >= RUNS_MAX || time(NULL) > s->until)
        return false;
    worker_try(smaller, -1, &verdict);
    if (verdict.violations == 0 || !alike(verdict.text, s->verdict->text))
        return false;
    *s->plan = *smaller;
    *s->verdict = verdict;
    return true;
}

static bool without_faults(struct shrinking *s, uint32_t first, uint32_t count)
{
    struct plan smaller = *s->plan;
    for (uint32_t i = first; i + count < smaller.fault_count; i++)
        smaller.faults[i] = smaller.faults[i + count];
    smaller.fault_count -= count;
    if (!accept(s, &smaller))
        return false;
    for (uint32_t i = first; i < smaller.fault_count; i++)
        s->keep[i] = s->keep[i + count];
    return true;
}

static bool fewer_faults(struct shrinking *s)
{
    bool any = false;
    for (uint32_t count = s->plan->fault_count / 2; count > 0; count /= 2)
        for (uint32_t first = 0; first + count <= s->plan->fault_count;)
            if (without_faults(s, first, count))
                any = true;
            else
                first += count;
    return any;
}

/* One number of the workload, as small as it can be. */
static bool less(struct shrinking *s, uint32_t *number, uint32_t least)
{
    bool any = false;
    for (uint32_t step = (*number - least + 1) / 2; step > 0;) {
        struct plan smaller = *s->plan;
        uint32_t *to_change =
            (uint32_t *)(void *)((char *)&smaller + ((char *)number - (char *)s->plan));
        *to_change -= step;
        if (accept(s, &smaller))
            any = true;
        else if (step == 1)
            break;
        step = (*number - least + 1) / 2 < step ? (*number - least + 1) / 2 : (step + 1) / 2;
    }
    return any;
}

uint32_t shrink(struct plan *plan, uint32_t *keep, struct history_verdict *verdict)
{
    struct shrinking s = {plan, keep, verdict, 0, time(NULL) + WALL_MAX_S};
    for (uint32_t i = 0; i < plan->fault_count; i++)
        keep[i] = i;
    worker_try(plan, -1, verdict);
    if (verdict->violations == 0)
        return 1;
    bool smaller = true;
    while (smaller && s.runs < RUNS_MAX && time(NULL) <= s.until) {
        smaller = fewer_faults(&s);
        smaller = less(&s, &plan->clients, 1) || smaller;
        smaller = less(&s, &plan->requests, 1) || smaller;
        smaller = less(&s, &plan->swaps, 0) || smaller;
    }
    return s.runs;
}
