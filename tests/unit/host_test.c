/* ctest: machines=virtual,real */
/*
 * What a host that has nothing left, or forbids something, does to each call: an error that says so, and nothing changed.
 *
 * Each test is a child of fork with a core of its own. No core is ever booted in this process.
 */
#include "child.h"
#include "fixture.h"
#include "puppet.h"

#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FN 7u
#define FN_OTHER 8u
#define FN_THIRD 9u

/* ---- what is forbidden ---- */

static void boot_as_nobody(void *arg)
{
    (void)arg;
    child_become_nobody();
    unsetenv("ANT_MACHINE");
    struct ant_config config = fixture_config();
    config.machine = ANT_MACHINE_FIFO;
    assert_error(ant_boot(&config), EPERM);
    assert_true(ant_self() == 0);
    config.machine = ANT_MACHINE_AUTO; /* which falls back, and says why */
    fixture_boot(&config);
    struct ant_info info;
    assert_ok(ant_info(&info));
    assert_int_equal(info.machine, ANT_MACHINE_OTHER);
    assert_non_null(strstr(info.machine_reason, "FIFO"));
    fixture_shutdown();
}

static void fifo_needs_permission_and_auto_falls_back(void **state)
{
    (void)state;
    struct child child;
    child_run(&child, boot_as_nobody, NULL);
    child_assert_success(&child);
    assert_non_null(strstr(child.errors, "FIFO")); /* a warning, by default */
}

static void boot_without_scheduler(void *arg)
{
    (void)arg;
    child_forbid(SYS_sched_setscheduler, EPERM);
    child_forbid(SYS_sched_setattr, EPERM);
    struct ant_config config = fixture_config();
    config.machine = ANT_MACHINE_FIFO;
    assert_error(ant_boot(&config), EPERM);
    fixture_boot(NULL); /* whatever the environment asks for, it is not fifo */
    assert_false(on_fifo());
    fixture_shutdown();
}

static void fifo_forbidden_by_seccomp_is_eperm(void **state)
{
    (void)state;
    child_must_succeed(boot_without_scheduler, NULL);
}

static void boot_without_userfaultfd(void *arg)
{
    (void)arg;
    child_forbid_userfaultfd();
    unsetenv("ANT_MOVER");
    struct ant_config config = fixture_config();
    config.mover = ANT_MOVER_STRICT;
    assert_error(ant_boot(&config), ENOTSUP);
    assert_true(ant_self() == 0);
    config.mover = ANT_MOVER_AUTO;
    fixture_boot(&config);
    struct ant_info info;
    assert_ok(ant_info(&info));
#if defined(__SANITIZE_THREAD__)
    assert_int_equal(info.mover, ANT_MOVER_COPY);
#else
    assert_int_equal(info.mover, ANT_MOVER_STRICT_MREMAP);
    assert_non_null(strstr(info.mover_reason, "userfaultfd"));
#endif
    void *area = new_area(3);
    memset(area, 1, 3 * ANT_PAGE_BYTES);
    assert_ok(ant_ica_free(area));
    fixture_shutdown();
}

static void strict_needs_userfaultfd_and_auto_falls_back(void **state)
{
    (void)state;
    child_must_succeed(boot_without_userfaultfd, NULL);
}

/* ---- no addresses ---- */

static void boot_beyond_any_address_space(void *arg)
{
    (void)arg;
    struct ant_config config = {.pool_bytes = (size_t)1 << 40, .max_processes = 65535};
    unsetenv("ANT_MOVER");
    static const enum ant_mover movers[] = {ANT_MOVER_AUTO, ANT_MOVER_STRICT_MREMAP, ANT_MOVER_COPY};
    for (size_t i = 0; i < 3; i++) {
        config.mover = movers[i];
        assert_error(ant_boot(&config), ENOMEM);
        assert_true(ant_self() == 0);
    }
}

static void a_pool_that_no_machine_has_room_for_is_enomem(void **state)
{
    (void)state;
    if (SANITIZED)
        skip(); /* they give up where mmap fails */
    struct child child;
    child_run(&child, boot_beyond_any_address_space, NULL);
    child_assert_success(&child);
    assert_true(strlen(child.errors) > 0); /* the log says which, and what to make smaller */
}

static void boot_under_ulimit(void *arg)
{
    (void)arg;
    struct rlimit limit = {(rlim_t)512 << 20, (rlim_t)512 << 20};
    assert_int_equal(setrlimit(RLIMIT_AS, &limit), 0);
    unsetenv("ANT_MOVER");
    assert_error(ant_boot(NULL), ENOMEM); /* 1,024 windows of 64 MiB */
    struct ant_config config = {.pool_bytes = (size_t)2 << 20, .max_processes = 8, .stack_bytes = 65536};
    assert_ok(ant_boot(&config)); /* smaller ones, as the log says */
    assert_ok(ant_shutdown(NULL));
}

static void ulimit_v_is_enomem_and_the_log_says_so(void **state)
{
    (void)state;
    if (SANITIZED)
        skip();
    struct child child;
    child_run(&child, boot_under_ulimit, NULL);
    child_assert_success(&child);
    assert_non_null(strstr(child.errors, "ulimit -v"));
}

/* ---- no memory ---- */

static void nod(struct ant_server *self, struct ant_request *rq)
{
    (void)self;
    expect_ok(ant_reply(rq, 0));
}

static const struct ant_program nodder = {.abi = ANT_ABI, .name = "nodder", .version = 1, .request = nod};
static const struct ant_program nodder_again = {
    .abi = ANT_ABI, .name = "nodder", .version = 2, .request = nod};

static void assert_served(uint32_t function)
{
    struct ant_request *rq = new_request(function);
    assert_ok(ant_call(rq, SOON));
    assert_ok(ant_request_free(rq));
}

static void calls_without_memory(void *arg)
{
    (void)arg;
    struct ant_config config = fixture_config();
    config.mover = ANT_MOVER_FLAT;         /* the others may need addresses for a move */
    config.trace_events = (size_t)1 << 20; /* a copy of them is too large for what is left */
    fixture_boot(&config);
    ant_pid server = serve(FN, &nodder, NULL), found = 0, pid = 77;
    int devices[2];
    assert_int_equal(pipe(devices), 0);

    struct ant_swap_report report = {.error = 77};
    child_exhaust_memory();
    expect_error(ant_function_add(FN_OTHER), ENOMEM);
    expect_error(ant_swap(FN, &nodder_again, NULL, &report), ENOMEM);
    expect_error(ant_trace_write(devices[1]), ENOMEM);
    expect_error(ant_serve(FN_THIRD, &nodder, NULL, &pid), ENOMEM);
    /* what needs no memory goes on */
    struct ant_request *rq = NULL;
    expect_ok(ant_request_new(FN, &rq));
    expect_ok(ant_call(rq, SOON));
    expect_ok(ant_request_free(rq));
    child_refill_memory();

    assert_expectations();
    assert_true(pid == 77);
    assert_error(ant_lookup(FN_OTHER, &found), ESRCH);
    assert_error(ant_lookup(FN_THIRD, &found), ESRCH);
    assert_int_equal(info_of(server).generation, 1);
    assert_served(FN);
    assert_ok(ant_function_add(FN_OTHER)); /* nothing is left of the tries */
    assert_ok(ant_function_remove(FN_OTHER));
    serve(FN_THIRD, &nodder, NULL);
    assert_ok(ant_swap(FN, &nodder_again, NULL, &report));
    assert_served(FN);
    fixture_shutdown();
}

static void without_memory_calls_fail_and_change_nothing(void **state)
{
    (void)state;
    if (SANITIZED)
        skip(); /* their malloc does not fail */
    child_must_succeed(calls_without_memory, NULL);
}

/* ---- no threads ---- */

static int return_zero(void *arg)
{
    (void)arg;
    return 0;
}

static void calls_without_threads(void *arg)
{
    (void)arg;
    fixture_boot(NULL);
    ant_pid server = serve(FN, &nodder, NULL), pid = 77, found;
    struct ant_swap_report report = {.error = 77};
    size_t before = free_pages();
    child_forbid_threads();
    for (uint32_t i = 0; i < 2 * FIXTURE_PROCESSES; i++) { /* no place is lost by it */
        assert_error(ant_process_create(NULL, return_zero, NULL, &pid), EAGAIN);
        assert_error(ant_serve(FN_OTHER, &nodder, NULL, &pid), EAGAIN);
        assert_error(ant_swap(FN, &nodder_again, NULL, &report), EAGAIN);
        assert_int_equal(info_of(server).generation, 1);
    }
    assert_int_equal(report.error, -EAGAIN);
    assert_int_equal(report.generation, 1);
    assert_true(pid == 77);
    assert_int_equal(free_pages(), before);
    assert_error(ant_lookup(FN_OTHER, &found), ESRCH);
    assert_served(FN);
    fixture_shutdown();
}

static void without_threads_calls_fail_and_change_nothing(void **state)
{
    (void)state;
    child_must_succeed(calls_without_threads, NULL);
}

/* ---- no mappings: strict-mremap cannot move an area out of the middle of its neighbours ---- */

/* Acts, since a puppet's own talk with the boss moves areas, too. */
static int send_without_maps(void *rq)
{
    child_exhaust_maps();
    expect_error(ant_send(rq), ENOMEM);
    expect_error(ant_call(rq, SOON), ENOMEM);
    child_release_maps();
    return 0;
}

static int reply_without_maps(void *rq)
{
    child_exhaust_maps();
    expect_error(ant_reply(rq, 0), ENOMEM);
    expect_error(ant_forward(rq, BOSS), ENOMEM);
    child_release_maps();
    return 0;
}

static int cancel_without_maps(void *rq)
{
    child_exhaust_maps();
    expect_error(ant_cancel(rq), ENOMEM);
    child_release_maps();
    return 0;
}

static int alloc_without_maps(void *arg)
{
    void *area = (void *)8, *small[3];
    (void)arg;
    for (int i = 0; i < 3; i++)
        expect_ok(ant_ica_alloc(1, &small[i]));
    expect_ok(ant_ica_free(small[1]));
    child_exhaust_maps();
    int rc = ant_ica_alloc(1, &area); /* into the hole: may or may not need one */
    expect(rc == 0 || (rc == -ENOMEM && area == (void *)8));
    child_release_maps();
    if (rc == 0)
        expect_ok(ant_ica_free(area));
    expect_ok(ant_ica_free(small[0]));
    expect_ok(ant_ica_free(small[2]));
    return 0;
}

#define FREED 64

/* What is held back for such cases lasts for a while. */
static int free_without_maps(void *arg)
{
    void *areas[FREED];
    struct ant_request *rqs[FREED];
    int freed = 0;
    (void)arg;
    for (int i = 0; i < FREED; i++) {
        expect_ok(ant_ica_alloc(1, &areas[i]));
        expect_ok(ant_request_new(FN, &rqs[i]));
    }
    child_exhaust_maps();
    while (freed < FREED - 1 && ant_ica_free(areas[freed]) == 0)
        freed++;
    expect_error(ant_ica_free(areas[freed]), ENOMEM);
    expect_error(ant_request_free(rqs[freed]), ENOMEM);
    child_release_maps();
    for (int i = freed; i < FREED; i++) /* they are still its own */
        expect_ok(ant_ica_free(areas[i]));
    for (int i = 0; i < FREED; i++)
        expect_ok(ant_request_free(rqs[i]));
    return 0;
}

static void calls_without_maps(void *arg)
{
    (void)arg;
    struct ant_config config = fixture_config();
    config.mover = ANT_MOVER_STRICT_MREMAP;
    fixture_boot(&config);
    ant_pid client = puppet_create("client", 0), server = puppet_create("server", 0);
    assert_ok(puppet_function_add(server, FN));
    /* Nine neighbours: three in service, three queued, three at home; each test takes the one in the middle. */
    struct ant_request *rq[9], *at_server[3];
    void *first = puppet_new_area(client, 1);
    for (int i = 0; i < 9; i++) {
        rq[i] = puppet_new_request(client, FN);
        rq[i]->cookie = (uint64_t)i;
    }
    for (int i = 0; i < 6; i++)
        assert_ok(puppet_send(client, rq[i]));
    for (int i = 0; i < 3; i++)
        at_server[i] = puppet_take_request(server);
    struct ant_process_info client_before = info_of(client), server_before = info_of(server);
    assert_int_equal(puppet_do(client, send_without_maps, rq[7]), 0);
    assert_int_equal(puppet_do(server, reply_without_maps, at_server[1]), 0);
    assert_int_equal(puppet_do(client, cancel_without_maps, rq[4]), 0);
    assert_int_equal(puppet_do(client, alloc_without_maps, NULL), 0);
    assert_int_equal(puppet_do(client, free_without_maps, NULL), 0);
    assert_expectations();
    puppet_await(client);
    assert_int_equal(info_of(client).pages, client_before.pages);
    assert_int_equal(info_of(server).pages, server_before.pages);
    assert_int_equal(info_of(server).in_service, 3);      /* still in service */
    assert_int_equal(info_of(server).queued_requests, 3); /* still queued */

    /* and when the host can again, everything is where it was */
    assert_ok(puppet_cancel(client, rq[4]));
    assert_ok(puppet_send(client, rq[7]));
    for (int i = 0; i < 3; i++)
        assert_ok(puppet_reply(server, at_server[i], 0));
    static const uint64_t order[] = {3, 5, 7};
    for (int i = 0; i < 3; i++) {
        struct ant_request *next = puppet_take_request(server);
        assert_true(next->cookie == order[i]);
        assert_ok(puppet_reply(server, next, 0));
    }
    for (int i = 0; i < 6; i++)
        puppet_take_result(client);
    for (int i = 0; i < 9; i++)
        assert_ok(puppet_request_free(client, rq[i]));
    assert_ok(puppet_ica_free(client, first));
    fixture_shutdown();
}

static void without_mappings_areas_stay_where_they_are(void **state)
{
    (void)state;
    if (SANITIZED)
        skip();
    child_must_succeed(calls_without_maps, NULL);
}

static int end_without_maps(void *arg)
{
    struct ant_message message = {0};
    (void)arg;
    expect_ok(ant_function_add(FN));
    expect_ok(ant_receive(&message, SOON));
    child_exhaust_maps();
    return 0;
}

static void results_without_maps(void *arg)
{
    (void)arg;
    struct ant_config config = fixture_config();
    config.mover = ANT_MOVER_STRICT_MREMAP;
    fixture_boot(&config);
    struct ant_request *rq[4];
    ant_pid found, server = spawn("server", FIXTURE_PRIORITY - 1, end_without_maps, NULL);
    assert_soon(ant_lookup(FN, &found) == 0);
    for (int i = 0; i < 4; i++)
        rq[i] = new_request(FN); /* neighbours, so that one from their middle needs mappings */
    assert_ok(ant_send(rq[1]));
    join(server);
    child_release_maps();
    struct ant_message message;
    assert_ok(ant_receive(&message, SOON));
    assert_ptr_equal(message.request, rq[1]);
    assert_int_equal(rq[1]->error, -EOWNERDEAD);
    for (int i = 0; i < 4; i++)
        assert_ok(ant_request_free(rq[i]));
    fixture_shutdown();
}

/* It can be answered by nobody else, so what is held back for undoing is spent on it. */
static void without_mappings_a_server_that_ends_is_answered_for(void **state)
{
    (void)state;
    if (SANITIZED)
        skip();
    child_must_succeed(results_without_maps, NULL);
}

static int create_without_maps(void *arg)
{
    ant_pid pid = 77;
    (void)arg;
    child_exhaust_maps();
    int rc = ant_process_create(NULL, return_zero, NULL, &pid);
    child_release_maps();
    expect(pid == 77);
    return rc;
}

static void process_without_a_window(void *arg)
{
    struct ant_config config = fixture_config();
    config.mover = *(enum ant_mover *)arg;
    fixture_boot(&config);
    ant_pid puppet = puppet_create("puppet", 0);
    int rc = puppet_do(puppet, create_without_maps, NULL);
    assert_was(ant_process_create, rc, ENOMEM);
    assert_expectations();
    ant_pid pid;
    assert_ok(ant_process_create(NULL, return_zero, NULL, &pid));
    join(pid);
    fixture_shutdown();
}

static void a_process_that_the_host_has_no_room_for_is_enomem(void **state)
{
    (void)state;
    if (SANITIZED)
        skip();
    enum ant_mover with = ANT_MOVER_STRICT_MREMAP; /* it runs everywhere */
    child_must_succeed(process_without_a_window, &with);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fifo_needs_permission_and_auto_falls_back),
        cmocka_unit_test(fifo_forbidden_by_seccomp_is_eperm),
        cmocka_unit_test(strict_needs_userfaultfd_and_auto_falls_back),
        cmocka_unit_test(a_pool_that_no_machine_has_room_for_is_enomem),
        cmocka_unit_test(ulimit_v_is_enomem_and_the_log_says_so),
        cmocka_unit_test(without_memory_calls_fail_and_change_nothing),
        cmocka_unit_test(without_threads_calls_fail_and_change_nothing),
        cmocka_unit_test(without_mappings_areas_stay_where_they_are),
        cmocka_unit_test(without_mappings_a_server_that_ends_is_answered_for),
        cmocka_unit_test(a_process_that_the_host_has_no_room_for_is_enomem),
    };
    return cmocka_run_group_tests_name("host", tests, NULL, NULL);
}
