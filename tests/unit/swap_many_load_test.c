/* ctest: machines=virtual,other,real movers=flat */
/*
 * Two servers that call each other, swapped as one under load, again and again: they speak a dialect, which is their version, and none ever hears the
 * other's wrong one; nothing is lost, doubled or forgotten. And three of which one asks the next, that are killed, cancelled and replaced meanwhile.
 * On `virtual` in many orders (docs/machine.md, Exploring).
 */
#include "fixture.h"

#define FN_A 7u
#define FN_B 8u
#define LEAVES 2u

enum {
    OP_LEAF,  /* answers */
    OP_CHAIN, /* asks the other one, in its dialect, and answers */
    OP_HEAR,  /* that question */
    OP_RELAY, /* asks the other one asynchronously, and answers when that has */
};

struct state {
    uint64_t answered;
};

struct answer {
    uint32_t version;
    uint64_t answered; /* by this server, this one included */
};

static struct {
    _Atomic bool over;
    _Atomic uint32_t failing; /* whose next start is to fail; 0: nobody's */
    _Atomic uint64_t asked[2];
    uint32_t rounds;
} run;

static uint32_t other_of(const struct ant_server *self)
{
    return self->function == FN_A ? FN_B : FN_A;
}

static void answer(struct ant_server *self, struct ant_request *rq)
{
    struct state *state = ant_state();
    struct answer *a = (struct answer *)(void *)rq->payload;
    *a = (struct answer){self->program->version, ++state->answered};
    expect_ok(ant_reply(rq, 0));
}

static struct ant_request *question_to(uint32_t function, uint32_t operation, uint64_t cookie)
{
    struct ant_request *rq;
    expect_ok(ant_request_new(function, &rq));
    rq->operation = operation;
    rq->cookie = cookie;
    atomic_fetch_add(&run.asked[function - FN_A], 1);
    return rq;
}

static void request(struct ant_server *self, struct ant_request *rq)
{
    struct ant_request *question;
    ant_work(US(1));
    switch (rq->operation) {
    case OP_CHAIN:
        question = question_to(other_of(self), OP_HEAR, self->program->version);
        expect_ok(ant_call(question, ANT_FOREVER));
        expect(((struct answer *)(void *)question->payload)->version == self->program->version);
        expect_ok(ant_request_free(question));
        break;
    case OP_HEAR:
        expect(rq->cookie == self->program->version);
        break;
    case OP_RELAY:
        expect_ok(ant_send(question_to(other_of(self), OP_LEAF, (uintptr_t)rq)));
        return;
    default:
        break;
    }
    answer(self, rq);
}

static void result(struct ant_server *self, struct ant_request *question)
{
    struct ant_request *rq = (struct ant_request *)(uintptr_t)question->cookie;
    expect_ok(ant_request_free(question));
    answer(self, rq);
}

static int start(struct ant_server *self)
{
    void *area;
    uint32_t fails = self->function;
    if (self->reason != ANT_START_FRESH) {
        ant_work(US(1));
        return atomic_compare_exchange_strong(&run.failing, &fails, 0) ? -EDOM : 0;
    }
    expect_ok(ant_ica_alloc(1, &area));
    *(struct state *)area = (struct state){0};
    return ant_state_set(area);
}

#define SPEAKER                                                                                    \
    .abi = ANT_ABI, .name = "speaker", .start = start, .request = request, .result = result
static const struct ant_program speakers[2] = {{SPEAKER, .version = 1}, {SPEAKER, .version = 2}};

static int client(void *arg)
{
    bool chains = arg != NULL;
    uint64_t before[2] = {0};
    for (uint32_t k = 0; !atomic_load(&run.over) && k < run.rounds; k++) {
        uint32_t i = k % 2, operation = chains ? OP_CHAIN : k % 4 < 2 ? OP_LEAF : OP_RELAY;
        struct ant_request *rq = question_to(FN_A + i, operation, 0);
        expect_ok(ant_call(rq, ANT_FOREVER));
        const struct answer *a = (const struct answer *)(const void *)rq->payload;
        expect(a->answered > before[i]);
        before[i] = a->answered;
        expect_ok(ant_request_free(rq));
        ant_work(US(1));
    }
    return 0;
}

static void swap_again_and_again(uint32_t swaps)
{
    uint32_t version = 1, generation = 1;
    for (uint32_t k = 0; k < swaps; k++) {
        struct ant_swap_report reports[2];
        const struct ant_program *next = &speakers[2 - version];
        struct ant_swap_item items[2] = {{FN_A, next, NULL}, {FN_B, next, NULL}};
        bool fails = k % 4 == 3;
        atomic_store(&run.failing, fails ? FN_A + k / 4 % 2 : 0);
        assert_int_equal(ant_swap_many(items, 2, reports), fails ? -EDOM : 0);
        if (!fails) {
            version = next->version;
            generation++;
        }
        for (int i = 0; i < 2; i++) {
            assert_int_equal(reports[i].generation, generation);
            assert_true(reports[i].base_ns + reports[i].request_work_ns +
                            reports[i].result_work_ns + reports[i].higher_priority_ns ==
                        reports[i].swap_ns);
        }
        ant_sleep(ant_now() + US(5));
    }
}

static void run_once(uint32_t swaps, uint32_t rounds)
{
    memset(&run, 0, sizeof run);
    run.rounds = rounds;
    serve(FN_A, &speakers[0], NULL);
    serve(FN_B, &speakers[0], NULL);
    ant_pid clients[LEAVES + 1];
    for (uint32_t i = 0; i <= LEAVES; i++)
        clients[i] = spawn("client", 0, client, i == 0 ? &run : NULL);
    swap_again_and_again(swaps);
    atomic_store(&run.over, true);
    for (uint32_t i = 0; i <= LEAVES; i++)
        assert_int_equal(join(clients[i]), 0);
    for (uint32_t i = 0; i < 2; i++) {
        struct ant_request *rq = question_to(FN_A + i, OP_LEAF, 0);
        assert_ok(ant_call(rq, SOON));
        assert_true(((struct answer *)(void *)rq->payload)->answered == atomic_load(&run.asked[i]));
        assert_ok(ant_request_free(rq));
    }
}

static void two_that_call_each_other_are_never_a_mixed_pair(void **state)
{
    (void)state;
    fixture_boot(NULL);
    run_once(200, UINT32_MAX);
}

static void nor_in_any_order(void **state)
{
    (void)state;
    for (uint64_t seed = 0; fixture_explores(seed, SANITIZED ? 60 : 300); seed++) {
        fixture_boot_seed(seed);
        run_once(8, 12);
        fixture_shutdown();
        if (expect_failures() > 0)
            fail_msg("seed %llu", (unsigned long long)seed);
    }
}

/* ---- with deaths ---- */

#define LINKS 3u /* the first asks the second, and that one the third */

static ant_pid links[LINKS];

static void link_request(struct ant_server *self, struct ant_request *rq)
{
    struct ant_request *question;
    ant_work(US(1));
    if (self->function + 1 < FN_A + LINKS) {
        expect_ok(ant_request_new(self->function + 1, &question));
        question->flags = ANT_REPEATABLE;
        if (rq->operation == OP_CHAIN) {
            question->operation = OP_CHAIN;
            int rc = ant_call(question, ANT_FOREVER);
            expect(rc == 0 || rc == -EOWNERDEAD);
            expect_ok(ant_request_free(question));
        } else {
            question->operation = OP_RELAY;
            question->cookie = (uintptr_t)rq;
            expect_ok(ant_send(question));
            return;
        }
    }
    expect_ok(ant_reply(rq, 0));
}

static void link_result(struct ant_server *self, struct ant_request *question)
{
    struct ant_request *rq = (struct ant_request *)(uintptr_t)question->cookie;
    (void)self;
    expect_ok(ant_request_free(question));
    expect_ok(ant_reply(rq, 0));
}

static int link_start(struct ant_server *self)
{
    uint32_t fails = self->function;
    return atomic_compare_exchange_strong(&run.failing, &fails, 0) ? -EDOM : 0;
}

static const struct ant_program link_program = {.abi = ANT_ABI,
                                                .name = "link",
                                                .version = 1,
                                                .start = link_start,
                                                .request = link_request,
                                                .result = link_result};

static int link_client(void *arg)
{
    (void)arg;
    for (uint32_t k = 0; k < run.rounds; k++) {
        struct ant_request *rq;
        expect_ok(ant_request_new(FN_A, &rq));
        rq->operation = k % 2 ? OP_CHAIN : OP_RELAY;
        int rc = ant_call(rq, ANT_FOREVER);
        expect(rc == 0 || rc == -EOWNERDEAD);
        expect_ok(ant_request_free(rq));
        ant_work(US(1));
    }
    return 0;
}

static int killer(void *arg)
{
    (void)arg;
    for (uint32_t k = 0; k < LINKS; k++) {
        ant_sleep(ant_now() + US(7));
        int rc = ant_kill(links[(k + run.rounds) % LINKS]);
        expect(rc == 0 || rc == -ESRCH);
        rc = ant_swap_cancel(FN_A + k);
        expect(rc == 0 || rc == -ENOENT || rc == -EALREADY);
    }
    return 0;
}

/* All at once; and one that waits for a dead one is not at rest, so these are mended by themselves then. */
static bool replace_links(bool fails)
{
    struct ant_swap_options options = {.quiesce_timeout_ns = (int64_t)MS(5)};
    struct ant_swap_item items[LINKS];
    struct ant_swap_report reports[LINKS];
    for (uint32_t i = 0; i < LINKS; i++)
        items[i] = (struct ant_swap_item){FN_A + i, &link_program, &options};
    atomic_store(&run.failing, fails ? FN_A + 1 : 0);
    int rc = ant_swap_many(items, LINKS, reports);
    assert_true(rc == 0 || rc == -ECANCELED || rc == -ETIMEDOUT || (rc == -EDOM && fails));
    atomic_store(&run.failing, 0);
    for (uint32_t i = 0; rc != 0 && i < LINKS; i++)
        if (info_of(links[i]).dead) {
            int mended = ant_swap(FN_A + i, &link_program, NULL, NULL);
            assert_true(mended == 0 || mended == -ECANCELED);
        }
    return rc == 0;
}

static bool ended(ant_pid pid)
{
    struct ant_process_info info;
    return ant_process_info(pid, &info) != 0;
}

static void chain_through_deaths(uint32_t rounds)
{
    memset(&run, 0, sizeof run);
    run.rounds = rounds;
    for (uint32_t i = 0; i < LINKS; i++)
        links[i] = serve(FN_A + i, &link_program, NULL);
    ant_pid others[3] = {spawn("client", 0, link_client, NULL),
                         spawn("client", 0, link_client, NULL), spawn("killer", 0, killer, NULL)};
    for (uint32_t k = 0; !ended(others[0]) || !ended(others[1]) || !ended(others[2]); k++) {
        replace_links(k % 5 == 4);
        ant_sleep(ant_now() + US(5));
    }
    while (!replace_links(false))
        ;
    for (uint32_t i = 0; i < LINKS; i++) {
        assert_false(info_of(links[i]).dead);
        assert_int_equal(info_of(links[i]).in_service, 0);
    }
}

static void a_chain_is_replaced_through_deaths_and_cancellations(void **state)
{
    (void)state;
    for (uint64_t seed = 0; fixture_explores(seed, SANITIZED ? 60 : 300); seed++) {
        fixture_boot_seed(seed);
        chain_through_deaths(on_virtual() ? 6 + (uint32_t)(seed % 3) : 200);
        fixture_shutdown();
        if (expect_failures() > 0)
            fail_msg("seed %llu", (unsigned long long)seed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(two_that_call_each_other_are_never_a_mixed_pair,
                                        fixture_no_core, fixture_teardown),
        cmocka_unit_test_setup_teardown(nor_in_any_order, fixture_no_core, fixture_teardown),
        cmocka_unit_test_setup_teardown(a_chain_is_replaced_through_deaths_and_cancellations,
                                        fixture_no_core, fixture_teardown),
    };
    return cmocka_run_group_tests_name("swap_many_load", tests, NULL, NULL);
}
