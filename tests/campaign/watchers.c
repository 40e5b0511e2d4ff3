/*
 * The highest and the lowest priority: the reaper, which wakes at fixed times and says how late, and carries out what was put
 * off; and the idler, which computes whenever nobody else does.
 */
#include "run.h"

int work(uint32_t actor, uint64_t work_ns, int priority)
{
    if (lent_priority() > priority)
        priority = lent_priority();
    uint64_t from_ns = ant_now();
    int rc = ant_work(work_ns);
    record_add(HISTORY_WORKED, actor)->worked =
        (struct history_worked){from_ns, rc == 0 ? work_ns : 0, priority, 0};
    return rc;
}

int reaper_main(void *unused)
{
    (void)unused;
    uint64_t tick_ns = ant_now();
    for (;;) {
        uint64_t due_ns = faults_next_ns();
        uint64_t now_ns = ant_now();
        while (tick_ns <= now_ns)
            tick_ns += run.plan->tick_ns;
        uint64_t wanted_ns = due_ns < tick_ns ? due_ns : tick_ns;
        if (wanted_ns < now_ns)
            wanted_ns = now_ns;
        int rc = ant_sleep(wanted_ns);
        record_add(HISTORY_LATE, 0)->late.wanted_ns = wanted_ns;
        if (rc != 0)
            return 0;
        faults_due();
    }
}

int idler_main(void *unused)
{
    (void)unused;
    uint64_t chunk_ns = 5 * US;
    for (;;) {
        uint64_t from_ns = ant_now();
        if (work(0, chunk_ns, ANT_PRIORITY_MIN) != 0)
            return 0;
        bool disturbed = ant_now() - from_ns != chunk_ns;
        chunk_ns = disturbed ? 5 * US : chunk_ns < MS ? 2 * chunk_ns : chunk_ns;
    }
}
