/* Mortals: see mortal.h. */
#include "mortal.h"

struct mortal_plan mortal;
ant_pid mortal_pid;

/* ---- what they do with requests ---- */

static uint32_t next_count(struct ant_server *self)
{
    if (self->program->state_version == 1) {
        struct mortal_state *s = ant_state();
        expect(s->magic == MORTAL_MAGIC && s->self == s);
        return s->count++;
    }
    struct mortal_state_two *s = ant_state();
    return (uint32_t)s->count++;
}

static void answer(struct ant_server *self, struct ant_request *rq)
{
    struct answer *a = answer_in(rq);
    a->version = self->program->version;
    a->generation = self->generation;
    a->count = next_count(self);
    expect_ok(ant_reply(rq, 0));
}

static void note(struct ant_server *self, const struct ant_request *rq)
{
    size_t slot = atomic_load(&mortal.seen_count) < MORTAL_SEEN
                      ? atomic_fetch_add(&mortal.seen_count, 1)
                      : MORTAL_SEEN;
    if (slot >= MORTAL_SEEN) /* of several servers, or one that was ended beside its successor */
        return;
    mortal.seen[slot] = (struct mortal_request){
        .function = rq->function,
        .operation = rq->operation,
        .generation = self->generation,
        .flags = rq->flags,
        .cookie = rq->cookie,
        .first_data = rq->data ? *(uint32_t *)rq->data : 0,
        .first_payload = *(const uint32_t *)(const void *)rq->payload,
    };
}

/* What a dying server leaves: a header that means nothing; payload and data count. */
static void spoil(struct ant_request *rq)
{
    rq->function = 0xdead;
    rq->operation = 0xdead;
    rq->cookie = 0xdead;
    rq->flags = 0;
    rq->peer = 0;
    rq->error = -1;
}

static void ask_driver(void)
{
    struct ant_request *question;
    expect_ok(ant_request_new(FN_DRIVER, &question));
    expect_ok(ant_call(question, ANT_FOREVER));
    expect_ok(ant_request_free(question));
}

static void send_driver(uint64_t cookie)
{
    struct ant_request *errand;
    expect_ok(ant_request_new(FN_DRIVER, &errand));
    errand->cookie = cookie;
    expect_ok(ant_ica_alloc(1, &errand->data));
    expect_ok(ant_send(errand));
}

static void spin(void)
{
    struct ant_info info;
    expect_ok(ant_info(&info)); /* whoever finds it outside finds it after this: what it has read of its request comes before */
    atomic_store(&mortal.spins, true);
    while (atomic_load(&mortal.spin))
        ;
    atomic_store(&mortal.left, true);
    ant_now();
    atomic_store(&mortal.ran_on, true);
}

static void die(void)
{
    ant_kill(ant_self());
    atomic_store(&mortal.lived_on, true);
}

static void request(struct ant_server *self, struct ant_request *rq)
{
    note(self, rq);
    switch (rq->operation) {
    case OP_OBEY:
        expect_ok(puppet_obey());
        break;
    case OP_KEEP:
        return;
    case OP_KEEP_FIRST:
        if (self->generation != 1)
            break;
        spoil(rq);
        return;
    case OP_SLEEP:
        expect_ok(ant_sleep(ant_now() + mortal.time_ns));
        break;
    case OP_WORK:
        expect_ok(ant_work(mortal.time_ns));
        break;
    case OP_ASK:
        ask_driver();
        break;
    case OP_ERRAND:
        send_driver(rq->cookie);
        return;
    case OP_SPIN:
        spin();
        break;
    case OP_DIE:
        die();
        break;
    case OP_EXIT:
        ant_exit(3);
        break;
    case OP_SWAP_OTHER:
        ant_swap(FN_OTHER, &mortal_one_again, NULL, NULL);
        break;
    default:
        break;
    }
    answer(self, rq);
}

static void result(struct ant_server *self, struct ant_request *errand)
{
    (void)self;
    if (errand->data)
        expect_ok(ant_ica_free(errand->data));
    expect_ok(ant_request_free(errand));
}

static void stop(struct ant_server *self)
{
    (void)self;
    if (mortal.when_stopped)
        mortal.when_stopped();
}

static int run(struct ant_server *self)
{
    struct ant_message message;
    for (;;) {
        if (ant_receive(&message, ANT_FOREVER) != 0)
            continue;
        if (message.kind == ANT_STOP)
            return 0;
        if (message.kind == ANT_SWAP)
            ant_swap_accept();
        else if (message.kind == ANT_RESULT)
            result(self, message.request);
        else
            request(self, message.request);
    }
}

/* ---- their states ---- */

static int new_state(struct ant_server *self, uint32_t count)
{
    void *area;
    int rc = ant_ica_alloc(MORTAL_STATE_PAGES, &area);
    if (rc != 0)
        return rc;
    if (self->program->state_version == 2)
        *(struct mortal_state_two *)area = (struct mortal_state_two){.count = count};
    else
        *(struct mortal_state *)area =
            (struct mortal_state){.magic = MORTAL_MAGIC, .count = count, .self = area};
    return ant_state_set(area);
}

static int start(struct ant_server *self)
{
    mortal.starts++;
    mortal.started = *self;
    int rc = self->reason != ANT_START_FRESH && mortal.hook ? mortal.hook(self) : 0;
    return rc != 0 || self->state ? rc : new_state(self, 0);
}

static int one_from_two(struct ant_server *self, const void *old, size_t bytes, void **state)
{
    mortal.transforms++;
    expect(bytes == MORTAL_STATE_PAGES * ANT_PAGE_BYTES);
    int rc = new_state(self, (uint32_t)((const struct mortal_state_two *)old)->count);
    *state = ant_state();
    return rc;
}

static int two_from_one(struct ant_server *self, const void *old, size_t bytes, void **state)
{
    mortal.transforms++;
    expect(bytes == MORTAL_STATE_PAGES * ANT_PAGE_BYTES);
    int rc = new_state(self, ((const struct mortal_state *)old)->count);
    *state = ant_state();
    return rc;
}

static const struct ant_transformer to_one[] = {{2, 1, one_from_two}},
                                    to_two[] = {{1, 2, two_from_one}};

#define CALLBACKS .abi = ANT_ABI, .start = start, .request = request, .result = result, .stop = stop
const struct ant_program mortal_one = {
    CALLBACKS,          .name = "one",          .version = 1,
    .state_version = 1, .transformers = to_one, .transformer_count = 1};
const struct ant_program mortal_one_again = {CALLBACKS, .name = "one again", .version = 2,
                                             .state_version = 1};
const struct ant_program mortal_two = {
    CALLBACKS,          .name = "two",          .version = 3,
    .state_version = 2, .transformers = to_two, .transformer_count = 1};
const struct ant_program mortal_strange = {CALLBACKS, .name = "strange", .version = 4,
                                           .state_version = 3};
const struct ant_program mortal_loop = {
    .abi = ANT_ABI, .name = "loop", .version = 5, .state_version = 1, .start = start, .run = run};

/* ---- the test's side ---- */

void mortal_begin(const struct ant_server_options *options)
{
    memset(&mortal, 0, sizeof mortal);
    mortal_pid = serve(FN, &mortal_one, options);
}

int mortal_setup(void **state)
{
    fixture_setup(state);
    mortal_begin(NULL);
    return 0;
}

int obey_in_start(struct ant_server *self)
{
    (void)self;
    expect_ok(puppet_obey());
    return 0;
}

int fail_to_start(struct ant_server *self)
{
    void *area;
    (void)self;
    expect_ok(ant_ica_alloc(5, &area));
    return -EDOM;
}

int end_of(ant_pid puppet)
{
    assert_ok(ant_kill(puppet));
    int status = join(puppet);
    puppet_bury(puppet);
    return status;
}

bool is_dead(ant_pid pid)
{
    struct ant_process_info info;
    return ant_process_info(pid, &info) == 0 && info.dead;
}

void await_death(ant_pid pid)
{
    assert_soon(is_dead(pid));
}

void mortal_kill(void)
{
    assert_ok(ant_kill(mortal_pid));
    await_death(mortal_pid);
    puppet_bury(mortal_pid);
}

void assert_serves(uint32_t version, uint32_t generation)
{
    struct answer a = ask(FN, OP_COUNT);
    assert_int_equal(a.version, version);
    assert_int_equal(a.generation, generation);
    struct ant_process_info info = info_of(mortal_pid);
    assert_int_equal(info.version, version);
    assert_int_equal(info.generation, generation);
    assert_false(info.dead);
    ant_pid found = 0;
    assert_ok(ant_lookup(FN, &found));
    assert_true(found == mortal_pid);
}

struct ant_request *send_to(uint32_t function, uint32_t operation, uint64_t cookie, uint32_t flags)
{
    struct ant_request *rq = new_request(function);
    rq->operation = operation;
    rq->cookie = cookie;
    rq->flags = flags;
    assert_ok(ant_send(rq));
    return rq;
}

struct ant_request *send_op(uint32_t operation, uint64_t cookie)
{
    return send_to(FN, operation, cookie, 0);
}

struct answer *answer_in(struct ant_request *rq)
{
    return (struct answer *)(void *)rq->payload;
}

struct answer ask(uint32_t function, uint32_t operation)
{
    struct ant_request *rq = new_request(function);
    rq->operation = operation;
    assert_ok(ant_call(rq, SOON));
    struct answer a = *answer_in(rq);
    assert_ok(ant_request_free(rq));
    return a;
}

static void free_result(struct ant_request *rq)
{
    if (rq->data)
        assert_ok(ant_ica_free(rq->data));
    assert_ok(ant_request_free(rq));
}

void take_answer(struct ant_request *rq, uint32_t version)
{
    assert_ptr_equal(boss_result(), rq);
    assert_int_equal(rq->error, 0);
    assert_int_equal(rq->status, 0);
    assert_int_equal(answer_in(rq)->version, version);
    free_result(rq);
}

void take_error(struct ant_request *rq, int error)
{
    assert_ptr_equal(boss_result(), rq);
    assert_int_equal(rq->error, error);
    free_result(rq);
}

struct ant_request *make_obey(void)
{
    struct ant_request *rq = send_op(OP_OBEY, 0);
    puppet_await(mortal_pid);
    return rq;
}

static void assert_balanced(struct ant_swap_count c)
{
    assert_int_equal(c.at_notice + c.arrived - c.left, c.handed_over);
}

void assert_adds_up(const struct ant_swap_report *r)
{
    assert_balanced(r->queued_requests);
    assert_balanced(r->queued_results);
    assert_balanced(r->in_service);
    assert_balanced(r->outstanding);
    assert_true(r->prepare_ns + r->base_ns + r->request_work_ns + r->result_work_ns + r->higher_priority_ns ==
                r->swap_ns);
    assert_true(r->swap_ns == r->step_time_ns[ANT_SWAP_RETURN] - r->step_time_ns[ANT_SWAP_REQUEST]);
    assert_true(r->transform_ns + r->start_ns <= r->blackout_ns || r->error != 0);
}

void assert_restarted(const struct ant_swap_report *r, uint32_t generation)
{
    assert_int_equal(r->error, 0);
    assert_true(r->restarted);
    assert_int_equal(r->function, FN);
    assert_int_equal(r->generation, generation);
    assert_int_equal(r->step, ANT_SWAP_RETURN);
    assert_true(r->step_time_ns[ANT_SWAP_HAND_OVER] != 0);
    assert_true(r->step_time_ns[ANT_SWAP_WAKE_REQUESTER] == 0);
    assert_true(r->step_time_ns[ANT_SWAP_WAKE_OLD] == 0);
    assert_true(r->step_time_ns[ANT_SWAP_EXIT] == 0);
    assert_int_equal(r->in_service.handed_over, 0);
    assert_int_equal(r->outstanding.handed_over, 0);
    assert_adds_up(r);
}

size_t steps_in_trace(enum ant_swap_step step, uint32_t generation)
{
    static struct ant_event events[4096];
    size_t count = 0, found = 0;
    assert_ok(ant_trace_read(events, 4096, &count));
    for (size_t i = 0; i < count; i++)
        found += events[i].kind == ANT_EVENT_STEP && events[i].a == (int64_t)step &&
                 events[i].b == generation;
    return found;
}
