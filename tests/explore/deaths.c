/* Those who bring death to the exploration, and who mends it. */
#include "book.h"

#include <errno.h>
#include <string.h>

/* ---- the killer ---- */

static ant_pid pid_of(enum victim victim)
{
    return victim == VICTIM_CLIENT    ? book.client[0]
           : victim == VICTIM_SWAPPER ? book.swapper[0]
                                      : book.server;
}

int killer_main(void *unused)
{
    (void)unused;
    const struct killer_plan *plan = &book.scenario->killer;
    for (uint32_t i = 0; i < plan->kills; i++) {
        if (plan->wait_ns[i])
            ant_sleep(ant_now() + plan->wait_ns[i]);
        int rc = ant_kill(pid_of(plan->victim[i]));
        CHECK(rc == 0 || rc == -ESRCH, "nobody can be killed: %s", ant_strerror(rc));
    }
    return 0;
}

/* ---- the canceller ---- */

int canceller_main(void *unused)
{
    (void)unused;
    for (uint32_t i = 0; i < book.scenario->cancels; i++) {
        int rc = ant_swap_cancel(FN_SERVER);
        CHECK(rc == 0 || rc == -ENOENT || rc == -EALREADY || (rc == -ESRCH && book.stopping),
              "a swap cannot be cancelled: %s", ant_strerror(rc));
    }
    return 0;
}

/* ---- the replacer ---- */

/* False: the server has ended, or is about to. What else goes wrong is tried again: the dead are told of again. */
static bool replace(void)
{
    struct ant_swap_options options = {.trust_state = true};
    int rc = ant_swap(FN_SERVER, server_program(SWAP_PLAIN), &options, NULL);
    if (rc == 0)
        return true;
    if (book.stopping && (rc == -ESRCH || rc == -ESHUTDOWN))
        return false;
    CHECK((rc == -EBUSY && book.scenario->swappers > 0) ||
              (rc == -ECANCELED && book.scenario->cancels > 0),
          "the dead cannot be replaced: %s", ant_strerror(rc));
    ant_sleep(ant_now() + ANT_NS_PER_US);
    return true;
}

/* The next change of the server; 0: there is nothing more to wait for. */
static enum ant_change await_change(struct ant_request *rq)
{
    struct ant_message message;
    struct ant_monitor_report report;
    int rc = ant_monitor(rq, FN_SERVER);
    CHECK(rc == 0 || (rc == -ESRCH && book.stopping), "no monitor: %s", ant_strerror(rc));
    if (rc != 0)
        return 0;
    rc = ant_receive(&message, ANT_FOREVER);
    CHECK(rc == 0, "a monitor waits in vain: %s", ant_strerror(rc));
    if (rc != 0 || message.kind == ANT_STOP) {
        rc = ant_cancel(rq);
        CHECK(rc == 0 || rc == -EALREADY, "a monitor cannot be withdrawn: %s", ant_strerror(rc));
        return 0;
    }
    CHECK(message.kind == ANT_RESULT && message.request == rq, "a monitor gets something else");
    memcpy(&report, rq->payload, sizeof report);
    CHECK(report.pid == book.server, "a monitor is told of another");
    return report.change;
}

int replacer_main(void *unused)
{
    (void)unused;
    struct ant_request *rq;
    int rc = ant_request_new(FN_SERVER, &rq);
    CHECK(rc == 0, "no request: %s", ant_strerror(rc));
    if (rc != 0)
        return 1;
    for (enum ant_change change; (change = await_change(rq)) != 0 && change != ANT_CHANGE_ENDED;)
        if (change == ANT_CHANGE_DIED && !replace())
            break;
    return 0; /* the monitor goes with it, wherever it is */
}
