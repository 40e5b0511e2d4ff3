/* ctest: machines=virtual,real */
/*
 * The trace: events in order, the latest kept, as a list and as text; and the texts that the library hands out.
 */
#include "fixture.h"
#include "puppet.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#define FN 7u

static struct ant_event events[8192];

static size_t read_trace(void)
{
    size_t count = 0;
    assert_ok(ant_trace_read(events, sizeof events / sizeof *events, &count));
    return count;
}

/* The next event of a kind from *at on, which is moved behind it. */
static const struct ant_event *next_event(size_t *at, size_t count, enum ant_event_kind kind)
{
    while (*at < count)
        if (events[(*at)++].kind == kind)
            return &events[*at - 1];
    fail_msg("no %s event", ant_event_name(kind));
    return NULL;
}

static void a_request_leaves_its_events_in_order(void **state)
{
    (void)state;
    ant_pid server = puppet_create("server", 0), client = puppet_create("client", 0);
    assert_ok(puppet_function_add(server, FN));
    struct ant_request *rq = puppet_new_request(client, FN);
    rq->cookie = 1234567;
    assert_ok(puppet_send(client, rq));
    struct ant_request *at_server = puppet_take_request(server);
    assert_ok(puppet_reply(server, at_server, -9));
    puppet_take_result(client);
    assert_ok(puppet_send(client, rq));
    assert_ok(puppet_cancel(client, rq));
    size_t count = read_trace(), at = 0;
    const struct ant_event *e;
    do
        e = next_event(&at, count, ANT_EVENT_SEND);
    while (e->a != FN);
    assert_true(e->b == 1234567);
    uint32_t client_index = e->process;
    do
        e = next_event(&at, count, ANT_EVENT_RECEIVE);
    while (e->a != FN);
    assert_true(e->b == 1234567);
    uint32_t server_index = e->process;
    assert_int_not_equal(server_index, client_index);
    do
        e = next_event(&at, count, ANT_EVENT_REPLY);
    while (e->b != 1234567);
    assert_int_equal(e->a, -9);
    assert_int_equal(e->process, server_index);
    do
        e = next_event(&at, count, ANT_EVENT_RESULT);
    while (e->a != FN);
    assert_true(e->b == 1234567);
    assert_int_equal(e->process, client_index);
    e = next_event(&at, count, ANT_EVENT_CANCEL);
    assert_int_equal(e->a, FN);
    assert_true(e->b == 1234567);
    assert_ok(puppet_request_free(client, rq));
}

static void ignore(struct ant_server *self, struct ant_request *rq)
{
    (void)self, (void)rq;
}

static void a_refused_send_leaves_no_event(void **state)
{
    (void)state;
    static const struct ant_program deaf = {.abi = ANT_ABI, .name = "deaf", .request = ignore};
    struct ant_server_options options = {.priority = 5, .queue_limit = 1};
    ant_pid pid = serve(FN, &deaf, &options);
    struct ant_request *rq[8];
    size_t sent = 0, refused = 0;
    for (int i = 0; i < 8; i++) {
        rq[i] = new_request(FN);
        int rc = ant_send(rq[i]);
        sent += rc == 0;
        refused += rc == -EAGAIN;
    }
    assert_int_equal(sent + refused, 8);
    size_t count = read_trace(), events_seen = 0;
    for (size_t i = 0; i < count; i++)
        events_seen += events[i].kind == ANT_EVENT_SEND && events[i].a == FN;
    assert_int_equal(events_seen, sent);
    assert_true(refused > 0 || !on_virtual());
    assert_ok(ant_stop(pid, SOON, NULL));
    for (size_t i = 0; i < sent; i++)
        boss_result();
    for (int i = 0; i < 8; i++)
        assert_ok(ant_request_free(rq[i]));
}

static int return_value(void *arg)
{
    return *(int *)arg;
}

static void processes_and_areas_leave_events(void **state)
{
    (void)state;
    int value = -12;
    struct ant_process_options options = {.priority = 9};
    ant_pid pid;
    assert_ok(ant_process_create(&options, return_value, &value, &pid));
    join(pid);
    void *area = new_area(3);
    struct ant_ica_info info;
    assert_ok(ant_ica_info(area, &info));
    assert_ok(ant_ica_free(area));
    size_t count = read_trace(), at = 0;
    const struct ant_event *e;
    do
        e = next_event(&at, count, ANT_EVENT_CREATE);
    while (e->b != 9);
    int64_t index = e->a;
    e = next_event(&at, count, ANT_EVENT_EXIT);
    assert_int_equal(e->process, index);
    assert_int_equal(e->a, -12);
    do
        e = next_event(&at, count, ANT_EVENT_ALLOC);
    while (e->b != 3);
    assert_int_equal(e->a, info.frame);
    do
        e = next_event(&at, count, ANT_EVENT_FREE);
    while (e->b != 3);
    assert_int_equal(e->a, info.frame);
}

static void numbers_count_up_and_times_do_not_go_back(void **state)
{
    (void)state;
    for (int i = 0; i < 50; i++)
        assert_ok(ant_ica_free(new_area(1)));
    size_t count = read_trace();
    assert_in_range(count, 100, 4096);
    assert_int_equal(events[0].number, 0); /* nothing was overwritten yet */
    for (size_t i = 1; i < count; i++) {
        assert_int_equal(events[i].number, events[i - 1].number + 1);
        if (on_virtual())
            assert_true(events[i].time_ns >= events[i - 1].time_ns);
    }
}

static void the_latest_events_are_kept(void **state)
{
    (void)state;
    fixture_shutdown();
    struct ant_config config = fixture_config();
    config.trace_events = 16;
    fixture_boot(&config);
    for (int i = 0; i < 100; i++)
        assert_ok(ant_ica_free(new_area((size_t)i % 5 + 1)));
    size_t count = read_trace();
    assert_int_equal(count, 16);
    for (size_t i = 1; i < count; i++)
        assert_int_equal(events[i].number, events[i - 1].number + 1);
    assert_int_equal(events[15].kind, ANT_EVENT_FREE);
    assert_int_equal(events[15].b, 5);
    struct ant_event few[4];
    size_t got = 0;
    assert_ok(ant_trace_read(few, 4, &got));
    assert_int_equal(got, 4);
    assert_int_equal(few[3].number, events[15].number); /* the latest, oldest first */
    assert_int_equal(few[0].number, events[12].number);
    assert_ok(ant_trace_read(NULL, 0, &got));
    assert_int_equal(got, 0);
}

static void the_text_has_one_line_an_event(void **state)
{
    (void)state;
    ant_pid server = puppet_create("speaker", 0);
    assert_ok(puppet_function_add(server, FN));
    puppet_dismiss(server);
    size_t count = read_trace();
    int file = memfd_create("trace", MFD_CLOEXEC);
    assert_true(file >= 0);
    assert_ok(ant_trace_write(file));
    static char text[1 << 20];
    ssize_t bytes = pread(file, text, sizeof text - 1, 0);
    assert_true(bytes > 0);
    text[bytes] = 0;
    close(file);
    size_t lines = 0;
    char *line = text;
    for (char *end; (end = strchr(line, '\n')); line = end + 1, lines++) {
        *end = 0;
        unsigned long long number, time_ns;
        unsigned process;
        char rest[160];
        assert_int_equal(sscanf(line, "%llu %llu %u %159[^\n]", &number, &time_ns, &process, rest), 4);
        if (lines < count) {
            assert_int_equal(number, events[lines].number);
            assert_true(time_ns == events[lines].time_ns);
            assert_int_equal(process, events[lines].process);
            assert_non_null(strstr(rest, ant_event_name(events[lines].kind)));
        }
    }
    assert_int_equal(*line, 0); /* the last line is whole */
    assert_true(lines >= count);
    assert_non_null(strstr(text, "1"));
}

static void a_descriptor_that_refuses_is_an_error(void **state)
{
    (void)state;
    assert_ok(ant_ica_free(new_area(1))); /* something to write */
    assert_error(ant_trace_write(-1), EIO);
    int file = open("/dev/full", O_WRONLY | O_CLOEXEC);
    assert_true(file >= 0);
    assert_error(ant_trace_write(file), EIO);
    close(file);
    file = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_true(file >= 0);
    assert_error(ant_trace_write(file), EIO);
    close(file);
}

static void trace_read_refuses_nonsense(void **state)
{
    (void)state;
    size_t count = 5;
    assert_error(ant_trace_read(events, 1, NULL), EINVAL);
    assert_error(ant_trace_read(NULL, 1, &count), EINVAL);
    assert_int_equal(count, 5);
}

static void a_core_without_a_trace_says_so(void **state)
{
    (void)state;
    fixture_shutdown();
    struct ant_config config = fixture_config();
    config.trace_events = 0;
    fixture_boot(&config);
    size_t count = 5;
    assert_error(ant_trace_read(events, 1, &count), ENOENT);
    assert_error(ant_trace_write(1), ENOENT);
    assert_int_equal(count, 5);
}

/* ---- texts ---- */

static void every_event_kind_has_a_name(void **state)
{
    (void)state;
    static const char *const names[] = {"create", "exit",     "dispatch", "alloc",  "free",
                                        "send",   "receive",  "reply",    "result", "cancel",
                                        "step",   "rollback", "death",    "forward"};
    for (int kind = ANT_EVENT_CREATE; kind <= ANT_EVENT_FORWARD; kind++)
        assert_string_equal(ant_event_name((enum ant_event_kind)kind), names[kind]);
    assert_string_equal(ant_event_name((enum ant_event_kind)(ANT_EVENT_FORWARD + 1)), "?");
    assert_string_equal(ant_event_name((enum ant_event_kind) - 1), "?");
    assert_string_equal(ant_event_name((enum ant_event_kind)1000000), "?");
}

static void every_step_of_a_swap_has_a_name_of_its_own(void **state)
{
    (void)state;
    assert_string_equal(ant_swap_step_name(ANT_SWAP_REQUEST), "request");
    assert_string_equal(ant_swap_step_name(ANT_SWAP_EXIT), "exit");
    for (int step = ANT_SWAP_REQUEST; step <= ANT_SWAP_EXIT; step++) {
        const char *name = ant_swap_step_name((enum ant_swap_step)step);
        assert_true(name[0] >= 'a' && name[0] <= 'z');
        for (int other = ANT_SWAP_REQUEST; other < step; other++)
            assert_string_not_equal(ant_swap_step_name((enum ant_swap_step)other), name);
    }
    static const int no_step[] = {0, -1, 13, 1000000};
    for (size_t i = 0; i < 4; i++)
        assert_string_equal(ant_swap_step_name((enum ant_swap_step)no_step[i]), "?");
}

static void every_error_of_the_contract_has_a_sentence_of_its_own(void **state)
{
    (void)state;
    static const int errors[] = {EPERM,       ESRCH,     EAGAIN,     ENOMEM,    EFAULT,
                                 EBUSY,       EEXIST,    EINVAL,     EDEADLK,   EPROTO,
                                 EIO,         ENOENT,    ENOTSUP,    ETIMEDOUT, EALREADY,
                                 EINPROGRESS, ECANCELED, EOWNERDEAD, ESHUTDOWN};
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        const char *text = ant_strerror(-errors[i]);
        assert_true(strlen(text) > 5);
        assert_ptr_equal(ant_strerror(errors[i]), text); /* negative or positive */
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(ant_strerror(errors[j]), text);
        assert_string_not_equal(text, ant_strerror(INT32_MAX));
    }
    static const int any[] = {0,      1,       -1,        4095,       -4096,
                              100000, -100000, INT32_MAX, -INT32_MAX, INT32_MIN};
    for (size_t i = 0; i < sizeof any / sizeof *any; i++)
        assert_true(strlen(ant_strerror(any[i])) > 0);
}

static void the_library_is_the_one_that_was_compiled_against(void **state)
{
    (void)state;
    char version[32];
    snprintf(version, sizeof version, "%d.%d.%d", ANT_VERSION_MAJOR, ANT_VERSION_MINOR, ANT_VERSION_PATCH);
    assert_string_equal(ant_version(), ANT_VERSION);
    assert_string_equal(version, ANT_VERSION);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        core_test(a_request_leaves_its_events_in_order),
        core_test(a_refused_send_leaves_no_event),
        core_test(processes_and_areas_leave_events),
        core_test(numbers_count_up_and_times_do_not_go_back),
        core_test(the_latest_events_are_kept),
        core_test(the_text_has_one_line_an_event),
        core_test(a_descriptor_that_refuses_is_an_error),
        core_test(trace_read_refuses_nonsense),
        core_test(a_core_without_a_trace_says_so),
        cmocka_unit_test(every_event_kind_has_a_name),
        cmocka_unit_test(every_step_of_a_swap_has_a_name_of_its_own),
        cmocka_unit_test(every_error_of_the_contract_has_a_sentence_of_its_own),
        cmocka_unit_test(the_library_is_the_one_that_was_compiled_against),
    };
    return cmocka_run_group_tests_name("trace", tests, NULL, NULL);
}
