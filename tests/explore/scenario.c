/* Drawing a scenario; see run.h. */
#include "draw.h"
#include "run.h"

#include <stdio.h>

static void draw_client(uint64_t *random, struct client_plan *plan)
{
    plan->requests = 1 + draw_below(random, REQUESTS_MAX);
    plan->leaves = draw_below(random, 6) == 0;
    for (uint32_t i = 0; i < plan->requests; i++) {
        plan->request[i] = (struct request_plan){
            .operation = (enum operation)draw_below(random, OPERATIONS),
            .way = (enum way)draw_below(random, WAYS),
            .data = draw_below(random, 3) == 0,
            .repeatable = draw_below(random, 2) == 0,
            .timeout_ns = 1000 * (int64_t)draw_below(random, 12),
        };
    }
}

static void draw_swapper(uint64_t *random, struct swapper_plan *plan)
{
    plan->swaps = 1 + draw_below(random, SWAPS_MAX);
    for (uint32_t i = 0; i < plan->swaps; i++) {
        plan->swap[i] = (enum swap_way)draw_below(random, SWAP_WAYS);
        plan->trust[i] = draw_below(random, 2) == 0;
    }
}

/* Half of the scenarios know no death. */
static void draw_deaths(uint64_t *random, struct scenario *s)
{
    bool kills = draw_below(random, 2) == 0;
    s->killer.kills = kills ? 1 + draw_below(random, KILLS_MAX) : 0;
    for (uint32_t i = 0; i < s->killer.kills; i++) {
        enum victim victim = (enum victim)draw_below(random, 2 * VICTIMS);
        s->killer.victim[i] = victim < VICTIMS ? victim : VICTIM_SERVER;
        s->killer.wait_ns[i] = draw_below(random, 2) * draw_below(random, 20) * ANT_NS_PER_US;
    }
    s->watchdog_ns = draw_below(random, 8) == 0 ? 1000 * (1 + (int64_t)draw_below(random, 8)) : 0;
    s->on_death = draw_below(random, 4) == 0 ? ANT_DEATH_FAIL : ANT_DEATH_WAIT;
    s->mortal = kills || s->watchdog_ns != 0;
    for (uint32_t i = 0; i < s->swappers; i++)
        for (uint32_t j = 0; j < s->swapper[i].swaps; j++)
            s->mortal |= s->swapper[i].swap[j] == SWAP_FORCES;
}

/* Half of the scenarios know direct calls; they are not made with a time limit. */
static void draw_direct(uint64_t *random, struct scenario *s)
{
    s->direct = draw_below(random, 2) == 0;
    s->asks_and_waits = s->direct && draw_below(random, 2) == 0;
    for (uint32_t i = 0; i < s->clients && s->direct; i++)
        for (uint32_t j = 0; j < s->client[i].requests; j++)
            if (s->client[i].request[j].way == WAY_CALL_IN_TIME && draw_below(random, 3) != 0)
                s->client[i].request[j].way = WAY_CALL;
}

void scenario_draw(struct scenario *s, uint64_t number)
{
    uint64_t random = number;
    *s = (struct scenario){0};
    s->clients = 1 + draw_below(&random, CLIENTS_MAX);
    for (uint32_t i = 0; i < s->clients; i++)
        draw_client(&random, &s->client[i]);
    s->swappers = draw_below(&random, SWAPPERS_MAX + 1);
    for (uint32_t i = 0; i < s->swappers; i++)
        draw_swapper(&random, &s->swapper[i]);
    draw_deaths(&random, s);
    s->cancels = s->swappers > 0 && draw_below(&random, 4) == 0 ? 1 + draw_below(&random, 2) : 0;
    s->queue_limit = draw_below(&random, 4) == 0 ? 1 + draw_below(&random, 2) : 0;
    s->driver_work_ns = draw_below(&random, 2) * 2 * ANT_NS_PER_US;
    s->driver_wait_ns = draw_below(&random, 2) * 3 * ANT_NS_PER_US;
    s->stopper = draw_below(&random, 4) == 0;
    s->bystander = draw_below(&random, 4) == 0;
    draw_direct(&random, s);
}

static void print_request(const struct request_plan *plan)
{
    static const char *const operations[OPERATIONS] = {"answer", "work", "forward"};
    static const char *const ways[WAYS] = {"call", "call in", "send", "cancel"};
    printf(" %s", ways[plan->way]);
    if (plan->way == WAY_CALL_IN_TIME)
        printf(" %lld ns", (long long)plan->timeout_ns);
    printf(" (%s%s%s)", operations[plan->operation], plan->data ? ", data" : "",
           plan->repeatable ? ", repeatable" : "");
}

static void print_deaths(const struct scenario *s)
{
    static const char *const victims[VICTIMS] = {"server", "client 0", "swapper 0"};
    if (s->killer.kills > 0)
        printf("killer:");
    for (uint32_t i = 0; i < s->killer.kills; i++)
        printf(" after %llu ns %s%s", (unsigned long long)s->killer.wait_ns[i],
               victims[s->killer.victim[i]], i + 1 < s->killer.kills ? "," : "\n");
    if (s->mortal)
        printf("a replacer; requests %s; watchdog %lld ns\n",
               s->on_death == ANT_DEATH_FAIL ? "fail" : "wait", (long long)s->watchdog_ns);
    if (s->cancels > 0)
        printf("canceller: %u times\n", s->cancels);
}

void scenario_print(const struct scenario *s)
{
    static const char *const swaps[SWAP_WAYS] = {
        "plain", "works", "transforms", "fails",  "asks and fails",
        "exits", "hangs", "hurries",    "forces",
    };
    for (uint32_t i = 0; i < s->clients; i++) {
        printf("client %u:", i);
        for (uint32_t j = 0; j < s->client[i].requests; j++)
            print_request(&s->client[i].request[j]);
        printf("%s\n", s->client[i].leaves ? " leaves" : "");
    }
    for (uint32_t i = 0; i < s->swappers; i++) {
        printf("swapper %u:", i);
        for (uint32_t j = 0; j < s->swapper[i].swaps; j++)
            printf(" %s%s", swaps[s->swapper[i].swap[j]], s->swapper[i].trust[j] ? " (trusts)" : "");
        printf("\n");
    }
    print_deaths(s);
    printf("driver: %llu ns of work, %llu of waiting; queue limit %u%s%s%s%s\n",
           (unsigned long long)s->driver_work_ns, (unsigned long long)s->driver_wait_ns,
           s->queue_limit, s->stopper ? "; a stopper" : "", s->bystander ? "; a bystander" : "",
           s->direct ? "; direct calls" : "", s->asks_and_waits ? ", within calls" : "");
}
