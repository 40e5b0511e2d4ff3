/* ctest: machines=virtual,real movers=strict,strict-mremap,flat,copy */
/*
 * Areas, as programs see them: allocation, misuse, whose bytes lie in them, and what a stale access ends in.
 */
#include "child.h"
#include "fixture.h"
#include "puppet.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#define FN 7u

/* ---- allocation ---- */

static void areas_are_aligned_zero_and_of_the_length_asked_for(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 2, 3, 5, 100, 255, 256, 257, 511, 512, 513, 700};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        unsigned char *area = new_area(sizes[i]);
        assert_true((uintptr_t)area % ANT_PAGE_BYTES == 0);
        for (size_t byte = 0; byte < sizes[i] * ANT_PAGE_BYTES; byte++)
            if (area[byte] != 0)
                fail_msg("%zu pages: byte %zu is %u", sizes[i], byte, area[byte]);
        struct ant_ica_info info;
        assert_ok(ant_ica_info(area, &info));
        assert_int_equal(info.pages, sizes[i]);
        assert_in_range(info.frame, 0, FIXTURE_POOL_PAGES - sizes[i]);
        assert_int_equal(own_pages(), sizes[i]);
        assert_int_equal(info_of(ant_self()).pages, sizes[i]);
        assert_ok(ant_ica_free(area));
        assert_int_equal(own_pages(), 0);
    }
}

static void frames_of_areas_do_not_overlap(void **state)
{
    (void)state;
    enum { COUNT = 60 };
    unsigned char *area[COUNT];
    static unsigned char taken[FIXTURE_POOL_PAGES];
    memset(taken, 0, sizeof taken);
    for (size_t i = 0; i < COUNT; i++) {
        size_t pages = i % 13 + 1;
        area[i] = new_area(pages);
        memset(area[i], (int)i + 1, pages * ANT_PAGE_BYTES);
        struct ant_ica_info info;
        assert_ok(ant_ica_info(area[i], &info));
        for (size_t frame = info.frame; frame < info.frame + pages; frame++)
            assert_int_equal(taken[frame]++, 0);
    }
    for (size_t i = 0; i < COUNT; i++) {
        size_t pages = i % 13 + 1;
        for (size_t byte = 0; byte < pages * ANT_PAGE_BYTES; byte++)
            if (area[i][byte] != i + 1)
                fail_msg("area %zu was overwritten", i);
        assert_ok(ant_ica_free(area[i]));
    }
}

static void lengths_that_are_no_power_of_two_waste_nothing(void **state)
{
    (void)state;
    enum { PAGES = 5 };
    static void *area[FIXTURE_POOL_PAGES];
    size_t count = 0, before = free_pages();
    while (free_pages() >= PAGES) {
        area[count] = new_area(PAGES);
        count++;
    }
    assert_int_equal(count, before / PAGES);
    assert_int_equal(free_pages(), before % PAGES);
    while (count > 0)
        assert_ok(ant_ica_free(area[--count]));
}

static void freed_neighbours_coalesce(void **state)
{
    (void)state;
    static void *area[FIXTURE_POOL_PAGES];
    size_t count = 0;
    while (count < FIXTURE_POOL_PAGES)
        area[count++] = new_area(1);
    struct ant_ica_stats stats;
    assert_ok(ant_ica_stats(&stats));
    assert_int_equal(stats.free_pages, 0);
    assert_int_equal(stats.largest_free_run, 0);
    assert_int_equal(stats.own_pages, FIXTURE_POOL_PAGES);
    void *none = (void *)8;
    assert_error(ant_ica_alloc(1, &none), ENOMEM);
    assert_ptr_equal(none, (void *)8);
    for (size_t i = 0; i < count; i += 2) /* every second one: nothing to coalesce */
        assert_ok(ant_ica_free(area[i]));
    assert_ok(ant_ica_stats(&stats));
    assert_int_equal(stats.free_pages, FIXTURE_POOL_PAGES / 2);
    assert_int_equal(stats.largest_free_run, 1);
    assert_error(ant_ica_alloc(2, &none), ENOMEM); /* enough pages, but no run */
    for (size_t i = 1; i < count; i += 2)
        assert_ok(ant_ica_free(area[i]));
    assert_ok(ant_ica_stats(&stats));
    assert_int_equal(stats.largest_free_run, FIXTURE_POOL_PAGES);
}

static void the_whole_pool_is_one_area_at_most(void **state)
{
    (void)state;
    struct ant_ica_stats stats;
    assert_ok(ant_ica_stats(&stats));
    assert_int_equal(stats.page_count, FIXTURE_POOL_PAGES);
    assert_int_equal(stats.free_pages, FIXTURE_POOL_PAGES);
    assert_int_equal(stats.largest_free_run, FIXTURE_POOL_PAGES);
    assert_int_equal(stats.own_pages, 0);
    unsigned char *all = new_area(FIXTURE_POOL_PAGES);
    all[0] = all[FIXTURE_POOL_BYTES - 1] = 1;
    assert_ok(ant_ica_stats(&stats));
    assert_int_equal(stats.free_pages, 0);
    assert_int_equal(stats.largest_free_run, 0);
    void *none;
    assert_error(ant_ica_alloc(1, &none), ENOMEM);
    assert_ok(ant_ica_free(all));
    assert_error(ant_ica_alloc(FIXTURE_POOL_PAGES + 1, &none), EINVAL);
    assert_error(ant_ica_alloc(SIZE_MAX, &none), EINVAL);
    assert_error(ant_ica_alloc(SIZE_MAX / ANT_PAGE_BYTES + 2, &none), EINVAL);
    assert_error(ant_ica_alloc(0, &none), EINVAL);
    assert_error(ant_ica_alloc(1, NULL), EINVAL);
    assert_int_equal(free_pages(), FIXTURE_POOL_PAGES);
}

static void the_largest_free_run_can_be_allocated(void **state)
{
    (void)state;
    static const size_t taken[] = {1, 300, 7, 513, 40, 256};
    void *area[6], *large;
    for (size_t i = 0; i < 6; i++)
        area[i] = new_area(taken[i]);
    for (size_t freed = 0; freed < 6; freed++) {
        assert_ok(ant_ica_free(area[freed]));
        struct ant_ica_stats stats;
        assert_ok(ant_ica_stats(&stats));
        assert_ok(ant_ica_alloc(stats.largest_free_run, &large));
        assert_ok(ant_ica_free(large));
    }
}

/* ---- contiguity in the host's memory ---- */

enum frames { HIDDEN, SCATTERED, ONE_RUN };

/* Of the host's memory, as the page map has them for whoever opened it: root, or someone to whom they are HIDDEN. */
static enum frames frames_of(int pagemap, const void *area, size_t pages)
{
    static uint64_t entries[FIXTURE_POOL_PAGES];
    ssize_t bytes = (ssize_t)(pages * sizeof *entries);
    off_t offset = (off_t)((uintptr_t)area / ANT_PAGE_BYTES * sizeof *entries);
    if (pread(pagemap, entries, (size_t)bytes, offset) != bytes)
        return HIDDEN;
    const uint64_t present = UINT64_C(1) << 63, frame = (UINT64_C(1) << 55) - 1;
    bool missing = false, hidden = false, broken = false;
    for (size_t page = 0; page < pages; page++) {
        missing |= (entries[page] & present) == 0;
        hidden |= (entries[page] & frame) == 0;
        broken |= (entries[page] & frame) != (entries[0] & frame) + page;
    }
    return missing ? SCATTERED : hidden ? HIDDEN : broken ? SCATTERED : ONE_RUN;
}

/* When does the host give transparent huge pages: "[always]", "[madvise]", "[never]"? */
static bool huge_pages_are(const char *when)
{
    char text[64] = "";
    int file = open("/sys/kernel/mm/transparent_hugepage/enabled", O_RDONLY | O_CLOEXEC);
    bool known = file >= 0 && read(file, text, sizeof text - 1) > 0;
    close(file);
    return strstr(known ? text : "[never]", when);
}

/* Does the host give one to who asks? (Not known where frames are hidden: then false.) */
static bool huge_pages_are_to_be_had(int pagemap)
{
    const size_t huge_bytes = (size_t)2 << 20;
    char *memory =
        mmap(NULL, 2 * huge_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(memory != MAP_FAILED);
    char *huge = memory + (huge_bytes - (uintptr_t)memory % huge_bytes) % huge_bytes;
    madvise(huge, huge_bytes, MADV_HUGEPAGE);
    memset(huge, 1, huge_bytes);
    bool had = frames_of(pagemap, huge, huge_bytes / ANT_PAGE_BYTES) == ONE_RUN;
    munmap(memory, 2 * huge_bytes);
    return had;
}

/* What is told of an area, beside what the test sees. may_look: frame numbers; cut: from one huge page. */
static void check_contiguity(int pagemap, bool may_look, bool cut, const void *area, size_t pages)
{
    struct ant_ica_info info;
    enum frames frames, after;
    do { /* again if the kernel has moved pages meanwhile */
        frames = frames_of(pagemap, area, pages);
        assert_ok(ant_ica_info(area, &info));
        after = frames_of(pagemap, area, pages);
    } while (frames != after);
    if (cut)
        assert_int_equal(frames, ONE_RUN);
    if (may_look)
        assert_int_equal(info.contiguity, frames == ONE_RUN ? ANT_CONTIGUITY_VERIFIED : ANT_CONTIGUITY_NO);
    else if (pages > 1 && (frames == SCATTERED || huge_pages_are("[never]")))
        assert_int_equal(info.contiguity, ANT_CONTIGUITY_NO);
    else if (pages == 1 || (cut && mover() == ANT_MOVER_STRICT)) /* kernels that have it tell of huge pages */
        assert_int_equal(info.contiguity, ANT_CONTIGUITY_EXPECTED);
    else
        assert_in_range(info.contiguity, ANT_CONTIGUITY_NO, ANT_CONTIGUITY_EXPECTED);
}

static void there_and_back(ant_pid server, void *area)
{
    struct ant_request *rq = new_request(FN);
    rq->data = area;
    assert_ok(ant_send(rq));
    assert_ok(puppet_reply(server, puppet_take_request(server), 0));
    assert_ptr_equal(boss_result(), rq);
    assert_ok(ant_request_free(rq));
}

static void look_at_areas(int pagemap, bool may_look)
{
    static const size_t sizes[] = {1, 2, 16, 200, 512, 600};
    ant_pid server = puppet_create("server", 0);
    assert_ok(puppet_function_add(server, FN));
    bool huge = mover() != ANT_MOVER_COPY && huge_pages_are_to_be_had(pagemap);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        size_t pages = sizes[i];
        unsigned char *area = new_area(pages);
        struct ant_ica_info info;
        assert_ok(ant_ica_info(area, &info));
        bool in_one = info.frame / 512 == (info.frame + pages - 1) / 512;
        memset(area, 1, pages * ANT_PAGE_BYTES);
        check_contiguity(pagemap, may_look, huge && in_one, area, pages);
        there_and_back(server, area);
        check_contiguity(pagemap, may_look, huge && in_one, area, pages);
        assert_ok(ant_ica_free(area));
    }
    unsigned char *area = new_area(16);
    memset(area, 1, 16 * ANT_PAGE_BYTES);
    assert_int_equal(madvise(area + ANT_PAGE_BYTES, ANT_PAGE_BYTES, MADV_DONTNEED), 0);
    assert_int_equal(frames_of(pagemap, area, 16), SCATTERED); /* a page is missing */
    check_contiguity(pagemap, may_look, false, area, 16);
    if (mover() != ANT_MOVER_STRICT && may_look) {
        area[ANT_PAGE_BYTES] = 1; /* in another frame, most likely */
        check_contiguity(pagemap, may_look, false, area, 16);
    }
    assert_ok(ant_ica_free(area));
}

static void root_is_told_whether_frames_are_consecutive(void **state)
{
    (void)state;
    int pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    bool may_look = frames_of(pagemap, &pagemap, 1) != HIDDEN;
    if (may_look)
        look_at_areas(pagemap, true);
    close(pagemap);
    if (!may_look)
        skip();
}

static void look_as_nobody(void *arg)
{
    (void)arg;
    int pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC); /* if by root, it goes on to show frames */
    child_become_nobody();
    expect(prctl(PR_SET_DUMPABLE, 1) == 0); /* /proc/self is nobody's, too */
    fixture_boot(NULL);
    look_at_areas(pagemap, false);
    fixture_shutdown();
}

static void an_ordinary_user_is_told_no_more_than_what_is_expected(void **state)
{
    (void)state;
    child_must_succeed(look_as_nobody, NULL);
}

/* ---- memory of the host ---- */

/* Counted page by page: the counters of /proc/self/statm lag behind, the further the more CPUs there are. */
static size_t resident_kib(void)
{
    char line[256];
    size_t kib = 0;
    FILE *file = fopen("/proc/self/smaps_rollup", "re");
    assert_non_null(file);
    while (fgets(line, sizeof line, file) && sscanf(line, "Rss: %zu kB", &kib) != 1) {
    }
    fclose(file);
    assert_true(kib > 0);
    return kib;
}

static void use_a_gibibyte_little(void *arg)
{
    (void)arg;
    const size_t mib = 1024, huge = 2 * mib, books = 16 * mib; /* of 262,144 pages: under 64 bytes a page */
    /* stacks, malloc, pages of the C library; and where everything gets huge pages, so do the books */
    const size_t little = huge_pages_are("[always]") ? books : mib / 4;
    struct ant_config config = fixture_config();
    config.pool_bytes = (size_t)1 << 30;
    size_t before = resident_kib();
    fixture_boot(&config);
    size_t booted = resident_kib();
    unsigned char *one = new_area(1);
    *one = 1;
    size_t with_one = resident_kib();
    unsigned char *more = new_area(4096);
    memset(more, 1, 4096 * ANT_PAGE_BYTES);
    size_t with_more = resident_kib();
    fprintf(stderr, "resident: %zu KiB; booted %zu; with one page %zu, with 16 MiB more %zu\n",
            before, booted, with_one, with_more);
    expect(booted <= before + books + little);
    expect(with_one <= booted + huge + little);
    expect(with_more >= with_one + 16 * mib - huge); /* else the counting is wrong */
    expect(with_more <= with_one + 16 * mib + huge + little);
    assert_ok(ant_ica_free(more));
    assert_ok(ant_ica_free(one));
    fixture_shutdown();
}

static void a_pool_is_resident_only_as_used(void **state)
{
    (void)state;
    if (SANITIZED)
        skip(); /* shadow is resident, too */
    child_must_succeed(use_a_gibibyte_little, NULL);
}

/* ---- misuse ---- */

static int hold(struct ant_server *self)
{
    (void)self;
    return puppet_obey();
}

static const struct ant_program holder = {.abi = ANT_ABI, .name = "holder", .run = hold};

static void what_is_no_area_is_refused(void **state)
{
    (void)state;
    char *area = new_area(3);
    struct ant_ica_info info = {.pages = 99};
    void *wrong[] = {NULL,
                     &info,
                     (void *)(uintptr_t)1,
                     (void *)UINTPTR_MAX,
                     (void *)(uintptr_t)0x800000000000,
                     area + 3 * ANT_PAGE_BYTES,
                     (void *)(uintptr_t)hold,
                     stdout};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_error(ant_ica_free(wrong[i]), EFAULT);
        assert_error(ant_ica_info(wrong[i], &info), EFAULT);
    }
    for (size_t byte = 1; byte < 3 * ANT_PAGE_BYTES; byte += 1021) {
        assert_error(ant_ica_free(area + byte), EINVAL);
        assert_error(ant_ica_info(area + byte, &info), EINVAL);
    }
    assert_error(ant_ica_free(area + ANT_PAGE_BYTES), EINVAL);
    assert_error(ant_ica_info(area, NULL), EINVAL);
    assert_int_equal(info.pages, 99);
    assert_error(ant_ica_stats(NULL), EINVAL);
    assert_int_equal(own_pages(), 3);
    assert_ok(ant_ica_free(area));
    assert_error(ant_ica_free(area), EFAULT); /* twice */
    assert_error(ant_ica_info(area, &info), EFAULT);
    assert_error(ant_ica_free(area + ANT_PAGE_BYTES), EFAULT);
}

static void addresses_around_the_window_are_no_areas(void **state)
{
    (void)state;
    char *area = new_area(1);
    struct ant_ica_info info;
    assert_ok(ant_ica_info(area, &info));
    char *window = area - info.frame * ANT_PAGE_BYTES;
    assert_ok(ant_ica_free(area));
    assert_error(ant_ica_free(window - 1), EFAULT);
    assert_error(ant_ica_free(window), EFAULT);
    assert_error(ant_ica_free(window - ANT_PAGE_BYTES), EFAULT);
    assert_error(ant_ica_free(window + FIXTURE_POOL_BYTES), EFAULT);
    assert_error(ant_ica_free(window + FIXTURE_POOL_BYTES - 1), EFAULT);
}

static void anothers_area_is_refused(void **state)
{
    (void)state;
    ant_pid other = puppet_create("other", 0);
    char *theirs = puppet_new_area(other, 2), *mine = new_area(2);
    struct ant_ica_info info;
    assert_error(ant_ica_free(theirs), EPERM);
    assert_error(ant_ica_info(theirs, &info), EPERM);
    assert_error(puppet_ica_free(other, mine), EPERM);
    assert_error(puppet_ica_info(other, mine, &info), EPERM);
    assert_ok(puppet_ica_free(other, theirs));
    assert_ok(ant_ica_free(mine));
}

static void an_area_sent_away_is_anothers_until_it_is_back(void **state)
{
    (void)state;
    ant_pid server = puppet_create("server", 0);
    assert_ok(puppet_function_add(server, FN));
    struct ant_request *rq = new_request(FN);
    char *data = new_area(2);
    struct ant_ica_info info;
    rq->data = data;
    assert_ok(ant_ica_info(rq, &info)); /* a request is an area, too */
    assert_int_equal(info.pages, 1);
    assert_ok(ant_send(rq));
    struct ant_request *at_server = puppet_take_request(server);
    assert_error(ant_ica_info(data, &info), EPERM);
    assert_error(ant_ica_info(rq, &info), EPERM);
    assert_error(ant_ica_free(data), EPERM);
    assert_ok(puppet_ica_info(server, at_server->data, &info));
    assert_ok(puppet_reply(server, at_server, 0));
    assert_ptr_equal(boss_result(), rq);
    assert_ok(ant_ica_info(data, &info));
    assert_ok(ant_ica_free(data));
    assert_ok(ant_request_free(rq));
}

static void the_state_of_a_server_cannot_be_freed_or_sent(void **state)
{
    (void)state;
    ant_pid server = serve(FN, &holder, NULL), other = puppet_create("other", 0);
    assert_ok(puppet_function_add(other, FN + 1));
    void *area = puppet_new_area(server, 2);
    assert_ok(puppet_state_set(server, area));
    assert_error(puppet_ica_free(server, area), EBUSY);
    struct ant_request *rq = puppet_new_request(server, FN + 1);
    rq->data = area;
    assert_error(puppet_send(server, rq), EBUSY);
    assert_error(puppet_call(server, rq, SOON), EBUSY);
    rq->data = NULL;
    struct ant_request *asked = new_request(FN);
    assert_ok(ant_send(asked));
    struct ant_request *at_server = puppet_take_request(server);
    at_server->data = area;
    assert_error(puppet_reply(server, at_server, 0), EBUSY);
    assert_ok(puppet_state_set(server, NULL));
    assert_ok(puppet_reply(server, at_server, 0)); /* an area as any other */
    assert_ptr_equal(boss_result(), asked);
    assert_ok(ant_ica_free(asked->data));
    assert_ok(ant_request_free(asked));
    assert_ok(puppet_request_free(server, rq));
    puppet_release(server);
    join(server);
}

/* ---- whose bytes ---- */

static void a_new_owner_never_sees_another_s_bytes(void **state)
{
    (void)state;
    ant_pid first = puppet_create("first", 0), second = puppet_create("second", 0);
    puppet_await(first); /* their own requests have their pages */
    puppet_await(second);
    static const size_t sizes[] = {1, 3, 64, 256, 600};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        free_pages();
        unsigned char *secret = puppet_new_area(first, sizes[i]);
        struct ant_ica_info before, after;
        assert_ok(puppet_ica_info(first, secret, &before));
        memset(secret, 0x5a, sizes[i] * ANT_PAGE_BYTES);
        assert_ok(puppet_ica_free(first, secret));
        free_pages(); /* first may have kept it for itself; to know, the core takes back what is kept */
        unsigned char *area = puppet_new_area(second, sizes[i]);
        assert_ok(puppet_ica_info(second, area, &after));
        assert_int_equal(after.frame, before.frame); /* else this tests nothing */
        for (size_t byte = 0; byte < sizes[i] * ANT_PAGE_BYTES; byte++)
            if (area[byte] != 0)
                fail_msg("%zu pages: byte %zu of a new area is %#x", sizes[i], byte, area[byte]);
        assert_ok(puppet_ica_free(second, area));
    }
}

/* `strict` rounds such areas up to whole huge frames, and what lies behind the area travels with it. */
static void what_lay_behind_an_area_does_not_travel_with_it(void **state)
{
    (void)state;
    ant_pid server = puppet_create("server", 0);
    assert_ok(puppet_function_add(server, FN));
    struct ant_request *rq = new_request(FN);
    char *big = new_area(512);
    memset(big, 'k', 512 * ANT_PAGE_BYTES);
    assert_ok(ant_ica_free(big));
    char *area = new_area(300);
    rq->data = area;
    assert_ok(ant_send(rq));
    struct ant_request *at_server = puppet_take_request(server);
    const char *there = at_server->data;
    if (mover() == ANT_MOVER_STRICT) { /* else nothing is there */
        for (size_t page = 300; page < 512; page++)
            assert_int_equal(there[page * ANT_PAGE_BYTES], 0);
    }
    assert_ok(puppet_reply(server, at_server, 0));
    assert_ptr_equal(boss_result(), rq);
    assert_int_equal(area[299 * ANT_PAGE_BYTES], mover() == ANT_MOVER_COPY ? 0 : 'k'); /* its own */
    assert_ok(ant_ica_free(area));
    assert_ok(ant_request_free(rq));
}

static void a_new_owner_of_parts_of_several_old_areas_sees_zeros(void **state)
{
    (void)state;
    ant_pid first = puppet_create("first", 0), second = puppet_create("second", 0);
    unsigned char *piece[4];
    for (size_t i = 0; i < 4; i++) { /* alternating owners: runs with several last owners */
        piece[i] = puppet_new_area(i % 2 ? second : first, 4);
        memset(piece[i], 0x77, 4 * ANT_PAGE_BYTES);
    }
    for (size_t i = 0; i < 4; i++)
        assert_ok(puppet_ica_free(i % 2 ? second : first, piece[i]));
    unsigned char *area = puppet_new_area(first, 16);
    for (size_t byte = 0; byte < 16 * ANT_PAGE_BYTES; byte++)
        assert_true(area[byte] == 0 || area[byte] == 0x77);
    /* what the second one had is not to be seen: of 16 pages at most 8 can be the first one's own */
    size_t own = 0;
    for (size_t page = 0; page < 16; page++)
        own += area[page * ANT_PAGE_BYTES] != 0;
    assert_in_range(own, 0, 8);
    assert_ok(puppet_ica_free(first, area));
    unsigned char *fresh = new_area(16); /* a third one sees nothing at all */
    for (size_t byte = 0; byte < 16 * ANT_PAGE_BYTES; byte++)
        assert_int_equal(fresh[byte], 0);
    assert_ok(ant_ica_free(fresh));
}

static void a_process_in_a_dead_one_s_place_sees_nothing_of_it(void **state)
{
    (void)state;
    for (int round = 0; round < 40; round++) { /* more than there are places: one of them is used again */
        ant_pid mortal = puppet_create("mortal", 0);
        unsigned char *area = puppet_new_area(mortal, 3);
        for (size_t byte = 0; byte < 3 * ANT_PAGE_BYTES; byte++)
            assert_int_equal(area[byte], 0);
        memset(area, round + 1, 3 * ANT_PAGE_BYTES);
        puppet_dismiss(mortal); /* with its area */
    }
    assert_int_equal(free_pages(), FIXTURE_POOL_PAGES);
}

static void areas_given_away_by_a_server_show_only_what_it_wrote(void **state)
{
    (void)state;
    /* an area that came with a reply, freed by the client and allocated by the client again: the server's old bytes? */
    ant_pid server = puppet_create("server", 0);
    assert_ok(puppet_function_add(server, FN));
    struct ant_request *rq = new_request(FN);
    unsigned char *data = new_area(2);
    memset(data, 1, 2 * ANT_PAGE_BYTES);
    rq->data = data;
    assert_ok(ant_send(rq));
    struct ant_request *at_server = puppet_take_request(server);
    unsigned char *kept = at_server->data;
    at_server->data = NULL;
    assert_ok(puppet_reply(server, at_server, 0));
    memset(kept, 0x99, 2 * ANT_PAGE_BYTES); /* the server's secret, in an area that was the boss's */
    assert_ok(puppet_ica_free(server, kept));
    unsigned char *again = new_area(2);
    for (size_t byte = 0; byte < 2 * ANT_PAGE_BYTES; byte++)
        assert_true(again[byte] != 0x99);
    assert_ok(ant_ica_free(again));
    assert_ptr_equal(boss_result(), rq);
    assert_ok(ant_request_free(rq));
}

/* ---- stale accesses: each in a child of fork, which dies of it ---- */

enum stale_kind { SENT, FREED, WRITTEN, SENT_LARGE, SECOND_PAGE };

static _Atomic unsigned char sink;

static void touch_stale(void *arg)
{
    enum stale_kind kind = *(enum stale_kind *)arg;
    signal(SIGBUS, SIG_DFL); /* a sanitizer would take them */
    signal(SIGSEGV, SIG_DFL);
    fixture_boot(NULL);
    ant_pid server = puppet_create("librarian", 0);
    assert_ok(puppet_function_add(server, FN));
    size_t pages = kind == SENT_LARGE ? 600 : 2;
    struct ant_request *rq = new_request(FN);
    volatile unsigned char *data = new_area(pages);
    data[0] = 1;
    rq->data = (void *)(uintptr_t)data;
    if (kind == FREED) {
        assert_ok(ant_ica_free((void *)(uintptr_t)data));
    } else {
        assert_ok(ant_send(rq));
        puppet_take_request(server);
    }
    if (kind == WRITTEN)
        data[0] = 2;
    else if (kind == SECOND_PAGE)
        atomic_store(&sink, data[ANT_PAGE_BYTES + 1]);
    else
        atomic_store(&sink, data[kind == SENT_LARGE ? 555 * ANT_PAGE_BYTES : 0]);
    fprintf(stderr, "STILL ALIVE\n");
}

static int signal_of_mover(void)
{
    const char *name = getenv("ANT_MOVER");
    return !name || strcmp(name, "strict") == 0 || strcmp(name, "auto") == 0 ? SIGBUS : SIGSEGV;
}

static bool flat_is_chosen(void)
{
    const char *name = getenv("ANT_MOVER");
    return name && strcmp(name, "flat") == 0;
}

static void assert_dies_of_stale_access(enum stale_kind kind, const char *owner)
{
    struct child child;
    child_run(&child, touch_stale, &kind);
    if (flat_is_chosen()) {
        child_assert_success(&child);
        assert_non_null(strstr(child.errors, "STILL ALIVE"));
        return;
    }
    assert_null(strstr(child.errors, "STILL ALIVE"));
    if (child.signal != signal_of_mover())
        fail_msg("kind %d: signal %d, status %d:\n%s", (int)kind, child.signal, child.exit_status,
                 child.errors);
    /* one line that names the process, the area, and who has it now */
    assert_non_null(strstr(child.errors, "stale"));
    assert_non_null(strstr(child.errors, "boot"));
    if (!strstr(child.errors, owner))
        fail_msg("kind %d: \"%s\" is not named in:\n%s", (int)kind, owner, child.errors);
    char *line = strstr(child.errors, "stale");
    char *end = strchr(line, '\n');
    assert_non_null(end);
    assert_null(strstr(end, "stale"));
}

static void a_stale_read_of_an_area_sent_names_who_has_it(void **state)
{
    (void)state;
    assert_dies_of_stale_access(SENT, "librarian");
    assert_dies_of_stale_access(SECOND_PAGE, "librarian");
    assert_dies_of_stale_access(SENT_LARGE, "librarian");
}

static void a_stale_write_dies_too(void **state)
{
    (void)state;
    assert_dies_of_stale_access(WRITTEN, "librarian");
}

static void a_stale_read_of_a_freed_area_says_that_it_is_free(void **state)
{
    (void)state;
    assert_dies_of_stale_access(FREED, "free");
}

static void touch_stale_quietly(void *arg)
{
    (void)arg;
    signal(SIGBUS, SIG_DFL);
    signal(SIGSEGV, SIG_DFL);
    struct ant_config config = fixture_config();
    config.log = ANT_LOG_QUIET;
    fixture_boot(&config);
    volatile unsigned char *data = new_area(1);
    assert_ok(ant_ica_free((void *)(uintptr_t)data));
    atomic_store(&sink, *data);
}

static void a_quiet_core_says_nothing_of_a_stale_access(void **state)
{
    (void)state;
    if (flat_is_chosen())
        skip();
    struct child child;
    child_run(&child, touch_stale_quietly, NULL);
    assert_int_equal(child.signal, signal_of_mover());
    assert_string_equal(child.errors, "");
}

static void own_handler(int number, siginfo_t *info, void *context)
{
    (void)context;
    static const char text[] = "OWN HANDLER\n";
    if (info->si_addr && write(STDERR_FILENO, text, sizeof text - 1) > 0)
        _exit(100 + number);
}

static void touch_stale_with_own_handler(void *arg)
{
    (void)arg;
    struct sigaction action = {.sa_sigaction = own_handler, .sa_flags = SA_SIGINFO};
    sigaction(SIGBUS, &action, NULL);
    sigaction(SIGSEGV, &action, NULL);
    fixture_boot(NULL);
    volatile unsigned char *data = new_area(1);
    assert_ok(ant_ica_free((void *)(uintptr_t)data));
    atomic_store(&sink, *data);
}

static void a_handler_installed_before_boot_is_chained_to(void **state)
{
    (void)state;
    if (flat_is_chosen())
        skip();
    struct child child;
    child_run(&child, touch_stale_with_own_handler, NULL);
    assert_int_equal(child.exit_status, 100 + signal_of_mover());
    assert_non_null(strstr(child.errors, "stale"));
    assert_non_null(strstr(child.errors, "OWN HANDLER"));
}

static void boot_twice_with_own_handler_between(void *arg)
{
    fixture_boot(NULL);
    fixture_shutdown();
    touch_stale_with_own_handler(arg);
}

static void a_handler_installed_between_two_boots_is_chained_to(void **state)
{
    (void)state;
    if (flat_is_chosen())
        skip();
    struct child child;
    child_run(&child, boot_twice_with_own_handler_between, NULL);
    assert_int_equal(child.exit_status, 100 + signal_of_mover());
    assert_non_null(strstr(child.errors, "OWN HANDLER"));
    assert_non_null(strstr(child.errors, "stale"));
}

static void die_of_anothers_null_pointer(void *arg)
{
    (void)arg;
    signal(SIGBUS, SIG_DFL);
    signal(SIGSEGV, SIG_DFL);
    fixture_boot(NULL);
    unsigned char *volatile nowhere = NULL;
    atomic_store(&sink, *(volatile unsigned char *)nowhere);
}

static void a_fault_outside_the_pool_is_none_of_the_core_s_business(void **state)
{
    (void)state;
    if (SANITIZED)
        skip(); /* UBSan stops before the access */
    struct child child;
    child_run(&child, die_of_anothers_null_pointer, NULL);
    assert_int_equal(child.signal, SIGSEGV);
    assert_null(strstr(child.errors, "stale"));
}

static void ignored_and_blocked_signals_kill_all_the_same(void *arg)
{
    (void)arg;
    fixture_boot(NULL);
    volatile unsigned char *data = new_area(1);
    assert_ok(ant_ica_free((void *)(uintptr_t)data));
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGBUS);
    sigaddset(&set, SIGSEGV);
    sigprocmask(SIG_BLOCK, &set, NULL);
    atomic_store(&sink, *data);
    fprintf(stderr, "STILL ALIVE\n");
}

static void a_stale_access_with_the_signal_blocked_still_ends_the_program(void **state)
{
    (void)state;
    if (flat_is_chosen())
        skip();
    struct child child;
    child_run(&child, ignored_and_blocked_signals_kill_all_the_same, NULL);
    assert_int_equal(child.signal, signal_of_mover());
    assert_null(strstr(child.errors, "STILL ALIVE"));
}

static void system_calls_given_a_stale_pointer_fail_with_efault(void **state)
{
    (void)state;
    if (!mover_is_strict())
        skip();
    int pipes[2];
    assert_int_equal(pipe(pipes), 0);
    char *data = new_area(2);
    data[0] = 'x';
    assert_int_equal(write(pipes[1], data, 1), 1);
    assert_ok(ant_ica_free(data));
    errno = 0;
    assert_int_equal(write(pipes[1], data, 1), -1);
    assert_int_equal(errno, EFAULT);
    errno = 0;
    assert_int_equal(read(pipes[0], data, 1), -1);
    assert_int_equal(errno, EFAULT);
    close(pipes[0]);
    close(pipes[1]);
}

static void another_mmap_never_lands_in_a_window(void **state)
{
    (void)state;
    char *area = new_area(64);
    struct ant_ica_info info;
    assert_ok(ant_ica_info(area, &info));
    char *window = area - info.frame * ANT_PAGE_BYTES;
    assert_ok(ant_ica_free(area));
    for (int i = 0; i < 200; i++) {
        area = new_area(64);
        assert_ok(ant_ica_free(area));
        char *other = mmap(NULL, ANT_PAGE_BYTES, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        assert_true(other != MAP_FAILED);
        assert_true(other < window || other >= window + FIXTURE_POOL_BYTES);
        munmap(other, ANT_PAGE_BYTES);
        /* nor can one be put there by who respects what is there */
        other = mmap(window, ANT_PAGE_BYTES, PROT_READ,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
        assert_true(other == MAP_FAILED);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        /* first, while no core has been booted in this process, and no handler installed */
        cmocka_unit_test(a_pool_is_resident_only_as_used),
        cmocka_unit_test(an_ordinary_user_is_told_no_more_than_what_is_expected),
        cmocka_unit_test(a_stale_read_of_an_area_sent_names_who_has_it),
        cmocka_unit_test(a_stale_write_dies_too),
        cmocka_unit_test(a_stale_read_of_a_freed_area_says_that_it_is_free),
        cmocka_unit_test(a_quiet_core_says_nothing_of_a_stale_access),
        cmocka_unit_test(a_handler_installed_before_boot_is_chained_to),
        cmocka_unit_test(a_fault_outside_the_pool_is_none_of_the_core_s_business),
        cmocka_unit_test(a_stale_access_with_the_signal_blocked_still_ends_the_program),
        cmocka_unit_test(a_handler_installed_between_two_boots_is_chained_to),
        core_test(areas_are_aligned_zero_and_of_the_length_asked_for),
        core_test(frames_of_areas_do_not_overlap),
        core_test(lengths_that_are_no_power_of_two_waste_nothing),
        core_test(freed_neighbours_coalesce),
        core_test(the_whole_pool_is_one_area_at_most),
        core_test(the_largest_free_run_can_be_allocated),
        core_test(root_is_told_whether_frames_are_consecutive),
        core_test(what_is_no_area_is_refused),
        core_test(addresses_around_the_window_are_no_areas),
        core_test(anothers_area_is_refused),
        core_test(an_area_sent_away_is_anothers_until_it_is_back),
        core_test(the_state_of_a_server_cannot_be_freed_or_sent),
        core_test(a_new_owner_never_sees_another_s_bytes),
        core_test(what_lay_behind_an_area_does_not_travel_with_it),
        core_test(a_new_owner_of_parts_of_several_old_areas_sees_zeros),
        core_test(a_process_in_a_dead_one_s_place_sees_nothing_of_it),
        core_test(areas_given_away_by_a_server_show_only_what_it_wrote),
        core_test(system_calls_given_a_stale_pointer_fail_with_efault),
        core_test(another_mmap_never_lands_in_a_window),
    };
    return cmocka_run_group_tests_name("ica", tests, NULL, NULL);
}
