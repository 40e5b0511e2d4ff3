/* Those who replace and stop the server of the exploration, and who come and go beside it. */
#include "book.h"

#include <errno.h>
#include <stddef.h>

/* ---- the swapper ---- */

static bool is_whole(const struct ant_swap_count *count)
{
    return count->at_notice + count->arrived - count->left == count->handed_over;
}

static int error_of(enum swap_way way)
{
    static const int errors[SWAP_WAYS] = {
        [SWAP_FAILS] = -EIO,
        [SWAP_ASKS_AND_FAILS] = -EIO,
        [SWAP_EXITS] = -EOWNERDEAD,
        [SWAP_HANGS] = -ETIMEDOUT,
    };
    return errors[way];
}

static bool is_explained(int rc, enum swap_way way)
{
    if (rc == error_of(way) || (rc == -ETIMEDOUT && (way == SWAP_HURRIES || way == SWAP_FORCES)))
        return true;
    if (rc == -EBUSY)
        return book.scenario->swappers > 1 || book.scenario->mortal;
    if (way == SWAP_HANGS && rc == -EIO) /* a successor of one that is to stop does not sleep */
        return book.stopping;
    if (rc == -ECANCELED)
        return book.scenario->cancels > 0;
    return rc == -ESRCH && book.stopping;
}

static void swap(enum swap_way way, bool trust)
{
    struct ant_swap_options options = {
        .start_timeout_ns = way == SWAP_HANGS ? 10 * (int64_t)ANT_NS_PER_US : 0,
        .quiesce_timeout_ns = way == SWAP_HURRIES || way == SWAP_FORCES ? 1 : 0,
        .trust_state = trust,
        .force = way == SWAP_FORCES,
    };
    struct ant_swap_report report = {0};
    int rc = ant_swap(FN_SERVER, server_program(way), &options, &report);
    CHECK(is_explained(rc, way), "swap %d: %s", (int)way, ant_strerror(rc));
    if (rc != 0)
        return;
    CHECK(is_whole(&report.queued_requests) && is_whole(&report.queued_results) &&
              is_whole(&report.in_service) && is_whole(&report.outstanding),
          "a swap's report does not add up");
}

int swapper_main(void *arg)
{
    const struct swapper_plan *plan = &book.scenario->swapper[(uintptr_t)arg];
    for (uint32_t i = 0; i < plan->swaps; i++)
        swap(plan->swap[i], plan->trust[i]);
    return 0;
}

/* ---- the stopper ---- */

int stopper_main(void *unused)
{
    (void)unused;
    book.stopping = true;
    int rc = ant_stop(book.server, ANT_FOREVER, NULL);
    CHECK(rc == 0, "the server cannot be stopped: %s", ant_strerror(rc));
    return 0;
}

/* ---- the bystander ---- */

static int fleeting(void *unused)
{
    (void)unused;
    void *area;
    if (ant_ica_alloc(1, &area) != 0)
        return -ENOMEM;
    return 7; /* its area goes with it */
}

static int waiting(void *unused)
{
    (void)unused;
    struct ant_message message;
    int rc = ant_receive(&message, ANT_FOREVER);
    return rc == 0 && message.kind == ANT_STOP ? 8 : rc;
}

static void have_child(int (*entry)(void *), bool stop, int wanted)
{
    ant_pid child;
    int status = 0;
    int rc = ant_process_create(NULL, entry, NULL, &child);
    CHECK(rc == 0, "no process: %s", ant_strerror(rc));
    if (rc != 0)
        return;
    rc = stop ? ant_stop(child, ANT_FOREVER, &status) : ant_wait(child, ANT_FOREVER, &status);
    CHECK(rc == 0 && status == wanted, "a child's end: %s, %d", ant_strerror(rc), status);
}

static void look(void)
{
    struct ant_process_info info;
    struct ant_swap_report report;
    int rc = ant_process_info(book.server, &info);
    CHECK(rc == 0 || (rc == -ESRCH && book.stopping), "the server is not there: %s", ant_strerror(rc));
    rc = ant_swap_last(FN_SERVER, &report);
    CHECK(rc == 0 || rc == -ENOENT || (rc == -ESRCH && book.stopping), "the last swap: %s",
          ant_strerror(rc));
}

int bystander_main(void *unused)
{
    (void)unused;
    have_child(fleeting, false, 7);
    look();
    have_child(waiting, true, 8);
    return 0;
}
