/* ctest: machines=virtual,real movers=strict,flat */
/*
 * Servers: programs with callbacks or a loop of their own, their start and stop, their function ids, their state.
 */
#include "fixture.h"
#include "puppet.h"

#define FN 7u
#define FN_SECOND 8u

/* Operations of the programs here. */
enum {
    OP_ECHO, /* reply with payload[0] + 1 */
    OP_OBEY, /* obey the boss, then reply */
    OP_KEEP, /* reply when OP_LET_GO comes */
    OP_LET_GO,
    OP_ASK,   /* send OP_ECHO to FN_SECOND asynchronously, reply when its result comes */
    OP_EXIT,  /* end the process */
    OP_FORGET /* exit without ever having replied */
};

static struct {
    _Atomic int started; /* written last in start: then pid is known */
    int stopped, requests, results;
    struct ant_server seen; /* as `start` saw it */
    ant_pid pid;
    int (*start)(struct ant_server *self); /* what start does, beside counting */
    struct ant_request *kept;
    int stop_replies;
} program;

static int count_start(struct ant_server *self)
{
    program.seen = *self;
    program.pid = ant_self();
    atomic_fetch_add(&program.started, 1);
    return program.start ? program.start(self) : 0;
}

static void answer_request(struct ant_server *self, struct ant_request *rq)
{
    program.requests++;
    switch (rq->operation) {
    case OP_ECHO:
        rq->payload[0]++;
        expect_ok(ant_reply(rq, 0));
        break;
    case OP_OBEY:
        expect_ok(puppet_obey());
        expect_ok(ant_reply(rq, 0));
        break;
    case OP_KEEP:
        self->context = rq;
        program.kept = rq;
        break;
    case OP_LET_GO:
        expect_ok(ant_reply(self->context, 1));
        expect_ok(ant_reply(rq, 2));
        break;
    case OP_ASK: {
        struct ant_request *errand;
        expect_ok(ant_request_new(FN_SECOND, &errand));
        errand->operation = OP_ECHO;
        errand->payload[0] = rq->payload[0];
        errand->cookie = (uint64_t)(uintptr_t)rq;
        expect_ok(ant_send(errand));
        break;
    }
    default:
        ant_exit(77);
    }
}

static void answer_result(struct ant_server *self, struct ant_request *errand)
{
    (void)self;
    program.results++;
    struct ant_request *rq = (struct ant_request *)(uintptr_t)errand->cookie;
    rq->payload[0] = errand->payload[0];
    expect_ok(ant_reply(rq, errand->error));
    expect_ok(ant_request_free(errand));
}

static void count_stop(struct ant_server *self)
{
    (void)self;
    program.stopped++;
    if (program.kept && program.stop_replies)
        expect_ok(ant_reply(program.kept, 55));
}

static const struct ant_program echo = {
    .abi = ANT_ABI,
    .version = 3,
    .name = "echo",
    .start = count_start,
    .request = answer_request,
    .result = answer_result,
    .stop = count_stop,
};

static int setup(void **state)
{
    memset(&program, 0, sizeof program);
    return fixture_setup(state);
}

#define server_test(f) cmocka_unit_test_setup_teardown(f, setup, fixture_teardown)

static struct ant_request *ask(uint32_t function, uint32_t operation)
{
    struct ant_request *rq = new_request(function);
    rq->operation = operation;
    rq->payload[0] = 10;
    return rq;
}

static void assert_echoes(uint32_t function)
{
    struct ant_request *rq = ask(function, OP_ECHO);
    assert_ok(ant_call(rq, SOON));
    assert_int_equal(rq->payload[0], 11);
    assert_ok(ant_request_free(rq));
}

/* ---- start ---- */

static void a_server_serves_once_its_start_has_returned(void **state)
{
    (void)state;
    ant_pid pid = serve(FN, &echo, NULL), found = 0;
    assert_int_equal(program.started, 1);
    assert_ptr_equal(program.seen.program, &echo);
    assert_int_equal(program.seen.reason, ANT_START_FRESH);
    assert_int_equal(program.seen.function, FN);
    assert_int_equal(program.seen.generation, 1);
    assert_null(program.seen.state);
    assert_int_equal(program.seen.state_bytes, 0);
    assert_null(program.seen.context);
    assert_true(program.pid == pid);
    assert_ok(ant_lookup(FN, &found));
    assert_true(found == pid);
    assert_echoes(FN);
    struct ant_process_info info = info_of(pid);
    assert_int_equal(info.generation, 1);
    assert_int_equal(info.version, 3);
    assert_string_equal(info.name, "echo");
    assert_int_equal(info.priority, FIXTURE_PRIORITY);
}

static void options_give_name_priority_and_stack(void **state)
{
    (void)state;
    struct ant_server_options options = {
        .name = "parrot", .priority = 31, .stack_bytes = (size_t)256 << 10};
    ant_pid pid = serve(FN, &echo, &options);
    assert_string_equal(info_of(pid).name, "parrot");
    assert_int_equal(info_of(pid).priority, 31);
    assert_echoes(FN);
}

static int start_with_eio(struct ant_server *self)
{
    (void)self;
    void *area;
    expect_ok(ant_ica_alloc(9, &area));
    expect_ok(ant_state_set(area));
    expect_ok(ant_function_add(FN_SECOND));
    return -EIO;
}

static void a_start_that_fails_leaves_nothing(void **state)
{
    (void)state;
    ant_pid pid = 77, found = 77;
    program.start = start_with_eio;
    assert_int_equal(ant_serve(FN, &echo, NULL, &pid), -EIO); /* what start returned */
    assert_true(pid == 77);
    assert_error(ant_lookup(FN, &found), ESRCH);
    assert_error(ant_lookup(FN_SECOND, &found), ESRCH);
    assert_true(found == 77);
    assert_soon(free_pages() == FIXTURE_POOL_PAGES);
    assert_error(ant_process_info(program.pid, &(struct ant_process_info){0}), ESRCH);
    assert_int_equal(program.stopped, 0);
    program.start = NULL;
    serve(FN, &echo, NULL); /* the function is free for another try */
    assert_echoes(FN);
}

static int start_exits(struct ant_server *self)
{
    (void)self;
    void *area;
    expect_ok(ant_ica_alloc(9, &area));
    ant_exit(5);
    return 0;
}

static int set_own_priority(struct ant_server *self)
{
    (void)self;
    return ant_priority_set(ant_self(), 9);
}

static void a_start_may_set_the_priority_of_its_server(void **state)
{
    (void)state;
    static const struct ant_program modest = {
        .abi = ANT_ABI, .name = "modest", .start = set_own_priority, .request = answer_request};
    assert_int_equal(info_of(serve(FN, &modest, NULL)).priority, 9);
}

static void a_start_that_exits_is_eownerdead(void **state)
{
    (void)state;
    ant_pid found;
    program.start = start_exits;
    assert_error(ant_serve(FN, &echo, NULL, NULL), EOWNERDEAD);
    assert_error(ant_lookup(FN, &found), ESRCH);
    assert_soon(free_pages() == FIXTURE_POOL_PAGES);
}

static int start_obeys(struct ant_server *self)
{
    (void)self;
    expect_ok(puppet_obey());
    return 0;
}

static int start_hangs(struct ant_server *self)
{
    (void)self;
    struct ant_request *rq;
    expect_ok(ant_request_new(FN_SECOND, &rq));
    ant_call(rq, ANT_FOREVER); /* the test holds it; once it is abandoned, this never returns */
    expect(!"an abandoned server ran on");
    return 0;
}

static void a_start_that_hangs_is_abandoned_at_its_deadline(void **state)
{
    (void)state;
    ant_pid puppet = puppet_create("puppet", 0), found;
    assert_ok(puppet_function_add(puppet, FN_SECOND));
    program.start = start_hangs;
    struct ant_server_options options = {.start_timeout_ns = (int64_t)MS(100)};
    uint64_t before_ns = ant_now();
    assert_error(ant_serve(FN, &echo, &options, NULL), ETIMEDOUT);
    assert_true(ant_now() - before_ns >= MS(100));
    assert_error(ant_lookup(FN, &found), ESRCH);
    ant_pid abandoned = program.pid;
    program.start = NULL;
    serve(FN, &echo, NULL); /* somebody else can have the function at once */
    assert_echoes(FN);
    /* the request that it waited for: withdrawn, or answered into the void; either way nothing is left of it */
    struct ant_message message = {0};
    int rc = puppet_receive(puppet, &message, 0);
    if (rc == 0)
        assert_ok(puppet_reply(puppet, message.request, 0));
    assert_soon(ant_process_info(abandoned, &(struct ant_process_info){0}) == -ESRCH);
}

static void while_start_runs_requests_are_refused(void **state)
{
    (void)state;
    ant_pid host = puppet_create("host", 0), pid = 0, found;
    program.start = start_obeys;
    puppet_begin_serve(host, FN, &echo, NULL, &pid);
    assert_soon(program.started == 1);
    struct ant_request *rq = ask(FN, OP_ECHO);
    assert_error(ant_send(rq), ESRCH);
    assert_error(ant_lookup(FN, &found), ESRCH);
    assert_error(ant_function_add(FN), EEXIST); /* but reserved it is */
    assert_error(ant_serve(FN, &echo, NULL, NULL), EEXIST);
    puppet_release(program.pid);
    assert_int_equal(puppet_end(host), 0);
    assert_true(pid == program.pid);
    assert_ok(ant_call(rq, SOON));
    assert_ok(ant_request_free(rq));
    assert_ok(ant_stop(pid, SOON, NULL));
}

static void what_a_server_may_not_do_in_start(void **state)
{
    (void)state;
    ant_pid host = puppet_create("host", 0), pid = 0;
    program.start = start_obeys;
    puppet_begin_serve(host, FN, &echo, NULL, &pid);
    assert_soon(program.started == 1);
    ant_pid server = program.pid;
    struct ant_message message;
    struct ant_request *rq = puppet_new_request(server, FN);
    assert_error(puppet_receive(server, &message, 0), EPERM);
    assert_error(puppet_reply(server, rq, 0), EPERM);
    assert_int_equal(puppet_swap(server, FN, &echo, NULL, NULL), -EBUSY);
    assert_ok(puppet_request_free(server, rq));
    puppet_release(server);
    assert_int_equal(puppet_end(host), 0);
    assert_ok(ant_stop(pid, SOON, NULL));
}

static void serve_refuses_nonsense(void **state)
{
    (void)state;
    struct ant_program p = echo;
    static const struct ant_transformer transformer = {1, 2, NULL};
    ant_pid pid = 77;
    assert_error(ant_serve(0, &echo, NULL, &pid), EINVAL);
    assert_error(ant_serve(FN, NULL, NULL, &pid), EINVAL);
    p.name = NULL;
    assert_error(ant_serve(FN, &p, NULL, &pid), EINVAL);
    p = echo;
    p.request = NULL;
    assert_error(ant_serve(FN, &p, NULL, &pid), EINVAL);
    p = echo;
    p.run = start_obeys;
    assert_error(ant_serve(FN, &p, NULL, &pid), EINVAL); /* both ways at once */
    p = echo;
    p.transformer_count = 1;
    assert_error(ant_serve(FN, &p, NULL, &pid), EINVAL);
    p = echo;
    p.transformers = &transformer; /* none of them: good */
    struct ant_server_options wrong[] = {
        {.priority = -1},
        {.priority = ANT_PRIORITY_MAX + 1},
        {.stack_bytes = 1},
        {.stack_bytes = 65535},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_error(ant_serve(FN, &echo, &wrong[i], &pid), EINVAL);
    p = echo;
    p.abi = ANT_ABI + 1;
    assert_error(ant_serve(FN, &p, NULL, &pid), EPROTO);
    p.abi = 0;
    assert_error(ant_serve(FN, &p, NULL, &pid), EPROTO);
    assert_true(pid == 77);
    assert_int_equal(program.started, 0);
    serve(FN, &echo, NULL);
    assert_error(ant_serve(FN, &echo, NULL, &pid), EEXIST);
    assert_int_equal(program.started, 1); /* looked at before anything is done */
    assert_true(pid == 77);
    assert_echoes(FN);
}

static void serve_needs_a_place_and_a_thread(void **state)
{
    (void)state;
    ant_pid pid[FIXTURE_PROCESSES];
    uint32_t count = 0;
    while (count < FIXTURE_PROCESSES - 1)
        pid[count++] = puppet_create("crowd", 0);
    assert_error(ant_serve(FN, &echo, NULL, NULL), EAGAIN);
    puppet_dismiss(pid[0]);
    serve(FN, &echo, NULL);
    if (SANITIZED)
        return;
    puppet_dismiss(pid[1]);
    struct ant_server_options options = {.stack_bytes = (size_t)1 << 46};
    assert_error(ant_serve(FN_SECOND, &echo, &options, NULL), EAGAIN);
    serve(FN_SECOND, &echo, NULL); /* nothing was kept */
}

static int serve_when_stopped(void *arg)
{
    struct ant_message message = {0};
    (void)arg;
    while (ant_receive(&message, ANT_FOREVER) == 0 && message.kind != ANT_STOP)
        ;
    return ant_serve(FN, &echo, NULL, NULL);
}

static void who_was_asked_to_stop_cannot_serve(void **state)
{
    (void)state;
    ant_pid pid = spawn("late", 0, serve_when_stopped, NULL), found;
    int status = 0;
    assert_ok(ant_stop(pid, SOON, &status));
    assert_was(ant_serve, status, ESHUTDOWN);
    assert_error(ant_lookup(FN, &found), ESRCH);
}

static void who_is_stopped_while_start_runs_gives_up(void **state)
{
    (void)state;
    ant_pid host = puppet_create("host", 0), pid = 77, found;
    program.start = start_obeys;
    puppet_begin_serve(host, FN, &echo, NULL, &pid);
    assert_soon(program.started == 1);
    puppet_await(program.pid);
    assert_error(ant_stop(host, 0, NULL), ETIMEDOUT);
    assert_was(ant_serve, puppet_end(host), ESHUTDOWN);
    assert_true(pid == 77);
    assert_error(ant_lookup(FN, &found), ESRCH);
}

/* ---- serving ---- */

static void a_reply_may_come_from_a_later_callback(void **state)
{
    (void)state;
    serve(FN, &echo, NULL);
    struct ant_request *kept = ask(FN, OP_KEEP), *key = ask(FN, OP_LET_GO);
    assert_ok(ant_send(kept));
    assert_ok(ant_call(key, SOON));
    assert_int_equal(key->status, 2);
    assert_ptr_equal(boss_result(), kept);
    assert_int_equal(kept->status, 1);
    assert_ok(ant_request_free(kept));
    assert_ok(ant_request_free(key));
}

static void a_server_is_a_client_of_another(void **state)
{
    (void)state;
    serve(FN, &echo, NULL);
    ant_pid driver = puppet_create("driver", 0);
    assert_ok(puppet_function_add(driver, FN_SECOND));
    struct ant_request *rq[3], *errand[3];
    for (int i = 0; i < 3; i++) {
        rq[i] = ask(FN, OP_ASK);
        rq[i]->payload[0] = (unsigned char)i;
        assert_ok(ant_send(rq[i]));
    }
    for (int i = 0; i < 3; i++) /* all three are out at once */
        errand[i] = puppet_take_request(driver);
    for (int i = 2; i >= 0; i--) {
        errand[i]->payload[0] = (unsigned char)(100 + i);
        assert_ok(puppet_reply(driver, errand[i], 0));
    }
    for (int i = 2; i >= 0; i--) {
        assert_ptr_equal(boss_result(), rq[i]);
        assert_int_equal(rq[i]->payload[0], 100 + i);
        assert_ok(ant_request_free(rq[i]));
    }
    assert_int_equal(program.results, 3);
}

static const struct ant_program no_result = {
    .abi = ANT_ABI,
    .name = "deaf",
    .start = count_start,
    .request = answer_request,
};

static void results_are_freed_where_nobody_wants_them(void **state)
{
    (void)state;
    ant_pid pid = serve(FN, &no_result, NULL), driver = puppet_create("driver", 0);
    assert_ok(puppet_function_add(driver, FN_SECOND));
    struct ant_request *rq = ask(FN, OP_ASK);
    assert_ok(ant_send(rq));
    struct ant_request *errand = puppet_take_request(driver);
    errand->data = puppet_new_area(driver, 4);
    assert_ok(puppet_reply(driver, errand, 0));
    assert_soon(info_of(pid).outstanding == 0 && info_of(pid).pages == 1); /* the request of the test */
    assert_ok(ant_stop(pid, SOON, NULL));
    assert_ptr_equal(boss_result(), rq);
    assert_int_equal(rq->error, -ESHUTDOWN);
    assert_ok(ant_request_free(rq));
}

static void a_server_that_exits_in_a_callback_answers_all(void **state)
{
    (void)state;
    ant_pid pid = serve(FN, &echo, &(struct ant_server_options){.priority = 5}),
            found; /* below: both are queued */
    struct ant_request *kept = ask(FN, OP_KEEP), *last = ask(FN, OP_EXIT), *behind = ask(FN, OP_ECHO);
    assert_ok(ant_send(kept));
    assert_ok(ant_send(last));
    int sent = ant_send(behind);
    int status = 0;
    assert_ok(ant_wait(pid, SOON, &status));
    assert_int_equal(status, 77);
    for (int i = 0; i < (sent == 0 ? 3 : 2); i++) {
        struct ant_request *rq = boss_result();
        assert_int_equal(rq->error, -EOWNERDEAD);
        assert_int_equal(rq->status, 0);
        if (rq != behind)
            assert_ok(ant_request_free(rq));
    }
    assert_ok(ant_request_free(behind));
    assert_true(boss_has_no_result());
    assert_error(ant_lookup(FN, &found), ESRCH);
    serve(FN, &echo, NULL);
    assert_echoes(FN);
}

static void stop_runs_the_callback_which_may_still_reply(void **state)
{
    (void)state;
    ant_pid pid = serve(FN, &echo, NULL);
    struct ant_request *kept = ask(FN, OP_KEEP);
    program.stop_replies = 1;
    assert_ok(ant_send(kept));
    assert_echoes(FN); /* so the other one is in service */
    assert_ok(ant_stop(pid, SOON, NULL));
    assert_int_equal(program.stopped, 1);
    assert_ptr_equal(boss_result(), kept);
    assert_int_equal(kept->error, 0);
    assert_int_equal(kept->status, 55);
    assert_ok(ant_request_free(kept));
}

static void callbacks_may_be_missing(void **state)
{
    (void)state;
    static const struct ant_program bare = {.abi = ANT_ABI, .name = "bare", .request = answer_request};
    ant_pid pid = serve(FN, &bare, NULL);
    assert_echoes(FN);
    assert_int_equal(info_of(pid).generation, 1);
    assert_ok(ant_stop(pid, SOON, NULL));
}

static int raw_loop(struct ant_server *self)
{
    expect(self->reason == ANT_START_FRESH);
    for (;;) {
        struct ant_message message;
        if (expect_ok(ant_receive(&message, ANT_FOREVER)) != 0)
            return -1;
        if (message.kind == ANT_STOP)
            return 66;
        if (message.kind == ANT_REQUEST)
            answer_request(self, message.request);
    }
}

static void a_program_may_bring_its_own_loop(void **state)
{
    (void)state;
    static const struct ant_program raw = {
        .abi = ANT_ABI, .name = "raw", .start = count_start, .run = raw_loop};
    ant_pid pid = serve(FN, &raw, NULL);
    assert_int_equal(program.started, 1);
    assert_echoes(FN);
    assert_echoes(FN);
    int status;
    assert_ok(ant_stop(pid, SOON, &status));
    assert_int_equal(status, 66);
}

/* ---- function ids ---- */

static void a_server_serves_several_functions(void **state)
{
    (void)state;
    ant_pid puppet = puppet_create("puppet", 0), found = 0;
    for (uint32_t function = 100; function < 150; function++)
        assert_ok(puppet_function_add(puppet, function));
    for (uint32_t function = 100; function < 150; function++) {
        assert_ok(ant_lookup(function, &found));
        assert_true(found == puppet);
        struct ant_request *rq = new_request(function);
        assert_ok(ant_send(rq));
        struct ant_request *at_server = puppet_take_request(puppet);
        assert_int_equal(at_server->function, function);
        assert_ok(puppet_reply(puppet, at_server, 0));
        assert_ptr_equal(boss_result(), rq);
        assert_int_equal(rq->function, function);
        assert_ok(ant_request_free(rq));
    }
    for (uint32_t function = 100; function < 150; function += 2)
        assert_ok(puppet_function_remove(puppet, function));
    for (uint32_t function = 100; function < 150; function++)
        assert_int_equal(ant_lookup(function, &found), function % 2 ? 0 : -ESRCH);
    puppet_dismiss(puppet);
    for (uint32_t function = 100; function < 150; function++)
        assert_error(ant_lookup(function, &found), ESRCH);
}

static void functions_are_added_and_removed_by_rules(void **state)
{
    (void)state;
    ant_pid puppet = puppet_create("puppet", 0), found = 77;
    assert_error(ant_function_add(0), EINVAL);
    assert_error(ant_function_remove(0), EINVAL);
    assert_error(ant_lookup(0, &found), EINVAL);
    assert_error(ant_lookup(FN, NULL), EINVAL);
    assert_error(ant_lookup(FN, &found), ESRCH);
    assert_error(ant_function_remove(FN), ESRCH);
    assert_true(found == 77);
    assert_ok(puppet_function_add(puppet, FN));
    assert_error(puppet_function_add(puppet, FN), EEXIST);
    assert_error(ant_function_add(FN), EEXIST);
    assert_error(ant_function_remove(FN), EPERM);
    assert_ok(puppet_function_remove(puppet, FN));
    assert_error(puppet_function_remove(puppet, FN), ESRCH);
    assert_ok(ant_function_add(FN)); /* free for another */
    assert_error(puppet_function_remove(puppet, FN), EPERM);
    assert_ok(ant_function_remove(FN));
    assert_ok(ant_function_add(UINT32_MAX));
    assert_ok(ant_function_remove(UINT32_MAX));
}

static void what_was_queued_under_a_removed_function_is_served(void **state)
{
    (void)state;
    ant_pid puppet = puppet_create("puppet", 0);
    assert_ok(puppet_function_add(puppet, FN));
    struct ant_request *queued = ask(FN, OP_ECHO), *late = ask(FN, OP_ECHO);
    assert_ok(ant_send(queued));
    assert_ok(puppet_function_remove(puppet, FN));
    assert_error(ant_send(late), ESRCH);
    assert_ok(puppet_reply(puppet, puppet_take_request(puppet), 0));
    assert_ptr_equal(boss_result(), queued);
    assert_int_equal(queued->error, 0);
    assert_ok(ant_request_free(queued));
    assert_ok(ant_request_free(late));
}

static void a_server_may_give_up_its_first_function(void **state)
{
    (void)state;
    static const struct ant_program obedient = {.abi = ANT_ABI, .name = "obedient", .run = start_obeys};
    ant_pid pid = serve(FN, &obedient, NULL), found;
    assert_ok(puppet_function_add(pid, FN_SECOND));
    assert_ok(puppet_function_remove(pid, FN));
    assert_error(ant_lookup(FN, &found), ESRCH);
    assert_ok(ant_lookup(FN_SECOND, &found));
    puppet_release(pid);
    join(pid);
    assert_error(ant_lookup(FN_SECOND, &found), ESRCH);
}

/* ---- state ---- */

static const struct ant_program obedient = {.abi = ANT_ABI, .name = "obedient", .run = start_obeys};

static void a_server_sets_and_replaces_its_state(void **state)
{
    (void)state;
    ant_pid pid = serve(FN, &obedient, NULL);
    assert_null(puppet_state(pid));
    void *first = puppet_new_area(pid, 2), *second = puppet_new_area(pid, 3);
    assert_ok(puppet_state_set(pid, first));
    assert_ptr_equal(puppet_state(pid), first);
    assert_ok(puppet_state_set(pid, first)); /* again: no harm */
    assert_ok(puppet_state_set(pid, second));
    assert_ptr_equal(puppet_state(pid), second);
    assert_ok(puppet_ica_free(pid, first)); /* an area as any other */
    assert_error(puppet_ica_free(pid, second), EBUSY);
    assert_ok(puppet_state_set(pid, NULL));
    assert_null(puppet_state(pid));
    assert_ok(puppet_ica_free(pid, second));
    puppet_release(pid);
    join(pid);
}

static void state_set_refuses_what_cannot_be_a_state(void **state)
{
    (void)state;
    ant_pid pid = serve(FN, &obedient, NULL), puppet = puppet_create("puppet", 0);
    char *area = puppet_new_area(pid, 2), *mine = new_area(1);
    struct ant_request *rq = puppet_new_request(pid, FN);
    assert_ok(puppet_state_set(pid, area));
    assert_error(puppet_state_set(pid, &pid), EFAULT);
    assert_error(puppet_state_set(pid, area + 1), EINVAL);
    assert_error(puppet_state_set(pid, area + ANT_PAGE_BYTES), EINVAL);
    assert_error(puppet_state_set(pid, rq), EINVAL);
    assert_error(puppet_state_set(pid, mine), EPERM);
    assert_ptr_equal(puppet_state(pid), area); /* nothing has changed */
    assert_error(ant_state_set(mine), EINVAL); /* no server made by ant_serve */
    assert_error(ant_state_set(NULL), EINVAL);
    assert_null(ant_state());
    assert_ok(puppet_function_add(puppet, FN_SECOND)); /* it serves, but was not made by ant_serve */
    void *theirs = puppet_new_area(puppet, 1);
    assert_error(puppet_state_set(puppet, theirs), EINVAL);
    assert_null(puppet_state(puppet));
    assert_ok(puppet_ica_free(puppet, theirs));
    assert_ok(puppet_request_free(pid, rq));
    assert_ok(ant_ica_free(mine));
    puppet_release(pid);
    join(pid); /* its state is freed with it: the teardown sees */
}

static void a_request_in_service_cannot_become_state(void **state)
{
    (void)state;
    ant_pid pid = serve(FN, &obedient, NULL);
    struct ant_request *rq = new_request(FN);
    rq->data = new_area(1);
    assert_ok(ant_send(rq));
    struct ant_request *at_server = puppet_take_request(pid);
    assert_error(puppet_state_set(pid, at_server), EINVAL);
    assert_ok(puppet_state_set(pid, at_server->data)); /* data that came is the server's: it may keep it */
    assert_error(puppet_reply(pid, at_server, 0), EBUSY);
    at_server->data = NULL;
    assert_ok(puppet_reply(pid, at_server, 0));
    assert_ptr_equal(boss_result(), rq);
    assert_null(rq->data);
    assert_ok(ant_request_free(rq));
    puppet_release(pid);
    join(pid);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        server_test(a_server_serves_once_its_start_has_returned),
        server_test(options_give_name_priority_and_stack),
        server_test(a_start_that_fails_leaves_nothing),
        server_test(a_start_may_set_the_priority_of_its_server),
        core_test(a_start_that_exits_is_eownerdead),
        server_test(a_start_that_hangs_is_abandoned_at_its_deadline),
        server_test(while_start_runs_requests_are_refused),
        server_test(what_a_server_may_not_do_in_start),
        server_test(serve_refuses_nonsense),
        server_test(serve_needs_a_place_and_a_thread),
        server_test(who_was_asked_to_stop_cannot_serve),
        server_test(who_is_stopped_while_start_runs_gives_up),
        server_test(a_reply_may_come_from_a_later_callback),
        server_test(a_server_is_a_client_of_another),
        server_test(results_are_freed_where_nobody_wants_them),
        server_test(a_server_that_exits_in_a_callback_answers_all),
        server_test(stop_runs_the_callback_which_may_still_reply),
        server_test(callbacks_may_be_missing),
        server_test(a_program_may_bring_its_own_loop),
        server_test(a_server_serves_several_functions),
        server_test(functions_are_added_and_removed_by_rules),
        server_test(what_was_queued_under_a_removed_function_is_served),
        server_test(a_server_may_give_up_its_first_function),
        server_test(a_server_sets_and_replaces_its_state),
        server_test(state_set_refuses_what_cannot_be_a_state),
        server_test(a_request_in_service_cannot_become_state),
    };
    return cmocka_run_group_tests_name("server", tests, NULL, NULL);
}
