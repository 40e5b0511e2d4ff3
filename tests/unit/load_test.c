/* ctest: machines=virtual,real,other movers=strict,flat */
/*
 * Programs from files (load.h): what is loaded, and what is refused before anything of it runs; who holds an object, and that it goes when nobody does.
 *
 * The objects are those of tests/objects; they count their constructors and destructors in `objects`.
 */
#include "child.h"
#include "fixture.h"
#include "objects.h"

#include "core/text.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FN 7u
#define V1 OBJECTS "count_v1.so"
#define V2 OBJECTS "count_v2.so"
#define V3 OBJECTS "count_v3.so"

struct objects objects;

static char message[512];
static const struct ant_load_options told = {.message = message, .message_bytes = sizeof message};
static char folder[64]; /* for files of our own */

/* Boots anew, in the test itself: cmocka has a handler of its own, which it installs before. */
static void contain_faults(void)
{
    struct ant_config config = fixture_config();
    config.contain_faults = true;
    fixture_shutdown();
    signal(SIGSEGV, SIG_DFL);
    fixture_boot(&config);
}

static int setup(void **state)
{
    memset(&objects, 0, sizeof objects);
    strcpy(message, "?");
    return fixture_setup(state);
}

#define load_test(f) cmocka_unit_test_setup_teardown(f, setup, fixture_teardown)

static struct ant_loaded *load(const char *path)
{
    struct ant_loaded *loaded = NULL;
    int rc = ant_program_load(path, &told, &loaded);
    if (rc != 0)
        fail_msg("%s", message);
    return loaded;
}

/* Serves, and gives the object up at once: the server holds it. */
static ant_pid serve_file(const char *path)
{
    struct ant_loaded *loaded = load(path);
    ant_pid pid = serve(FN, ant_loaded_program(loaded), NULL);
    assert_ok(ant_program_unload(loaded));
    return pid;
}

static int swap_file(const char *path, const struct ant_swap_options *options)
{
    struct ant_loaded *loaded = load(path);
    int rc = ant_swap(FN, ant_loaded_program(loaded), options, NULL);
    assert_ok(ant_program_unload(loaded));
    return rc;
}

static struct answer ask(uint32_t operation)
{
    struct ant_request *rq = new_request(FN);
    rq->operation = operation;
    assert_ok(ant_call(rq, ANT_FOREVER));
    struct answer answer = *(struct answer *)(void *)rq->payload;
    assert_ok(ant_request_free(rq));
    return answer;
}

static void assert_answers(uint32_t version, uint32_t count)
{
    struct answer answer = ask(OP_COUNT);
    assert_int_equal(answer.version, version);
    assert_int_equal(answer.count, count);
}

static void crash_server(void)
{
    struct ant_request *rq = new_request(FN);
    rq->operation = OP_CRASH;
    assert_int_equal(ant_call(rq, ANT_FOREVER), -EOWNERDEAD);
    assert_ok(ant_request_free(rq));
}

static int idle(void *arg)
{
    (void)arg;
    return 0;
}

/* How many objects are loaded, as their destructors tell, once threads that have ended have been joined. */
static int loaded_now(void)
{
    ant_pid pid;
    assert_ok(ant_process_create(NULL, idle, NULL, &pid));
    assert_ok(ant_wait(pid, SOON, NULL));
    assert_true(objects.destructed >= 0);
    return objects.constructed - objects.destructed;
}

#define assert_loaded_become(count) assert_soon(loaded_now() == (count))

/* ---- files of our own ---- */

static const char *own_path(const char *name)
{
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static size_t read_file(const char *path, unsigned char *bytes, size_t size)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t length = fread(bytes, 1, size, file);
    assert_true(length > 0 && length < size);
    fclose(file);
    return length;
}

/* The file stays, and is written anew, where it is there already: as a compiler does. */
static const char *write_file(const char *name, const void *bytes, size_t size)
{
    const char *path = own_path(name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    fclose(file);
    return path;
}

static unsigned char bytes[4 << 20];

static const char *copy_file(const char *from, const char *name)
{
    return write_file(name, bytes, read_file(from, bytes, sizeof bytes));
}

static int make_folder(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/ant-load-XXXXXX");
    return mkdtemp(folder) ? 0 : 1;
}

static int remove_folder(void **state)
{
    (void)state;
    char path[512];
    DIR *dir = opendir(folder);
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        unlink(path);
    }
    if (dir)
        closedir(dir);
    return rmdir(folder);
}

/* ---- loading and swapping ---- */

static void a_program_from_a_file_serves_and_is_swapped(void **state)
{
    (void)state;
    ant_pid pid = serve_file(V1);
    assert_string_equal(info_of(pid).name, "count");
    assert_answers(1, 1);
    assert_ok(swap_file(V2, NULL));
    assert_answers(2, 2);
    assert_loaded_become(1);
    assert_ok(swap_file(V3, NULL)); /* by a transformer in the object */
    assert_answers(3, 3);
    assert_loaded_become(1);
    assert_ok(ant_stop(pid, SOON, NULL));
    assert_loaded_become(0);
}

static void the_same_path_gives_what_lies_there_now(void **state)
{
    (void)state;
    const char *path = copy_file(V1, "count.so");
    struct ant_loaded *first = load(path), *again = load(path);
    copy_file(V2, "count.so");
    struct ant_loaded *second = load(path);
    assert_int_equal(ant_loaded_program(first)->version, 1);
    assert_int_equal(ant_loaded_program(second)->version, 2);
    assert_true(ant_loaded_program(again) != ant_loaded_program(first)); /* a copy each */
    assert_int_equal(objects.constructed, 3);
    serve(FN, ant_loaded_program(first), NULL);
    assert_answers(1, 1);
    assert_ok(ant_swap(FN, ant_loaded_program(again), NULL, NULL));
    assert_answers(1, 2);
    assert_ok(ant_swap(FN, ant_loaded_program(second), NULL, NULL));
    assert_answers(2, 3);
    assert_int_equal(objects.destructed, 0);
    assert_ok(ant_program_unload(first));
    assert_ok(ant_program_unload(again));
    assert_ok(ant_program_unload(second));
    assert_loaded_become(1);
}

/* The loader keeps an object as long as destructors of thread-local variables have to come, whatever dlclose says. */
static void what_a_destructor_still_keeps_is_not_taken_for_the_next_generation(void **state)
{
    (void)state;
    const char *path = copy_file(V1, "count.so");
    struct ant_loaded *loaded = load(path);
    struct ant_server self = {.reason = ANT_START_FRESH};
    objects.start_result = -EDOM; /* on this thread, which does not end */
    assert_int_equal(ant_loaded_program(loaded)->start(&self), -EDOM);
    objects.start_result = 0;
    assert_ok(ant_program_unload(loaded));
    assert_int_equal(objects.destructed, 0);
    copy_file(V2, "count.so");
    serve_file(path);
    assert_answers(2, 1);
}

static void who_gives_an_object_up_leaves_it_to_its_server_and_processes(void **state)
{
    (void)state;
    ant_pid pid = serve_file(V1);
    ant_pid helper = ask(OP_HELPER).helper;
    assert_ok(swap_file(V2, NULL));
    assert_int_equal(loaded_now(), 2); /* the helper's code is the first one's */
    assert_ok(ant_stop(pid, SOON, NULL));
    assert_loaded_become(1);
    assert_int_equal(info_of(helper).pages, 0);
    assert_ok(ant_stop(helper, SOON, NULL));
    assert_loaded_become(0);
    assert_int_equal(objects.threads_over, 3);
}

/* The destructors of its thread-local variables would not run. */
static void a_thread_that_has_run_an_object_s_code_is_not_kept_warm(void **state)
{
    (void)state;
    struct ant_config config = fixture_config();
    config.warm_threads = 4;
    fixture_shutdown();
    fixture_boot(&config);
    ant_pid pid = serve_file(V1);
    assert_answers(1, 1);
    assert_ok(swap_file(V2, NULL));
    assert_answers(2, 2);
    assert_ok(ant_stop(pid, SOON, NULL));
    assert_loaded_become(0);
    assert_int_equal(objects.threads_over, 2);
}

/* A program whose callbacks lie in the object, although it does not itself. */
static void a_copy_of_the_program_holds_the_object_too(void **state)
{
    (void)state;
    struct ant_loaded *loaded = load(V1);
    static struct ant_program copy;
    copy = *ant_loaded_program(loaded);
    ant_pid pid = serve(FN, &copy, NULL);
    assert_ok(ant_program_unload(loaded));
    assert_int_equal(loaded_now(), 1);
    assert_answers(1, 1);
    assert_ok(ant_stop(pid, SOON, NULL));
    assert_loaded_become(0);
}

static void a_dead_server_holds_its_object_until_it_is_replaced(void **state)
{
    (void)state;
    contain_faults();
    ant_pid pid = serve_file(V1);
    crash_server();
    assert_int_equal(loaded_now(), 1);
    struct ant_loaded *loaded = load(V2);
    uintptr_t code = (uintptr_t)ant_loaded_program(loaded)->request;
    assert_ok(ant_swap(FN, ant_loaded_program(loaded),
                       &(struct ant_swap_options){.trust_state = true}, NULL));
    assert_ok(ant_program_unload(loaded));
    assert_answers(2, 2);
    assert_loaded_become(1);
    assert_true(antk_text_is_program(code));
    assert_ok(ant_stop(pid, SOON, NULL));
    assert_loaded_become(0);
    assert_false(antk_text_is_program(code));
}

static void a_start_that_fails_leaves_nothing_loaded(void **state)
{
    (void)state;
    serve_file(V1);
    objects.start_result = -EDOM;
    assert_int_equal(swap_file(V2, NULL), -EDOM);
    struct ant_loaded *loaded = load(V3);
    assert_int_equal(ant_serve(FN + 1, ant_loaded_program(loaded), NULL, NULL), -EDOM);
    assert_ok(ant_program_unload(loaded));
    assert_answers(1, 1);
    assert_loaded_become(1);
}

static void what_hangs_in_start_holds_its_object_until_it_has_ended(void **state)
{
    (void)state;
    if (on_virtual()) /* who spins there lets nobody else run */
        skip();
    serve_file(V1);
    objects.start_spins = true;
    assert_int_equal(swap_file(V2, &(struct ant_swap_options){.start_timeout_ns = A_WHILE}), -ETIMEDOUT);
    assert_int_equal(loaded_now(), 2);
    objects.start_spins = false;
    assert_answers(1, 1);
    assert_loaded_become(1);
}

static void a_handle_is_given_up_once(void **state)
{
    (void)state;
    struct ant_loaded *loaded = load(V1);
    serve(FN, ant_loaded_program(loaded), NULL);
    assert_error(ant_program_unload(NULL), EINVAL);
    assert_ok(ant_program_unload(loaded));
    assert_error(ant_program_unload(loaded), EINVAL); /* it is there yet */
}

static void shutdown_unloads_what_the_core_has_held(void **state)
{
    (void)state;
    ant_pid pid = serve_file(V1);
    assert_ok(ant_stop(pid, SOON, NULL));
    fixture_shutdown();
    assert_int_equal(objects.constructed, 1);
    assert_int_equal(objects.destructed, 1);
    struct ant_loaded *loaded = load(V2); /* no process now */
    assert_int_equal(ant_loaded_program(loaded)->version, 2);
    assert_ok(ant_program_unload(loaded));
    assert_int_equal(objects.destructed, 2);
}

/* ---- generations ---- */

/* The lines of /proc/self/maps: all, and those of copies of ours. */
static void count_maps(int *all, int *copies)
{
    char line[512];
    FILE *maps = fopen("/proc/self/maps", "r");
    assert_non_null(maps);
    *all = *copies = 0;
    while (fgets(line, sizeof line, maps)) {
        (*all)++;
        *copies += strstr(line, "/memfd:ant:") != NULL;
    }
    fclose(maps);
}

static _Atomic bool enough;

/* Asks as fast as it can; every request is answered, and counted once. */
static int keep_asking(void *arg)
{
    uint32_t *last = arg;
    struct ant_request *rq;
    if (expect_ok(ant_request_new(FN, &rq)) != 0)
        return 1;
    while (!enough) {
        rq->operation = OP_COUNT;
        if (!expect(ant_call(rq, ANT_FOREVER) == 0 && rq->error == 0))
            break;
        const struct answer *answer = (void *)rq->payload;
        expect(answer->count == *last + 1);
        *last = answer->count;
        ant_sleep(ant_now() + US(20));
    }
    expect_ok(ant_request_free(rq));
    return 0;
}

#define GENERATIONS 300 /* more than text.c has places for */

static void hundreds_of_generations_leave_nothing_behind(void **state)
{
    (void)state;
    static const char *const files[] = {V1, V2, V3};
    int early = 0, late = 0, before = 0, copies = 0, generations = SANITIZED ? 100 : GENERATIONS;
    uint32_t last = 0;
    contain_faults();
    count_maps(&early, &before);
    ant_pid pid = serve_file(V1);
    enough = false;
    ant_pid client = spawn("client", FIXTURE_PRIORITY - 1, keep_asking, &last);
    for (int i = 1; i <= generations; i++) {
        assert_ok(swap_file(files[i % 3], NULL));
        assert_ok(ant_sleep(ant_now() + US(50)));
        if (i == 20)
            count_maps(&early, &copies);
    }
    count_maps(&late, &copies);
    enough = true;
    assert_int_equal(join(client), 0);
    assert_true(copies <= before + 15); /* three objects, with five mappings each */
    if (!SANITIZED)                     /* whose own memory grows as it likes */
        assert_true(late <= early + 20);
    assert_answers((uint32_t)(generations % 3) + 1, last + 1);
    assert_loaded_become(1);
    crash_server(); /* it is still known whose code that is */
    assert_ok(ant_stop(pid, SOON, NULL));
    assert_loaded_become(0);
    count_maps(&late, &copies);
    assert_int_equal(copies, before);
}

/* ---- old pointers ---- */

static void host_request(struct ant_server *self, struct ant_request *rq)
{
    *(struct answer *)(void *)rq->payload = (struct answer){.version = self->program->version};
    ant_reply(rq, 0);
}

static const struct ant_program host = {
    .abi = ANT_ABI, .name = "host", .version = 9, .state_version = 1, .request = host_request};

static void a_state_that_names_the_old_object_is_not_handed_over(void **state)
{
    (void)state;
    serve_file(V1);
    objects.keeps_pointer = true;
    assert_answers(1, 1);
    struct ant_loaded *loaded = load(V2);
    assert_error(ant_swap(FN, ant_loaded_program(loaded), NULL, NULL), ESTALE);
    assert_ok(ant_program_unload(loaded));
    assert_error(ant_swap(FN, &host, NULL, NULL), ESTALE);
    assert_error(swap_file(V3, NULL), ESTALE); /* its transformer copies what it should not */
    assert_int_equal(ask(OP_POINTER).version, 1);
    objects.copies_state = true;
    assert_ok(swap_file(V2, NULL)); /* its `start` knows better */
    assert_int_equal(ask(OP_POINTER).version, 2);
    assert_ok(swap_file(V3, NULL)); /* ... and a transformer */
    assert_int_equal(ask(OP_POINTER).version, 3);
    objects.keeps_pointer = false;
    assert_answers(3, 5);
    assert_loaded_become(1);
}

static void the_report_and_the_log_tell_of_old_pointers(void **state)
{
    (void)state;
    struct ant_swap_report report;
    serve_file(V1);
    objects.keeps_pointer = true;
    assert_answers(1, 1);
    struct ant_loaded *loaded = load(V2);
    assert_error(ant_swap(FN, ant_loaded_program(loaded), NULL, &report), ESTALE);
    assert_int_equal(report.error, -ESTALE);
    assert_int_equal(report.step, ANT_SWAP_START);
    assert_int_equal(report.generation, 1);
    assert_ok(ant_program_unload(loaded));
    assert_loaded_become(1);
}

static void the_further_areas_of_a_heap_are_looked_through_too(void **state)
{
    (void)state;
    for (int keeps = 0; keeps < 2; keeps++) {
        objects.keeps_pointer = keeps;
        ant_pid pid = serve_file(OBJECTS "heap.so");
        struct ant_loaded *loaded = load(OBJECTS "heap.so"); /* another generation */
        int rc = ant_swap(FN, ant_loaded_program(loaded), NULL, NULL);
        assert_int_equal(rc, keeps ? -ESTALE : 0);
        assert_ok(ant_program_unload(loaded));
        assert_ok(ant_stop(pid, SOON, NULL));
    }
}

static void old_objects_are_kept_if_that_is_asked_for(void **state)
{
    (void)state;
    static const struct ant_swap_options keep = {.keep_old_objects = true};
    ant_pid pid = serve_file(V1);
    objects.keeps_pointer = true;
    assert_answers(1, 1);
    assert_ok(swap_file(V2, &keep));
    assert_loaded_become(2);
    struct answer answer = ask(OP_POINTER);
    assert_int_equal(answer.version, 1); /* the old one's function */
    assert_int_equal(answer.count, 2);
    assert_ok(swap_file(V2, NULL)); /* the old one stays */
    assert_int_equal(ask(OP_POINTER).version, 1);
    assert_loaded_become(2);
    assert_ok(ant_stop(pid, SOON, NULL));
    assert_loaded_become(0);
}

/* One member's state names its old object: both serve on, and all that was loaded for them goes. */
static void in_a_group_one_old_pointer_holds_all_back(void **state)
{
    (void)state;
    static const struct ant_swap_options keep = {.keep_old_objects = true};
    struct ant_swap_report reports[2];
    struct ant_loaded *other = load(V1), *v2[] = {load(V2), load(V2)};
    ant_pid pid = serve_file(V1);
    serve(FN + 1, ant_loaded_program(other), NULL);
    assert_ok(ant_program_unload(other));
    objects.keeps_pointer = true;
    assert_answers(1, 1);
    struct ant_swap_item items[] = {{FN + 1, ant_loaded_program(v2[0]), NULL},
                                    {FN, ant_loaded_program(v2[1]), NULL}};
    assert_error(ant_swap_many(items, 2, reports), ESTALE);
    assert_int_equal(reports[0].error, -ECANCELED);
    assert_int_equal(reports[1].error, -ESTALE);
    assert_int_equal(ask(OP_POINTER).version, 1);
    items[1].options = &keep;
    assert_ok(ant_swap_many(items, 2, NULL));
    assert_ok(ant_program_unload(v2[0]));
    assert_ok(ant_program_unload(v2[1]));
    assert_loaded_become(3); /* the old one of the other has gone */
    assert_int_equal(ask(OP_POINTER).version, 1);
    assert_ok(ant_stop(pid, SOON, NULL));
    assert_loaded_become(1);
}

static void swaps_within_an_object_and_into_one_look_for_nothing(void **state)
{
    (void)state;
    struct ant_loaded *loaded = load(V1);
    objects.keeps_pointer = true;
    serve(FN, &host, NULL);
    assert_int_equal(ask(OP_COUNT).version, 9);
    objects.copies_state = true;
    assert_ok(ant_swap(FN, ant_loaded_program(loaded), NULL, NULL)); /* there is no state yet, to copy */
    assert_ok(ant_swap(FN, ant_loaded_program(loaded), NULL, NULL));
    assert_int_equal(ask(OP_POINTER).version, 1);
    objects.copies_state = false;
    assert_ok(ant_swap(FN, ant_loaded_program(loaded), NULL, NULL));
    assert_int_equal(ask(OP_POINTER).version, 1);
    assert_ok(ant_program_unload(loaded));
    objects.keeps_pointer = false;
    ask(OP_COUNT);
    assert_ok(ant_swap(FN, &host, NULL, NULL));
    assert_loaded_become(0);
}

/* ---- what is refused ---- */

const struct ant_program somebody_s_program = {.abi = ANT_ABI, .name = "host", .request = host_request};

/* The error by its own name, which is noted. */
#define assert_refused(path, error, words)                                                         \
    do {                                                                                           \
        struct ant_loaded *never_ = NULL;                                                          \
        check_call(ant_program_load((path), &told, &never_), -(error), "ant_program_load", #error, \
                   __FILE__, __LINE__, true);                                                      \
        assert_null(never_);                                                                       \
        if (!strstr(message, words))                                                               \
            fail_msg("it says \"%s\" and not \"%s\"", message, words);                             \
    } while (0)

static void what_is_no_program_of_ours_is_refused(void **state)
{
    (void)state;
    assert_refused(OBJECTS "no_note.so", ENOEXEC, "ANT_PROGRAM_EXPORT");
    assert_refused(OBJECTS "other_abi.so", EPROTO, "ABI 99");
    assert_refused("/proc/self/exe", ENOEXEC, "ANT_PROGRAM_EXPORT");
    assert_int_equal(objects.constructed, 0); /* nothing of them has run */
    assert_refused(OBJECTS "no_symbol.so", ENOEXEC, "ANT_PROGRAM_EXPORT");
    assert_refused(OBJECTS "other_copy.so", EPROTO, "version 0.0.0");
    assert_refused(OBJECTS "no_name.so", EINVAL, "cannot be served");
    assert_refused(OBJECTS "not_its_own.so", EINVAL, "another object");
    assert_int_equal(objects.constructed, 4);
    assert_int_equal(objects.destructed, 4);
    assert_refused(OBJECTS "undefined.so", ENOLINK, "what_nobody_defines");
    assert_int_equal(objects.constructed, 4);
}

static void what_is_no_file_of_that_kind_is_refused(void **state)
{
    (void)state;
    assert_refused(own_path("nothing"), ENOENT, "opened");
    assert_refused(folder, ENOEXEC, "no regular file");
    assert_refused("/dev/zero", ENOEXEC, "no regular file");
    assert_int_equal(mkfifo(own_path("fifo"), 0600), 0);
    assert_refused(own_path("fifo"), ENOEXEC, "no regular file");
    assert_refused(write_file("empty", "", 0), ENOEXEC, "empty");
    assert_refused(write_file("text", "#!/bin/sh\n", 10), ENOEXEC, "no ELF");
    assert_int_equal(truncate(own_path("empty"), (off_t)1 << 40), 0);
    assert_refused(own_path("empty"), EFBIG, "longer than");
    assert_int_equal(truncate(own_path("empty"), 1 << 20), 0);
    assert_refused(own_path("empty"), ENOEXEC, "no ELF");
}

static void arguments_are_checked(void **state)
{
    (void)state;
    struct ant_loaded *loaded = NULL;
    struct ant_load_options silent = {.message_bytes = 10};
    assert_error(ant_program_load(NULL, &told, &loaded), EINVAL);
    assert_non_null(strstr(message, "NULL"));
    assert_error(ant_program_load(V1, &told, NULL), EINVAL);
    assert_error(ant_program_load(V1, &silent, &loaded), EINVAL);
    assert_error(ant_program_load(own_path("nothing"), NULL, &loaded), ENOENT);
    char few[8];
    struct ant_load_options brief = {.message = few, .message_bytes = sizeof few};
    assert_error(ant_program_load(own_path("nothing"), &brief, &loaded), ENOENT);
    assert_int_equal(strlen(few), sizeof few - 1);
    assert_null(loaded);
}

static void owner_and_mode_are_checked_if_that_is_asked_for(void **state)
{
    (void)state;
    struct ant_load_options careful = told;
    struct ant_loaded *loaded = NULL;
    careful.check_owner = true;
    const char *path = copy_file(V1, "owned.so");
    static const mode_t wrong[] = {0620, 0602, 0666};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_int_equal(chmod(path, wrong[i]), 0);
        assert_error(ant_program_load(path, &careful, &loaded), EPERM);
        assert_non_null(strstr(message, "write"));
    }
    assert_int_equal(chmod(path, 0644), 0);
    if (chown(path, 12345, 12345) == 0) {
        assert_error(ant_program_load(path, &careful, &loaded), EPERM);
        assert_non_null(strstr(message, "12345"));
        assert_int_equal(chown(path, geteuid(), getegid()), 0);
    }
    assert_ok(ant_program_load(path, &careful, &loaded));
    assert_ok(ant_program_unload(loaded));
}

/* ---- what the system refuses; in children ---- */

static void refuse_memory_file(void *arg)
{
    struct ant_loaded *loaded = NULL;
    const int *error = arg;
    child_forbid(SYS_memfd_create, *error);
    if (*error == ENOSYS)
        expect_error(ant_program_load(V1, &told, &loaded), ENOTSUP);
    else
        expect_error(ant_program_load(V1, &told, &loaded), EACCES);
    expect(strstr(message, "memory files") != NULL);
}

static void refuse_memory(void *arg)
{
    (void)arg;
    struct ant_loaded *loaded = NULL;
    child_exhaust_memory();
    int rc = ant_program_load(V1, &told, &loaded);
    child_refill_memory();
    check_call(rc, -ENOMEM, "ant_program_load", "ENOMEM", __FILE__, __LINE__, false);
}

static void what_the_system_refuses_is_told(void **state)
{
    (void)state;
    child_must_succeed(refuse_memory_file, &(int){ENOSYS});
    child_must_succeed(refuse_memory_file, &(int){EACCES});
    if (!SANITIZED)
        child_must_succeed(refuse_memory, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        load_test(a_program_from_a_file_serves_and_is_swapped),
        load_test(the_same_path_gives_what_lies_there_now),
        load_test(what_a_destructor_still_keeps_is_not_taken_for_the_next_generation),
        load_test(who_gives_an_object_up_leaves_it_to_its_server_and_processes),
        load_test(a_thread_that_has_run_an_object_s_code_is_not_kept_warm),
        load_test(a_copy_of_the_program_holds_the_object_too),
        load_test(a_dead_server_holds_its_object_until_it_is_replaced),
        load_test(a_start_that_fails_leaves_nothing_loaded),
        load_test(what_hangs_in_start_holds_its_object_until_it_has_ended),
        load_test(a_handle_is_given_up_once),
        load_test(shutdown_unloads_what_the_core_has_held),
        load_test(hundreds_of_generations_leave_nothing_behind),
        load_test(a_state_that_names_the_old_object_is_not_handed_over),
        load_test(the_report_and_the_log_tell_of_old_pointers),
        load_test(the_further_areas_of_a_heap_are_looked_through_too),
        load_test(old_objects_are_kept_if_that_is_asked_for),
        load_test(in_a_group_one_old_pointer_holds_all_back),
        load_test(swaps_within_an_object_and_into_one_look_for_nothing),
        load_test(what_is_no_program_of_ours_is_refused),
        load_test(what_is_no_file_of_that_kind_is_refused),
        load_test(arguments_are_checked),
        load_test(owner_and_mode_are_checked_if_that_is_asked_for),
        cmocka_unit_test_setup(what_the_system_refuses_is_told, fixture_no_core),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
