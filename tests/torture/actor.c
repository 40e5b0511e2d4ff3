/*
 * Processes that may be ended by force: when they may be (gentle rounds), and what they must be once they have ended.
 *
 * A section is 0 when closed, odd and never the same again when open, 2 when claimed. So whoever was ended in one that was open,
 * and goes on for a moment, cannot close the section of another that came after.
 */
#include "torture.h"

#define CLAIMED 2u

uint32_t actor_open(_Atomic uint32_t *section)
{
    static _Atomic uint32_t opened;
    uint32_t mine = 0;

    if (!round_now.rough) {
        mine = atomic_fetch_add(&opened, 2) | 1;
        atomic_store(section, mine);
    }
    return mine;
}

void actor_close(_Atomic uint32_t *section, uint32_t opened)
{
    if (round_now.rough || atomic_compare_exchange_strong(section, &opened, 0)) {
        return;
    }
    for (;;) { /* claimed: it is about to be ended, or has been */
        ant_sleep(ant_now() + 100 * ANT_NS_PER_US);
    }
}

bool actor_claim(_Atomic uint32_t *section)
{
    uint32_t now = atomic_load(section);

    return round_now.rough || (now % 2 == 1 && atomic_compare_exchange_strong(section, &now, CLAIMED));
}

void actor_release(_Atomic uint32_t *section)
{
    uint32_t claimed = CLAIMED;

    atomic_compare_exchange_strong(section, &claimed, 0);
}

static const struct {
    const char *name;
    int (*entry)(void *actor);
    int priority;
} kinds[ACTOR_KINDS] = {
    [ACTOR_CLIENT] = {"client", client_main, MODEL_LOW_CLIENT_PRIORITY},
    [ACTOR_SWAPPER] = {"swapper", swapper_main, 45},
    [ACTOR_CANCELLER] = {"canceller", canceller_main, 46},
    [ACTOR_KILLER] = {"killer", killer_main, 50},
    [ACTOR_BREEDER] = {"breeder", breeder_main, MODEL_HIGH_CLIENT_PRIORITY},
    [ACTOR_MENDER] = {"mender", mender_main, 48},
    [ACTOR_WARDEN] = {"warden", warden_main, 49},
};

const char *actor_name(enum actor_kind kind)
{
    return kinds[kind].name;
}

/* The id first: of whoever is created meanwhile the mark does no harm. */
ant_pid actor_harm(struct actor *actor)
{
    ant_pid pid = atomic_load(&actor->pid);
    uint32_t incarnation = atomic_load(&actor->incarnation);

    atomic_store(&actor->harmed[incarnation % HARMED_KEPT], incarnation);
    return pid;
}

bool actor_harmed(const struct actor *actor)
{
    uint32_t incarnation = atomic_load(&actor->incarnation);

    return atomic_load(&actor->harmed[incarnation % HARMED_KEPT]) == incarnation;
}

/* The process says itself which it is: nobody can have a wrong id of whoever is in an open section. */
static int actor_main(void *argument)
{
    struct actor *actor = argument;

    atomic_store(&actor->pid, ant_self());
    return kinds[actor->kind].entry(actor);
}

bool actor_create(struct actor *actor)
{
    struct ant_process_options options = {.name = kinds[actor->kind].name,
                                          .priority = kinds[actor->kind].priority};
    ant_pid pid;

    if (actor->kind == ACTOR_CLIENT && actor->number % 2 == 1) {
        options.priority = MODEL_HIGH_CLIENT_PRIORITY;
    }
    atomic_fetch_add(&actor->incarnation, 1);
    atomic_store(&actor->section, 0);
    int error = ant_process_create(&options, actor_main, actor, &pid);
    STRESS_CHECK(error == 0 || error == -EAGAIN || error == -ENOMEM, "a %s is not created: %s",
                 options.name, ant_strerror(error));
    atomic_store(&actor->pid, error == 0 ? pid : 0);
    return error == 0;
}

bool actor_ended(struct actor *actor, bool wait)
{
    int status = STATUS_DONE;
    ant_pid pid = atomic_load(&actor->pid);

    if (pid == 0) {
        return true;
    }
    int error = ant_wait(pid, wait ? ANT_FOREVER : 0, &status);
    if (error == -ETIMEDOUT) {
        return false;
    }
    STRESS_CHECK(error == 0 || error == -ESRCH, "ant_wait for a %s: %s", actor_name(actor->kind),
                 ant_strerror(error));
    if (status != STATUS_DONE || error != 0) { /* a place that was used again: nobody knows */
        STRESS_CHECK(error != 0 || actor_harmed(actor), "%s %u ended with %d, and nobody has harmed it",
                     actor_name(actor->kind), actor->number, status);
        STRESS_CHECK(error != 0 || status == STATUS_STOPPED || status == -EOWNERDEAD,
                     "%s %u ended with %d", actor_name(actor->kind), actor->number, status);
    }
    return true;
}
