/* Checks that any thread may make, and a core that is booted before each test and must be empty after it. */
#include "fixture.h"
#include "puppet.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/* --- Checks ------------------------------------------------------------------------------------------------------- */

static _Atomic unsigned failures;

/* "puppet_reply(...)" is the call ant_reply, made by a puppet. */
static size_t name_of_call(const char *call, char name[64])
{
    static const char puppet[] = "puppet_";
    bool by_puppet = strncmp(call, puppet, sizeof puppet - 1) == 0;
    const char *from = by_puppet ? call + sizeof puppet - 1 : call;
    size_t length = strspn(from, "abcdefghijklmnopqrstuvwxyz0123456789_");
    int n = snprintf(name, 64, "%s%.*s", by_puppet ? "ant_" : "", (int)length, from);
    return n > 0 && n < 64 ? (size_t)n : 63;
}

static void note_error(const char *call, const char *error_name)
{
    const char *folder = getenv("ANT_ERRORS_SEEN");
    if (!folder || !*folder)
        return;
    char path[4096], name[64], line[128];
    name_of_call(call, name);
    snprintf(path, sizeof path, "%s/seen.%ld", folder, (long)getpid());
    int length = snprintf(line, sizeof line, "%s -%s\n", name, error_name);
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0)
        return;
    if (write(fd, line, (size_t)length) != length)
        fprintf(stderr, "%s: cannot note %s", path, line);
    close(fd);
}

static const char *name_of_error(int result, char buffer[24])
{
    const char *name = result < 0 ? strerrorname_np(-result) : NULL;
    if (name)
        snprintf(buffer, 24, "-%s", name);
    else
        snprintf(buffer, 24, "%d", result);
    return buffer;
}

/* stderr and not cmocka's output, which belongs to its own thread. */
static void record(const char *file, int line, const char *text)
{
    if (atomic_fetch_add(&failures, 1) < 20)
        fprintf(stderr, "%s:%d: expectation failed: %s\n", file, line, text);
}

int check_call(int result, int wanted, const char *call, const char *error_name, const char *file,
               int line, bool fatal)
{
    if (result == wanted) {
        if (wanted < 0)
            note_error(call, error_name);
        return result;
    }
    char got[24], text[512];
    snprintf(text, sizeof text, "%s returned %s instead of %s%s", call, name_of_error(result, got),
             wanted < 0 ? "-" : "", error_name);
    if (fatal) {
        print_error("%s\n", text);
        _fail(file, line);
    }
    record(file, line, text);
    return result;
}

bool expect_condition(bool condition, const char *text, const char *file, int line)
{
    if (!condition)
        record(file, line, text);
    return condition;
}

unsigned expect_failures(void)
{
    return atomic_load(&failures);
}

void assert_expectations(void)
{
    unsigned count = atomic_exchange(&failures, 0);
    if (count > 0)
        fail_msg("%u expectations failed (see above)", count);
}

/* --- The core ------------------------------------------------------------------------------------------------------ */

static ant_pid created[256];
static size_t created_count;
static struct ant_info running;

struct ant_config fixture_config(void)
{
    return (struct ant_config){
        .pool_bytes = FIXTURE_POOL_BYTES,
        .max_processes = FIXTURE_PROCESSES,
        .priority = FIXTURE_PRIORITY,
        .trace_events = 4096,
    };
}

void fixture_boot(const struct ant_config *config)
{
    struct ant_config standard = fixture_config();
    created_count = 0;
    atomic_store(&failures, 0);
    int rc = ant_boot(config ? config : &standard);
    if (rc == -ENOTSUP) { /* a mover that this kernel does not have */
        print_message("skipped: %s\n", ant_strerror(rc));
        exit(77);
    }
    assert_int_equal(rc, 0);
    assert_ok(ant_info(&running));
    puppet_init();
}

static void end_created(void)
{
    while (created_count > 0) {
        ant_pid pid = created[--created_count];
        int rc = ant_stop(pid, SOON, NULL);
        if (rc != 0 && rc != -ESRCH)
            fail_msg("a process that the test left cannot be stopped: %s", ant_strerror(rc));
    }
}

void fixture_shutdown(void)
{
    struct ant_shutdown_report report;
    puppet_fini();
    end_created();
    puppet_forget();
    struct ant_ica_stats stats;
    assert_ok(ant_ica_stats(&stats));
    assert_int_equal(stats.own_pages, 0);
    assert_soon(ant_ica_stats(&stats) == 0 && stats.free_pages == stats.page_count);
    assert_int_equal(stats.largest_free_run, stats.page_count);
    assert_ok(ant_shutdown(&report));
    assert_int_equal(report.processes_asked, 0);
    assert_int_equal(report.processes_abandoned, 0);
    assert_int_equal(report.areas_held, 0);
    assert_int_equal(report.pages_held, 0);
    assert_int_equal(report.requests_unanswered, 0);
}

void fixture_boot_with_costs(const struct ant_costs *costs)
{
    struct ant_config config = fixture_config();
    config.costs = costs;
    fixture_boot(&config);
}

void fixture_boot_exact(const struct ant_costs *costs)
{
    fixture_boot_with_costs(costs);
    if (!on_virtual())
        skip();
}

void fixture_boot_seed(uint64_t seed)
{
    struct ant_config config = fixture_config();
    config.pct_depth = seed == 0 ? 0 : 3;
    config.pct_steps = 400;
    config.seed = seed;
    fixture_boot(&config);
}

bool fixture_explores(uint64_t seed, uint64_t seeds)
{
    return seed < seeds && (seed == 0 || on_virtual());
}

int fixture_no_core(void **state)
{
    (void)state;
    if (ant_self() != 0)
        ant_shutdown(NULL);
    return 0;
}

int fixture_setup(void **state)
{
    (void)state;
    if (ant_self() != 0)
        ant_shutdown(NULL); /* left by a test that failed */
    fixture_boot(NULL);
    return 0;
}

int fixture_teardown(void **state)
{
    (void)state;
    if (ant_self() != 0)
        fixture_shutdown();
    assert_expectations();
    return 0;
}

bool on_virtual(void)
{
    return running.machine == ANT_MACHINE_VIRTUAL;
}

bool on_fifo(void)
{
    return running.machine == ANT_MACHINE_FIFO;
}

enum ant_mover mover(void)
{
    return running.mover;
}

bool mover_is_strict(void)
{
    return running.mover != ANT_MOVER_FLAT;
}

size_t free_pages(void)
{
    struct ant_ica_stats stats;
    assert_ok(ant_ica_stats(&stats));
    return stats.free_pages;
}

size_t own_pages(void)
{
    struct ant_ica_stats stats;
    assert_ok(ant_ica_stats(&stats));
    return stats.own_pages;
}

struct ant_process_info info_of(ant_pid pid)
{
    struct ant_process_info info;
    assert_ok(ant_process_info(pid, &info));
    return info;
}

static void remember(ant_pid pid)
{
    assert_in_range(created_count, 0, sizeof created / sizeof *created - 1);
    created[created_count++] = pid;
}

ant_pid serve(uint32_t function, const struct ant_program *program, const struct ant_server_options *options)
{
    ant_pid pid = 0;
    assert_ok(ant_serve(function, program, options, &pid));
    assert_true(pid != 0);
    remember(pid);
    return pid;
}

ant_pid spawn(const char *name, int priority, int (*entry)(void *arg), void *arg)
{
    struct ant_process_options options = {.name = name, .priority = priority};
    ant_pid pid = 0;
    assert_ok(ant_process_create(&options, entry, arg, &pid));
    assert_true(pid != 0);
    remember(pid);
    return pid;
}

int join(ant_pid pid)
{
    int status = 0;
    assert_ok(ant_wait(pid, SOON, &status));
    return status;
}

struct ant_request *new_request(uint32_t function)
{
    struct ant_request *rq = NULL;
    assert_ok(ant_request_new(function, &rq));
    assert_non_null(rq);
    return rq;
}

void *new_area(size_t pages)
{
    void *area = NULL;
    assert_ok(ant_ica_alloc(pages, &area));
    assert_non_null(area);
    return area;
}
