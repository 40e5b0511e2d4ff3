/* ctest: no-core timeout=300 */
/*
 * The ICA room by itself: runs of free frames, areas, and all four movers, each with every test that applies to it.
 */
#include "ica/mover.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define POOL_BYTES ((size_t)16 << 20)
#define POOL_PAGES ((uint32_t)(POOL_BYTES / ANT_PAGE_BYTES))
#define WINDOWS 8u

static enum ant_mover mover;   /* of the group that runs */
static struct antk_pool *pool; /* of the test that runs */
static struct antk_window at[WINDOWS + 1];

/* --- Fixture ---------------------------------------------------------------------------------------------------- */

static int set_up(void **state)
{
    (void)state;
    char reason[512] = "";
    struct antk_pool_config config = {.bytes = POOL_BYTES, .max_windows = WINDOWS, .mover = mover};
    if (antk_pool_create(&config, &pool, reason, sizeof(reason)) != 0) {
        print_message("%s\n", reason);
        return -1;
    }
    for (uint32_t id = 1; id <= WINDOWS; id++) {
        at[id].space = id;
        if (antk_window_create(pool, id, &at[id]) != 0)
            return -1;
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    antk_pool_destroy(pool);
    return 0;
}

static uint32_t area_in(uint32_t window, size_t pages)
{
    uint32_t frame = ANTK_NO_FRAME;
    assert_int_equal(antk_area_take(pool, pages, &frame), 0);
    assert_int_equal(antk_area_attach(pool, &at[window], frame), 0);
    return frame;
}

static void drop(uint32_t window, uint32_t frame)
{
    assert_int_equal(antk_area_detach(pool, &at[window], frame), 0);
    antk_area_put(pool, frame);
}

static void remap(uint32_t from, uint32_t to, uint32_t frame)
{
    assert_int_equal(antk_area_remap(pool, &at[from], &at[to], frame), 0);
}

static char *bytes_of(uint32_t window, uint32_t frame)
{
    return antk_area_address(&at[window], frame);
}

/* Every page says which one it is, at both ends. */
static void mark(uint32_t window, uint32_t frame, size_t pages, uint32_t seed)
{
    for (size_t page = 0; page < pages; page++) {
        uint32_t *words = (uint32_t *)(void *)(bytes_of(window, frame) + page * ANT_PAGE_BYTES);
        words[0] = words[1023] = seed + (uint32_t)page;
    }
}

static bool marked(uint32_t window, uint32_t frame, size_t pages, uint32_t seed)
{
    for (size_t page = 0; page < pages; page++) {
        const uint32_t *words =
            (const uint32_t *)(const void *)(bytes_of(window, frame) + page * ANT_PAGE_BYTES);
        if (words[0] != seed + (uint32_t)page || words[1023] != seed + (uint32_t)page)
            return false;
    }
    return true;
}

static void assert_whole_pool_free(void)
{
    size_t free_pages, largest;
    antk_pool_stats(pool, &free_pages, &largest);
    assert_int_equal(free_pages, POOL_PAGES);
    assert_int_equal(largest, POOL_PAGES);
}

static uint64_t random_state;
static uint32_t draw(uint32_t below)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((random_state >> 33) % below);
}

/* --- Accesses that may fault -------------------------------------------------------------------------------------- */

static _Thread_local sigjmp_buf landing;
static _Thread_local volatile sig_atomic_t landing_ready;

static void on_fault(int signal_number)
{
    if (!landing_ready)
        abort();
    siglongjmp(landing, signal_number);
}

static void catch_faults(void)
{
    struct sigaction action = {.sa_handler = on_fault, .sa_flags = SA_NODEFER};
    sigaction(SIGBUS, &action, NULL);
    sigaction(SIGSEGV, &action, NULL);
}

/* The signal that reading or writing one byte raises, or 0. */
static int touch(volatile char *address, bool write)
{
    int raised = sigsetjmp(landing, 1);
    if (raised == 0) {
        landing_ready = 1;
        if (write)
            *address = 1;
        else
            (void)*address;
    }
    landing_ready = 0;
    return raised;
}

static int stale_signal(void)
{
    return mover == ANT_MOVER_STRICT ? SIGBUS : SIGSEGV;
}

static void assert_stale(const char *run, size_t pages)
{
    for (size_t page = 0; page < pages; page++) {
        volatile char *address = (volatile char *)(uintptr_t)run + page * ANT_PAGE_BYTES;
        assert_int_equal(touch(address, false), stale_signal());
        assert_int_equal(touch(address, true), stale_signal());
    }
}

/* --- System calls that fail --------------------------------------------------------------------------------------- */

/*
 * These take the place of the C library's for the whole program. While armed, calls that concern the pool are counted,
 * and those from the one numbered `first` on fail, `length` of them; and they do at most `most_bytes` at a time, as kernels do
 * that meet a boundary: UFFDIO_MOVE says how far it got, mremap (before Linux 6.17) has unmapped the destination by then.
 */
static struct {
    bool armed;
    int number, first, length, error;
    size_t most_bytes;
} fault;

static bool fails_now(void)
{
    if (!fault.armed)
        return false;
    int number = fault.number++;
    return number >= fault.first && number < fault.first + fault.length;
}

int mprotect(void *address, size_t bytes, int protection)
{
    char *run = address;
    bool ours = fault.armed && run >= pool->base && run < pool->base + pool->span_bytes;
    if (ours && fails_now()) {
        errno = ENOMEM;
        return -1;
    }
    return (int)syscall(SYS_mprotect, address, bytes, protection);
}

void *mremap(void *from, size_t old_bytes, size_t new_bytes, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    void *to = (flags & MREMAP_FIXED) != 0 ? va_arg(arguments, void *) : NULL;
    va_end(arguments);
    bool too_long = fault.armed && old_bytes > fault.most_bytes, fails = fails_now();
    if (too_long || fails) {
        munmap(to, new_bytes);
        errno = fails ? ENOMEM : EFAULT;
        return MAP_FAILED;
    }
    return (void *)syscall(SYS_mremap, from, old_bytes, new_bytes, flags, to); // NOLINT(performance-no-int-to-ptr)
}

int ioctl(int file, unsigned long request, ...)
{
    va_list arguments;
    va_start(arguments, request);
    void *argument = va_arg(arguments, void *);
    va_end(arguments);
    bool moves = fault.armed && (request >> 8 & 0xFF) == 0xAA &&
                 ((request & 0xFF) == 5 || (request & 0xFF) == 3);
    if (moves && fails_now()) {
        errno = fault.error;
        return -1;
    }
    struct {
        uint64_t to, from, bytes, mode;
        int64_t done;
    } *move = argument; /* UFFDIO_MOVE's and UFFDIO_COPY's */
    uint64_t asked = moves ? move->bytes : 0;
    if (moves && asked > fault.most_bytes)
        move->bytes = fault.most_bytes;
    int result = (int)syscall(SYS_ioctl, file, request, argument);
    if (moves && result == 0 && move->bytes < asked) {
        errno = EAGAIN;
        result = -1;
    }
    return result;
}

/* --- Free runs ------------------------------------------------------------------------------------------------------ */

enum { BITMAP_MOST = 1000 };

/* Free runs, and what they must say: a flag for each unit. */
struct bitmap {
    struct antk_runs runs;
    uint32_t count;
    bool free_unit[BITMAP_MOST];
};

static void bitmap_all_free(struct bitmap *bitmap, uint32_t count)
{
    assert_int_equal(antk_runs_init(&bitmap->runs, count), 0);
    bitmap->count = count;
    memset(bitmap->free_unit, true, sizeof(bitmap->free_unit));
}

static void change(struct bitmap *bitmap, uint32_t first, uint32_t length, bool give)
{
    (give ? antk_runs_give : antk_runs_take)(&bitmap->runs, first, length);
    for (uint32_t unit = first; unit < first + length; unit++)
        bitmap->free_unit[unit] = give;
}

static void assert_agree(const struct bitmap *bitmap, uint32_t want)
{
    uint32_t lowest = ANTK_NO_RUN, highest = ANTK_NO_RUN, best = 0, run = 0;
    for (uint32_t unit = 0; unit < bitmap->count; unit++) {
        run = bitmap->free_unit[unit] ? run + 1 : 0;
        best = run > best ? run : best;
        if (run >= want) {
            lowest = lowest == ANTK_NO_RUN ? unit + 1 - want : lowest;
            highest = unit + 1 - want;
        }
    }
    assert_int_equal(antk_runs_largest(&bitmap->runs), best);
    assert_int_equal(antk_runs_lowest(&bitmap->runs, want), lowest);
    assert_int_equal(antk_runs_highest(&bitmap->runs, want), highest);
}

static void runs_agree_with_a_bitmap(void **state)
{
    (void)state;
    random_state = 7;
    for (uint32_t count = 1; count < 140; count += 1 + count / 8) {
        struct bitmap bitmap;
        bitmap_all_free(&bitmap, count);
        for (int step = 0; step < 2000; step++) {
            uint32_t first = draw(count), length = draw(count - first) + 1;
            change(&bitmap, first, length, draw(2) == 0);
            assert_agree(&bitmap, draw(count) + 1);
        }
        antk_runs_fini(&bitmap.runs);
    }
}

static void runs_of_many_words_agree_with_a_bitmap(void **state)
{
    (void)state;
    const uint32_t counts[] = {64, 65, 128, 191, 320, 511, 513, BITMAP_MOST};
    random_state = 8;
    for (size_t i = 0; i < sizeof(counts) / sizeof(*counts); i++) {
        struct bitmap bitmap;
        uint32_t count = counts[i];
        bitmap_all_free(&bitmap, count);
        for (int step = 0; step < 4000; step++) {
            /* Mostly short ones, which leave words mixed; now and then whole words, and all of it. */
            uint32_t first = draw(count), left = count - first, length = draw(3) + 1;
            if (draw(8) == 0)
                length = draw(130) + 1;
            if (draw(500) == 0)
                first = 0, length = left = count;
            change(&bitmap, first, length < left ? length : left, draw(2) == 0);
            assert_agree(&bitmap, draw(4) == 0 ? draw(count) + 1 : draw(70) + 1);
        }
        antk_runs_fini(&bitmap.runs);
    }
}

static void entries_lie_apart_and_none_twice(void **state)
{
    (void)state;
    static bool used[4 * ANTK_HUGE_PAGES];
    for (uint32_t frame = 0; frame < 4 * ANTK_HUGE_PAGES; frame++) {
        uint32_t entry = antk_apart(frame);
        assert_true(entry < 4 * ANTK_HUGE_PAGES);
        assert_false(used[entry]);
        used[entry] = true;
        for (uint32_t other = frame + 1; other < frame + 64 && other < 4 * ANTK_HUGE_PAGES; other++)
            assert_int_not_equal(antk_apart(other) / 4, entry / 4);
    }
}

/* --- Taking and giving back --------------------------------------------------------------------------------------- */

struct held {
    uint32_t frame, pages, frames, window, seed;
};

static void ten_thousand_random_operations_agree_with_a_model(void **state)
{
    (void)state;
    enum { HELD = 200 };
    static struct held held[HELD];
    static bool taken[POOL_PAGES];
    uint32_t count = 0, free_pages = POOL_PAGES;
    memset(taken, 0, sizeof(taken));
    random_state = 42;
    for (uint32_t step = 1; step <= 10000; step++) {
        uint32_t what = draw(100);
        if (what < 45 && count < HELD) {
            struct held new = {.pages = draw(50) == 0 ? 1 + draw(1200) : 1 + draw(40),
                               .window = 1 + draw(WINDOWS)};
            int error = antk_area_take(pool, new.pages, &new.frame);
            if (error != 0) {
                size_t free_now, largest;
                antk_pool_stats(pool, &free_now, &largest);
                assert_int_equal(error, -ENOMEM);
                assert_true(largest < new.pages);
                continue;
            }
            assert_int_equal(antk_area_attach(pool, &at[new.window], new.frame), 0);
            new.frames = antk_pool_area(pool, new.frame)->frames;
            assert_int_equal(antk_pool_area(pool, new.frame)->pages, new.pages);
            for (uint32_t frame = new.frame; frame < new.frame + new.frames; frame++) {
                assert_false(taken[frame]);
                taken[frame] = true;
            }
            free_pages -= new.frames;
            new.seed = step * 2000;
            mark(new.window, new.frame, new.pages, new.seed);
            held[count++] = new;
        } else if (what < 70 && count > 0) {
            struct held *one = &held[draw(count)];
            uint32_t to = 1 + draw(WINDOWS);
            remap(one->window, to, one->frame);
            one->window = to;
            assert_true(marked(to, one->frame, one->pages, one->seed));
        } else if (count > 0) {
            uint32_t which = draw(count);
            struct held one = held[which];
            assert_true(marked(one.window, one.frame, one.pages, one.seed));
            drop(one.window, one.frame);
            for (uint32_t frame = one.frame; frame < one.frame + one.frames; frame++)
                taken[frame] = false;
            free_pages += one.frames;
            held[which] = held[--count];
        }
        size_t free_now, largest;
        antk_pool_stats(pool, &free_now, &largest);
        assert_int_equal(free_now, free_pages);
    }
    while (count > 0) {
        struct held *one = &held[--count];
        assert_true(marked(one->window, one->frame, one->pages, one->seed));
        drop(one->window, one->frame);
    }
    assert_whole_pool_free();
}

static void lengths_that_are_no_power_of_two_waste_nothing(void **state)
{
    (void)state;
    size_t expected = POOL_PAGES, free_pages, largest;
    uint32_t next = 0, frames[8];
    const uint32_t lengths[8] = {1, 3, 5, 7, 33, 100, 129, 255};
    for (int i = 0; i < 8; i++) {
        frames[i] = area_in(1, lengths[i]);
        assert_int_equal(frames[i], next);
        next += lengths[i];
        expected -= lengths[i];
        antk_pool_stats(pool, &free_pages, &largest);
        assert_int_equal(free_pages, expected);
        assert_int_equal(largest, expected);
    }
    for (int i = 0; i < 8; i++)
        drop(1, frames[(i * 3) % 8]);
    assert_whole_pool_free();
}

static void an_exhausted_pool_refuses_and_recovers(void **state)
{
    (void)state;
    static uint32_t frames[POOL_PAGES];
    uint32_t frame = 77;
    for (uint32_t i = 0; i < POOL_PAGES; i++)
        assert_int_equal(antk_area_take(pool, 1, &frames[i]), 0);
    assert_int_equal(antk_area_take(pool, 1, &frame), -ENOMEM);
    for (uint32_t i = 0; i < POOL_PAGES; i += 2)
        antk_area_put(pool, frames[i]);
    assert_int_equal(antk_area_take(pool, 2, &frame), -ENOMEM);
    assert_int_equal(antk_area_take(pool, (size_t)POOL_PAGES + 1, &frame), -ENOMEM);
    assert_int_equal(antk_area_take(pool, SIZE_MAX, &frame), -ENOMEM);
    assert_int_equal(antk_area_take(pool, 0, &frame), -EINVAL);
    assert_int_equal(frame, 77);
    for (uint32_t i = 1; i < POOL_PAGES; i += 2)
        antk_area_put(pool, frames[i]);
    assert_whole_pool_free();
    frame = area_in(3, POOL_PAGES);
    mark(3, frame, POOL_PAGES, 1);
    remap(3, 4, frame);
    assert_true(marked(4, frame, POOL_PAGES, 1));
    drop(4, frame);
    assert_whole_pool_free();
}

static void huge_areas_take_whole_huge_frames_from_the_top(void **state)
{
    (void)state;
    size_t free_pages, largest;
    uint32_t small = area_in(1, 5), huge = area_in(1, 256), larger = area_in(1, 513);
    antk_pool_stats(pool, &free_pages, &largest);
    assert_int_equal(small, 0);
    if (mover == ANT_MOVER_STRICT) {
        assert_int_equal(huge, POOL_PAGES - 512);
        assert_int_equal(larger, POOL_PAGES - 512 - 1024);
        assert_int_equal(antk_pool_area(pool, huge)->pages, 256);
        assert_int_equal(antk_pool_area(pool, huge)->frames, 512);
        assert_int_equal(free_pages, POOL_PAGES - 5 - 512 - 1024);
    } else {
        assert_int_equal(huge, 5);
        assert_int_equal(free_pages, POOL_PAGES - 5 - 256 - 513);
    }
    drop(1, small);
    drop(1, huge);
    drop(1, larger);
    assert_whole_pool_free();
}

static void a_huge_area_without_whole_huge_frames_takes_plain_ones(void **state)
{
    (void)state;
    uint32_t ones[POOL_PAGES / 512], frame;
    static uint32_t all[POOL_PAGES];
    for (uint32_t i = 0; i < POOL_PAGES; i++)
        assert_int_equal(antk_area_take(pool, 1, &all[i]), 0);
    for (uint32_t i = 0; i < POOL_PAGES; i++) /* leave one page of each block */
        if (i % 512 != 100)
            antk_area_put(pool, all[i]);
    for (uint32_t i = 0; i < POOL_PAGES / 512; i++)
        ones[i] = i * 512 + 100;
    frame = area_in(2, 400);
    assert_int_equal(antk_pool_area(pool, frame)->frames, 400);
    mark(2, frame, 400, 5);
    remap(2, 1, frame);
    assert_true(marked(1, frame, 400, 5));
    drop(1, frame);
    for (uint32_t i = 0; i < POOL_PAGES / 512; i++)
        antk_area_put(pool, ones[i]);
    assert_whole_pool_free();
}

/* --- Moving ------------------------------------------------------------------------------------------------------- */

static void an_area_keeps_its_offset_and_its_bytes(void **state)
{
    (void)state;
    uint32_t frame = area_in(1, 37);
    mark(1, frame, 37, 1000);
    char *first = bytes_of(1, frame);
    for (uint32_t window = 1; window < WINDOWS; window++) {
        remap(window, window + 1, frame);
        assert_true(marked(window + 1, frame, 37, 1000));
        assert_int_equal(atomic_load(&antk_pool_area(pool, frame)->owner), window + 1);
        assert_int_equal(bytes_of(window, frame) - at[window].base,
                         bytes_of(window + 1, frame) - at[window + 1].base);
    }
    remap(WINDOWS, 1, frame);
    assert_ptr_equal(bytes_of(1, frame), first);
    assert_true(marked(1, frame, 37, 1000));
    drop(1, frame);
}

static void a_stale_access_faults(void **state)
{
    (void)state;
    if (mover == ANT_MOVER_FLAT)
        skip();
    catch_faults();
    for (size_t pages = 1; pages <= 600; pages += 299) {
        uint32_t frame = area_in(1, pages);
        assert_stale(antk_home(pool, frame), pages);
        mark(1, frame, pages, 1);
        remap(1, 2, frame);
        assert_stale(bytes_of(1, frame), pages);
        remap(2, 1, frame);
        assert_stale(bytes_of(2, frame), pages);
        assert_true(marked(1, frame, pages, 1));
        drop(1, frame);
        assert_stale(bytes_of(1, frame), pages);
        assert_stale(bytes_of(7, frame), pages); /* never attached */
    }
}

static void a_system_call_given_a_stale_address_gets_efault(void **state)
{
    (void)state;
    if (mover == ANT_MOVER_FLAT)
        skip();
    int ends[2];
    char byte = 0;
    uint32_t frame = area_in(1, 2);
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], bytes_of(1, frame), 1), 1);
    remap(1, 2, frame);
    /* Raw calls: sanitizers look at the buffers of the wrapped ones. */
    assert_int_equal(syscall(SYS_write, ends[1], bytes_of(1, frame), 1), -1);
    assert_int_equal(errno, EFAULT);
    assert_int_equal(syscall(SYS_read, ends[0], bytes_of(1, frame), 1), -1);
    assert_int_equal(errno, EFAULT);
    assert_int_equal(madvise(bytes_of(1, frame), ANT_PAGE_BYTES, 23 /* MADV_POPULATE_WRITE */), -1);
    (void)!write(ends[1], &byte, 1);
    close(ends[0]);
    close(ends[1]);
    catch_faults();
    assert_stale(bytes_of(1, frame), 2);
    drop(2, frame);
}

static void a_new_owner_sees_zeros_and_no_byte_of_another(void **state)
{
    (void)state;
    uint32_t frame = area_in(1, 8);
    memset(bytes_of(1, frame), 0xAA, 8 * ANT_PAGE_BYTES);
    drop(1, frame);

    frame = area_in(1, 8); /* its own again: its own bytes or zeros */
    for (size_t i = 0; i < 8 * ANT_PAGE_BYTES; i++) {
        unsigned char byte = (unsigned char)bytes_of(1, frame)[i];
        assert_true(byte == 0 || byte == 0xAA);
    }
    memset(bytes_of(1, frame), 0xAA, 8 * ANT_PAGE_BYTES);
    drop(1, frame);

    uint32_t left = area_in(1, 2), middle = area_in(2, 3); /* pages of 1, now 2's in the middle */
    memset(bytes_of(2, middle), 0xBB, 3 * ANT_PAGE_BYTES);
    drop(1, left);
    drop(2, middle);
    frame = area_in(2, 8);
    assert_int_equal(frame, 0);
    for (size_t i = 0; i < 8 * ANT_PAGE_BYTES; i++) {
        unsigned char byte = (unsigned char)bytes_of(2, frame)[i];
        size_t page = i / ANT_PAGE_BYTES;
        assert_true(byte == 0 || (byte == 0xBB && page >= 2 && page < 5));
    }
    drop(2, frame);

    at[2].space = 99; /* the window has a new process */
    frame = area_in(2, 8);
    for (size_t i = 0; i < 8 * ANT_PAGE_BYTES; i++)
        assert_int_equal(bytes_of(2, frame)[i], 0);
    drop(2, frame);
}

static void what_was_handed_on_belongs_to_the_last_space(void **state)
{
    (void)state;
    uint32_t frame = area_in(1, 4);
    memset(bytes_of(1, frame), 0xAA, 4 * ANT_PAGE_BYTES);
    remap(1, 2, frame);
    memset(bytes_of(2, frame), 0xBB, 4 * ANT_PAGE_BYTES);
    drop(2, frame);
    frame = area_in(1, 4);
    for (size_t i = 0; i < 4 * ANT_PAGE_BYTES; i++)
        assert_int_equal(bytes_of(1, frame)[i], 0);
    drop(1, frame);
}

static void huge_areas_with_foreign_bytes_are_cleared_to_the_last_frame(void **state)
{
    (void)state;
    uint32_t frame = area_in(1, 512);
    memset(bytes_of(1, frame), 0xAA, 512 * ANT_PAGE_BYTES);
    drop(1, frame);
    uint32_t again = area_in(2, 300);
    if (mover == ANT_MOVER_STRICT)
        assert_int_equal(again, frame);
    size_t bytes = antk_pool_area(pool, again)->frames * (size_t)ANT_PAGE_BYTES;
    for (size_t i = 0; i < bytes; i++)
        if (bytes_of(2, again)[i] != 0)
            fail_msg("byte %zu is not 0", i);
    drop(2, again);
}

/* --- Finding ------------------------------------------------------------------------------------------------------ */

static void find_tells_whose_an_address_is(void **state)
{
    (void)state;
    uint32_t mine = area_in(1, 100), other = area_in(2, 3), found = 55;
    bool flat = mover == ANT_MOVER_FLAT;
    char *start = bytes_of(1, mine);
    char local;

    assert_int_equal(antk_area_find(pool, &at[1], start, &found), 0);
    assert_int_equal(found, mine);
    found = 55;
    assert_int_equal(antk_area_find(pool, &at[1], start + 1, &found), -EINVAL);
    assert_int_equal(antk_area_find(pool, &at[1], start + 4095, &found), -EINVAL);
    assert_int_equal(antk_area_find(pool, &at[1], start + 70 * ANT_PAGE_BYTES, &found), -EINVAL);
    assert_int_equal(antk_area_find(pool, &at[1], start + 100 * ANT_PAGE_BYTES - 1, &found), -EINVAL);
    assert_int_equal(antk_area_find(pool, &at[1], bytes_of(1, other), &found), -EPERM);
    assert_int_equal(antk_area_find(pool, &at[1], bytes_of(2, other), &found), -EPERM);
    assert_int_equal(antk_area_find(pool, &at[1], bytes_of(2, other) + 5000, &found), -EPERM);
    assert_int_equal(antk_area_find(pool, &at[1], bytes_of(2, mine), &found), flat ? 0 : -EPERM);
    found = 55;
    assert_int_equal(antk_area_find(pool, &at[1], bytes_of(1, 103), &found), -EFAULT);
    assert_int_equal(antk_area_find(pool, &at[1], NULL, &found), -EFAULT);
    assert_int_equal(antk_area_find(pool, &at[1], &local, &found), -EFAULT);
    assert_int_equal(antk_area_find(pool, &at[1], (void *)UINTPTR_MAX, &found), -EFAULT);
    if (!flat)
        assert_int_equal(antk_area_find(pool, &at[1], antk_home(pool, mine), &found), -EFAULT);
    assert_int_equal(found, 55);

    remap(1, 2, mine);
    assert_int_equal(antk_area_find(pool, &at[1], start, &found), -EPERM);
    assert_int_equal(antk_area_find(pool, &at[1], start + 5000, &found), -EPERM);
    drop(2, mine);
    assert_int_equal(antk_area_find(pool, &at[1], start, &found), -EFAULT);
    assert_int_equal(antk_area_find(pool, &at[1], start + 5000, &found), -EFAULT);
    drop(2, other);
}

static void locate_and_covering_tell_what_lies_at_an_address(void **state)
{
    (void)state;
    uint32_t small = area_in(1, 3), large = area_in(5, 700), window, frame, first, pages, owner;
    bool flat = mover == ANT_MOVER_FLAT;
    assert_true(antk_pool_locate(pool, bytes_of(5, large) + 650 * ANT_PAGE_BYTES + 7, &window, &frame));
    assert_int_equal(window, flat ? 1 : 5);
    assert_int_equal(frame, large + 650);
    assert_true(antk_pool_covering(pool, frame, &first, &pages, &owner));
    assert_int_equal(first, large);
    assert_int_equal(pages, 700);
    assert_int_equal(owner, 5);
    assert_false(antk_pool_locate(pool, at[1].base - (flat ? 1 : POOL_BYTES + 1), &window, &frame));
    assert_false(antk_pool_locate(pool, bytes_of(flat ? 1 : WINDOWS, POOL_PAGES), &window, &frame));
    assert_true(antk_pool_locate(pool, bytes_of(WINDOWS, POOL_PAGES) - 1, &window, &frame));
    assert_int_equal(frame, POOL_PAGES - 1);
    assert_true(antk_pool_covering(pool, 2, &first, &pages, &owner));
    assert_int_equal(first, small);
    assert_false(antk_pool_covering(pool, 2000, &first, &pages, &owner));
    assert_false(antk_pool_covering(pool, POOL_PAGES, &first, &pages, &owner));
    drop(1, small);
    assert_false(antk_pool_covering(pool, 2, &first, &pages, &owner));
    drop(5, large);
}

static void bad_calls_change_nothing(void **state)
{
    (void)state;
    uint32_t frame = area_in(1, 4);
    mark(1, frame, 4, 9);
    assert_int_equal(antk_area_attach(pool, &at[2], frame), -EPERM);
    assert_int_equal(antk_area_detach(pool, &at[2], frame), -EPERM);
    assert_int_equal(antk_area_remap(pool, &at[2], &at[3], frame), -EPERM);
    antk_area_put(pool, frame);
    antk_area_put(pool, frame + 1);
    antk_area_put(pool, POOL_PAGES);
    assert_int_equal(antk_window_create(pool, 1, &at[1]), 0); /* once more */
    assert_true(marked(1, frame, 4, 9));
    drop(1, frame);
    antk_area_put(pool, frame);
    assert_whole_pool_free();
    struct antk_window window;
    assert_int_equal(antk_window_create(pool, 0, &window), -EINVAL);
    assert_int_equal(antk_window_create(pool, WINDOWS + 1, &window), -EINVAL);
}

/* --- What programs and the system do to pages ------------------------------------------------------------------- */

static size_t huge_kib_of(const char *from, const char *to)
{
    char line[256];
    size_t total = 0, kib;
    bool inside = false;
    FILE *file = fopen("/proc/self/smaps", "re");
    assert_non_null(file);
    while (fgets(line, sizeof(line), file)) {
        unsigned long start, end;
        if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
            inside = start < (uintptr_t)to && end > (uintptr_t)from;
        else if (inside && sscanf(line, "AnonHugePages: %zu", &kib) == 1)
            total += kib;
    }
    fclose(file);
    return total;
}

static void a_huge_area_stays_huge_however_often_it_moves(void **state)
{
    (void)state;
    if (mover != ANT_MOVER_STRICT)
        skip();
    uint32_t frame = area_in(1, 512);
    if (!antk_mapped_huge(pool, bytes_of(1, frame)))
        skip(); /* no transparent huge pages here */
    const char *end = pool->base + pool->span_bytes;
    assert_int_equal(huge_kib_of(pool->base, end), 2048);
    uint32_t small = area_in(1, 3); /* splits another block, not this one */
    for (uint32_t i = 0; i < 100; i++)
        remap(1 + i % WINDOWS, 1 + (i + 1) % WINDOWS, frame);
    drop(1 + 100 % WINDOWS, frame);
    frame = area_in(3, 512);
    assert_true(antk_mapped_huge(pool, bytes_of(3, frame)));
    assert_int_equal(huge_kib_of(pool->base, end), 2048);
    drop(3, frame);
    drop(1, small);
}

static void contiguity_is_verified_or_expected_where_there_are_huge_pages(void **state)
{
    (void)state;
    uint32_t one = area_in(1, 1), small = area_in(1, 60), huge = area_in(1, 512);
    mark(1, one, 1, 0);
    mark(1, small, 60, 0);
    mark(1, huge, 512, 0);
    assert_int_not_equal(antk_area_contiguity(pool, &at[1], one), ANT_CONTIGUITY_NO);
    if (mover != ANT_MOVER_COPY && (atomic_load(&pool->block_state[0]) & ANTK_BLOCK_HUGE) != 0) {
        assert_int_not_equal(antk_area_contiguity(pool, &at[1], small), ANT_CONTIGUITY_NO);
        remap(1, 2, small);
        remap(2, 1, small);
        assert_int_not_equal(antk_area_contiguity(pool, &at[1], small), ANT_CONTIGUITY_NO);
        if (mover == ANT_MOVER_STRICT)
            assert_int_not_equal(antk_area_contiguity(pool, &at[1], huge), ANT_CONTIGUITY_NO);
        int pagemap = pool->pagemap; /* as where there is no /proc */
        pool->pagemap = -1;
        assert_int_equal(antk_area_contiguity(pool, &at[1], small), ANT_CONTIGUITY_EXPECTED);
        pool->pagemap = pagemap;
    }
    assert_int_equal(madvise(bytes_of(1, small) + ANT_PAGE_BYTES, ANT_PAGE_BYTES, MADV_DONTNEED), 0);
    assert_int_equal(antk_area_contiguity(pool, &at[1], small), ANT_CONTIGUITY_NO);
    drop(1, one);
    drop(1, small);
    drop(1, huge);
}

/* Pins by registering a buffer with io_uring; the descriptor, or -1 where that is not allowed. */
static int pin(char *address, size_t bytes)
{
    uint32_t parameters[30] = {0};
    struct iovec buffer = {.iov_base = address, .iov_len = bytes};
    int ring = (int)syscall(SYS_io_uring_setup, 1, parameters);
    if (ring >= 0 &&
        syscall(SYS_io_uring_register, ring, 0 /* IORING_REGISTER_BUFFERS */, &buffer, 1) != 0) {
        close(ring);
        ring = -1;
    }
    return ring;
}

static void pinned_pages_move_too(void **state)
{
    (void)state;
    const size_t sizes[] = {1, 10, 512};
    catch_faults();
    for (size_t i = 0; i < 3; i++) {
        uint32_t pages = (uint32_t)sizes[i], frame = area_in(1, pages), pinned = pages / 2;
        mark(1, frame, pages, 7);
        int ring = pin(bytes_of(1, frame) + pinned * ANT_PAGE_BYTES, ANT_PAGE_BYTES);
        if (ring < 0)
            skip();
        remap(1, 2, frame);
        assert_true(marked(2, frame, pages, 7));
        if (mover != ANT_MOVER_FLAT)
            assert_stale(bytes_of(1, frame), pages);
        remap(2, 1, frame);
        assert_true(marked(1, frame, pages, 7));
        close(ring);
        drop(1, frame);
        if (mover == ANT_MOVER_STRICT) /* a page was copied: what was one huge page is not any more */
            assert_int_equal(atomic_load(&pool->block_state[frame / 512]) & ANTK_BLOCK_HUGE, 0);
    }
}

static void areas_that_a_program_has_locked_emptied_or_advised_move_too(void **state)
{
    (void)state;
    catch_faults();
    for (int round = 0; round < 3; round++) {
        uint32_t frame = area_in(1, 20);
        mark(1, frame, 20, 7);
        assert_int_equal(mlock(bytes_of(1, frame) + 3 * ANT_PAGE_BYTES, 5 * ANT_PAGE_BYTES), 0);
        madvise(bytes_of(1, frame) + 12 * ANT_PAGE_BYTES, 2 * ANT_PAGE_BYTES, MADV_DONTDUMP);
        remap(1, 2, frame);
        assert_true(marked(2, frame, 20, 7));
        if (mover != ANT_MOVER_FLAT)
            assert_stale(bytes_of(1, frame), 20);
        remap(2, 1, frame);
        madvise(bytes_of(1, frame) + 9 * ANT_PAGE_BYTES, ANT_PAGE_BYTES, MADV_DONTNEED);
        remap(1, 2, frame);
        assert_int_equal(bytes_of(2, frame)[9 * ANT_PAGE_BYTES], 0);
        drop(2, frame);
        uint32_t across = area_in(3, 40);
        mark(3, across, 40, 8);
        remap(3, 1, across);
        assert_true(marked(1, across, 40, 8));
        drop(1, across);
    }
    assert_whole_pool_free();
}

static void a_child_inherits_no_window_and_moves_go_on(void **state)
{
    (void)state;
    uint32_t frame = area_in(1, 10);
    mark(1, frame, 10, 3);
    uint8_t state_before = atomic_load(&pool->block_state[0]);
    pid_t child = fork();
    if (child == 0) {
        catch_faults();
        _exit(touch(bytes_of(1, frame), false) == SIGSEGV ? 0 : 1);
    }
    int status;
    remap(1, 2, frame);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    remap(2, 1, frame);
    assert_true(marked(1, frame, 10, 3));
    assert_int_equal(atomic_load(&pool->block_state[0]), state_before); /* nothing had to be copied */
    drop(1, frame);
}

static size_t count_mappings(const char *from, const char *to)
{
    char line[512];
    size_t count = 0;
    FILE *file = fopen("/proc/self/maps", "re");
    assert_non_null(file);
    while (fgets(line, sizeof(line), file)) {
        unsigned long start, end;
        if (sscanf(line, "%lx-%lx ", &start, &end) == 2 && start < (uintptr_t)to && end > (uintptr_t)from)
            count++;
    }
    fclose(file);
    return count;
}

static void mappings_do_not_pile_up(void **state)
{
    ten_thousand_random_operations_agree_with_a_model(state);
    size_t home = count_mappings(pool->base, pool->base + POOL_BYTES);
    size_t all = count_mappings(pool->base, pool->base + pool->span_bytes);
    print_message("             mappings: home %zu, all %zu\n", home, all);
    assert_int_equal(home, 1);
    if (mover == ANT_MOVER_STRICT_MREMAP)
        assert_int_equal(all, 1 + WINDOWS);
    else
        assert_int_equal(all, 1);
}

static void assert_no_hole_in_the_reservation(void)
{
    static unsigned char resident[POOL_PAGES];
    for (char *window = pool->base; window < pool->base + pool->span_bytes; window += POOL_BYTES)
        assert_int_equal(mincore(window, POOL_BYTES, resident), 0); /* ENOMEM where nothing is mapped */
}

static void a_move_that_fails_half_way_is_undone(void **state)
{
    (void)state;
    if (mover == ANT_MOVER_FLAT)
        skip();
    catch_faults();
    const int errors[] = {ENOMEM, EBUSY, EAGAIN, EEXIST};
    const size_t most_pages[] = {1000, 7, 1};
    unsigned undone = 0, done = 0;
    uint32_t frame = area_in(1, 20), neighbour = area_in(1, 3), from = 1, to = 2;
    mark(1, frame, 20, 50);
    mark(1, neighbour, 3, 60);
    for (int round = 0; round < 3 * 4 * 2 * 45; round++) {
        fault.most_bytes = most_pages[round % 3] * ANT_PAGE_BYTES;
        fault.error = errors[round / 3 % 4];
        fault.length = round / 12 % 2 == 0 ? 1 : 4;
        fault.first = round / 24;
        fault.number = 0;
        fault.armed = true;
        int error = antk_area_remap(pool, &at[from], &at[to], frame);
        fault.armed = false;
        if (error == 0) {
            uint32_t left = from;
            from = to;
            to = left;
            done++;
        } else {
            assert_true(error == -ENOMEM || (mover == ANT_MOVER_STRICT && error == -fault.error));
            undone++;
        }
        assert_int_equal(atomic_load(&antk_pool_area(pool, frame)->owner), from);
        assert_true(marked(from, frame, 20, 50));
        mark(from, frame, 20, 50); /* writable, too */
        assert_stale(bytes_of(to, frame), 20);
        if (round % 10 == 0)
            assert_no_hole_in_the_reservation();
    }
    assert_no_hole_in_the_reservation();
    print_message("             %u moves done, %u undone\n", done, undone);
    assert_true(undone > 20 && done > 20);
    assert_true(marked(1, neighbour, 3, 60));
    drop(from, frame);
    drop(1, neighbour);
    assert_whole_pool_free();
}

/* Where pairs of areas lie: neighbours in both orders, and apart. frames: of the one that is named first, and of the other. */
enum { PAIRS = 3, FIRST_PAGES = 1, SECOND_PAGES = 20 };
static const char *const pair_names[PAIRS] = {"below", "above", "apart"};

static void make_pair(int which, uint32_t window, uint32_t frames[2], uint32_t *between)
{
    *between = ANTK_NO_FRAME;
    frames[which == 1] = area_in(window, which == 1 ? SECOND_PAGES : FIRST_PAGES);
    if (which == 2)
        *between = area_in(window, 2);
    frames[which != 1] = area_in(window, which == 1 ? FIRST_PAGES : SECOND_PAGES);
    mark(window, frames[0], FIRST_PAGES, 1000);
    mark(window, frames[1], SECOND_PAGES, 2000);
    if (*between != ANTK_NO_FRAME)
        mark(window, *between, 2, 3000);
}

static void assert_pair_in(uint32_t window, const uint32_t frames[2])
{
    assert_int_equal(atomic_load(&antk_pool_area(pool, frames[0])->owner), window);
    assert_int_equal(atomic_load(&antk_pool_area(pool, frames[1])->owner), window);
    assert_true(marked(window, frames[0], FIRST_PAGES, 1000));
    assert_true(marked(window, frames[1], SECOND_PAGES, 2000));
    mark(window, frames[0], FIRST_PAGES, 1000); /* writable, too */
    mark(window, frames[1], SECOND_PAGES, 2000);
}

static void drop_pair(uint32_t window, const uint32_t frames[2], uint32_t between)
{
    drop(window, frames[0]);
    drop(window, frames[1]);
    if (between != ANTK_NO_FRAME)
        drop(1, between);
    assert_whole_pool_free();
}

/* Calls that concern the pool, made by one remap. */
static int calls_of_remap(uint32_t from, uint32_t to, uint32_t first, uint32_t second)
{
    fault.most_bytes = POOL_BYTES;
    fault.length = fault.number = 0;
    fault.armed = true;
    int error = antk_areas_remap(pool, &at[from], &at[to], first, second);
    fault.armed = false;
    assert_int_equal(error, 0);
    return fault.number;
}

static void neighbours_move_as_one_area_does(void **state)
{
    (void)state;
    catch_faults();
    uint32_t one = area_in(1, FIRST_PAGES + SECOND_PAGES), between, frames[2];
    int calls = calls_of_remap(1, 2, one, ANTK_NO_FRAME);
    drop(2, one);
    assert_int_equal(calls, mover == ANT_MOVER_FLAT     ? 0
                            : mover == ANT_MOVER_STRICT ? 1
                            : mover == ANT_MOVER_COPY   ? 2
                                                        : 3);
    for (int which = 0; which < PAIRS; which++) {
        make_pair(which, 1, frames, &between);
        print_message("             the second %s\n", pair_names[which]);
        for (uint32_t window = 1; window < WINDOWS; window++) {
            /* In both orders, and there and back. */
            uint32_t to = window + 1, first = frames[window % 2], second = frames[1 - window % 2];
            assert_int_equal(calls_of_remap(window, to, first, second), which == 2 ? 2 * calls : calls);
            assert_pair_in(to, frames);
            if (mover != ANT_MOVER_FLAT) {
                assert_stale(bytes_of(window, frames[0]), FIRST_PAGES);
                assert_stale(bytes_of(window, frames[1]), SECOND_PAGES);
            }
            assert_int_equal(antk_areas_return(pool, &at[to], &at[window], first, second), 0);
            assert_pair_in(window, frames);
            assert_int_equal(calls_of_remap(window, to, second, first), which == 2 ? 2 * calls : calls);
        }
        if (between != ANTK_NO_FRAME)
            assert_true(marked(1, between, 2, 3000)); /* what lies between has stayed */
        drop_pair(WINDOWS, frames, between);
    }
}

static void a_small_area_and_a_huge_neighbour_move_together(void **state)
{
    (void)state;
    catch_faults();
    if (mover == ANT_MOVER_STRICT) {
        uint32_t huge = area_in(1, 512), below[20], count = 0;
        for (uint32_t left = huge - 1, pages; left > 0; left -= pages) { /* all but the last frame below it */
            pages = left < ANTK_HUGE_FROM ? left : ANTK_HUGE_FROM - 1;
            below[count++] = area_in(1, pages);
        }
        uint32_t small = area_in(1, 1);
        assert_int_equal(small + 1, huge);
        bool whole = antk_mapped_huge(pool, bytes_of(1, huge));
        mark(1, huge, 512, 5);
        mark(1, small, 1, 6);
        for (uint32_t i = 0; i < 10; i++) {
            uint32_t from = 1 + i % 2, to = 2 - i % 2;
            assert_int_equal(calls_of_remap(from, to, small, huge), 1);
            assert_true(marked(to, huge, 512, 5) && marked(to, small, 1, 6));
        }
        assert_int_equal(antk_mapped_huge(pool, bytes_of(1, huge)), whole);
        assert_stale(bytes_of(2, small),
                     513); /* not before: a stale access makes a page table there, and the next move must split the huge page */
        drop(1, huge);
        drop(1, small);
        while (count > 0)
            drop(1, below[--count]);
    }
    assert_whole_pool_free();
}

static void a_pair_of_which_one_is_elsewhere_stays(void **state)
{
    (void)state;
    uint32_t frames[2], between;
    for (int which = 0; which < PAIRS; which++) {
        make_pair(which, 1, frames, &between);
        assert_int_equal(antk_areas_remap(pool, &at[1], &at[1], frames[0], frames[1]), 0);
        assert_pair_in(1, frames);
        for (int other = 0; other < 2; other++) {
            remap(1, 3, frames[other]);
            assert_int_equal(antk_areas_remap(pool, &at[1], &at[2], frames[0], frames[1]), -EPERM);
            assert_int_equal(antk_areas_return(pool, &at[3], &at[2], frames[1], frames[0]), -EPERM);
            assert_int_equal(atomic_load(&antk_pool_area(pool, frames[other])->owner), 3);
            remap(3, 1, frames[other]);
            assert_pair_in(1, frames);
        }
        drop_pair(1, frames, between);
    }
}

static void a_pair_whose_move_fails_is_whole_where_it_was(void **state)
{
    (void)state;
    if (mover == ANT_MOVER_FLAT)
        skip();
    catch_faults();
    const int errors[] = {ENOMEM, EBUSY, EAGAIN, EEXIST};
    const size_t most_pages[] = {1000, 7, 1};
    for (int which = 0; which < PAIRS; which++) {
        unsigned undone = 0, done = 0;
        uint32_t frames[2], between, from = 1, to = 2;
        make_pair(which, 1, frames, &between);
        for (int round = 0; round < 3 * 4 * 2 * 45; round++) {
            fault.most_bytes = most_pages[round % 3] * ANT_PAGE_BYTES;
            fault.error = errors[round / 3 % 4];
            fault.length = round / 12 % 2 == 0 ? 1 : 4;
            fault.first = round / 24;
            fault.number = 0;
            fault.armed = true;
            int error =
                antk_areas_remap(pool, &at[from], &at[to], frames[round % 2], frames[1 - round % 2]);
            fault.armed = false;
            if (error == 0) {
                uint32_t left = from;
                from = to;
                to = left;
                done++;
            } else {
                assert_true(error == -ENOMEM || (mover == ANT_MOVER_STRICT && error == -fault.error));
                undone++;
            }
            assert_pair_in(from, frames);
            assert_stale(bytes_of(to, frames[0]), FIRST_PAGES);
            assert_stale(bytes_of(to, frames[1]), SECOND_PAGES);
            if (round % 10 == 0)
                assert_no_hole_in_the_reservation();
        }
        assert_no_hole_in_the_reservation();
        print_message("             the second %s: %u moves done, %u undone\n", pair_names[which],
                      done, undone);
        assert_true(undone > 20 && done > 20);
        if (between != ANTK_NO_FRAME)
            assert_true(marked(1, between, 2, 3000));
        drop_pair(from, frames, between);
    }
}

static void an_attach_or_detach_that_fails_changes_nothing(void **state)
{
    (void)state;
    if (mover == ANT_MOVER_FLAT)
        skip();
    catch_faults();
    fault.error = ENOMEM;
    fault.most_bytes = 3 * ANT_PAGE_BYTES;
    fault.length = 1;
    uint32_t frame;
    assert_int_equal(antk_area_take(pool, 10, &frame), 0);
    for (fault.first = 0; fault.first < 12; fault.first++) {
        fault.number = 0;
        fault.armed = true;
        int error = antk_area_attach(pool, &at[1], frame);
        fault.armed = false;
        if (error != 0) {
            assert_int_equal(atomic_load(&antk_pool_area(pool, frame)->owner), 0);
            assert_stale(bytes_of(1, frame), 10);
            assert_int_equal(antk_area_attach(pool, &at[1], frame), 0);
        }
        mark(1, frame, 10, 5);
        fault.number = 0;
        fault.armed = true;
        error = antk_area_detach(pool, &at[1], frame);
        fault.armed = false;
        if (error != 0) {
            assert_true(marked(1, frame, 10, 5));
            assert_int_equal(antk_area_detach(pool, &at[1], frame), 0);
        }
        assert_no_hole_in_the_reservation();
    }
    antk_area_put(pool, frame);
    assert_whole_pool_free();
}

#define FILLERS 70000u

static void at_the_limit_of_mappings_a_move_succeeds_or_changes_nothing(void **state)
{
    (void)state;
    enum { AREAS = 12 };
    static char *fillers[FILLERS];
    uint32_t frames[AREAS], where[AREAS], failures = 0;
    if (mover == ANT_MOVER_FLAT)
        skip();
    catch_faults();
    for (uint32_t i = 0; i < AREAS; i++) {
        frames[i] = area_in(where[i] = 1, 1 + i % 4);
        mark(1, frames[i], 1 + i % 4, 100 * i);
    }
    /* Alternating protections do not merge. */
    uint32_t count = 0;
    char *region = mmap(NULL, (size_t)FILLERS * ANT_PAGE_BYTES, PROT_NONE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    assert_ptr_not_equal(region, MAP_FAILED);
    for (uint32_t page = 1; page < FILLERS; page += 2)
        if (mprotect(region + (size_t)page * ANT_PAGE_BYTES, ANT_PAGE_BYTES, PROT_READ) == 0)
            fillers[count++] = region + (size_t)page * ANT_PAGE_BYTES;
        else
            break;
    random_state = 5;
    for (uint32_t step = 0; step < 1500; step++) {
        uint32_t i = draw(AREAS), to = 1 + draw(WINDOWS), pages = 1 + i % 4;
        int error = antk_area_remap(pool, &at[where[i]], &at[to], frames[i]);
        if (error != 0) {
            assert_int_equal(error, -ENOMEM);
            failures++;
            assert_stale(bytes_of(to, frames[i]), pages);
        } else if (to != where[i]) {
            assert_stale(bytes_of(where[i], frames[i]), pages);
            where[i] = to;
        }
        assert_true(marked(where[i], frames[i], pages, 100 * i));
        if (step % 50 == 49 && count > 0) { /* a little more room */
            count--;
            mprotect(fillers[count], ANT_PAGE_BYTES, PROT_NONE);
        }
    }
    munmap(region, (size_t)FILLERS * ANT_PAGE_BYTES);
    print_message("             %u of 1500 moves were refused\n", failures);
    for (uint32_t i = 0; i < AREAS; i++) {
        remap(where[i], 3, frames[i]);
        assert_true(marked(3, frames[i], 1 + i % 4, 100 * i));
        drop(3, frames[i]);
    }
    assert_whole_pool_free();
    if (mover == ANT_MOVER_STRICT_MREMAP)
        assert_int_equal(count_mappings(pool->base, pool->base + POOL_BYTES), 1);
}

/* --- Other threads ------------------------------------------------------------------------------------------------ */

static atomic_bool stop_threads;
static atomic_uint wrong_reads, faulted_reads, good_reads, stolen_addresses;

static void *probe_stale_addresses(void *argument)
{
    uint32_t frame = *(uint32_t *)argument;
    while (!atomic_load(&stop_threads)) {
        for (uint32_t window = 1; window <= 2; window++) {
            volatile uint32_t *word = (volatile uint32_t *)(void *)bytes_of(window, frame);
            volatile uint32_t value = 0;
            int raised = sigsetjmp(landing, 1);
            if (raised == 0) {
                landing_ready = 1;
                value = *word;
            }
            landing_ready = 0;
            atomic_fetch_add(raised != 0     ? &faulted_reads
                             : value == 4321 ? &good_reads
                                             : &wrong_reads,
                             1);
        }
    }
    return NULL;
}

static void *map_and_unmap(void *argument)
{
    (void)argument;
    for (size_t pages = 1; !atomic_load(&stop_threads); pages = pages % 64 + 1) {
        char *run = mmap(NULL, pages * ANT_PAGE_BYTES, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (run == MAP_FAILED)
            continue;
        if (run >= pool->base && run < pool->base + pool->span_bytes)
            atomic_fetch_add(&stolen_addresses, 1);
        munmap(run, pages * ANT_PAGE_BYTES);
    }
    return NULL;
}

static void no_thread_ever_reads_a_stale_page_or_maps_into_a_window(void **state)
{
    (void)state;
#ifdef __SANITIZE_THREAD__
    skip(); /* the probe races on purpose */
#endif
    if (mover == ANT_MOVER_FLAT || mover == ANT_MOVER_COPY)
        skip(); /* a copy opens the destination before the bytes are there: nobody may look yet */
    catch_faults();
    pthread_t prober, mapper;
    uint32_t frame = area_in(1, 16);
    mark(1, frame, 16, 4321);
    atomic_store(&stop_threads, false);
    atomic_store(&wrong_reads, 0);
    atomic_store(&faulted_reads, 0);
    atomic_store(&stolen_addresses, 0);
    assert_int_equal(pthread_create(&prober, NULL, probe_stale_addresses, &frame), 0);
    assert_int_equal(pthread_create(&mapper, NULL, map_and_unmap, NULL), 0);
    int error = 0;
    for (uint32_t i = 0; i < 20000 && error == 0; i++)
        error = antk_area_remap(pool, &at[1 + i % 2], &at[2 - i % 2], frame);
    atomic_store(&stop_threads, true);
    pthread_join(prober, NULL);
    pthread_join(mapper, NULL);
    print_message("             stale reads: %u faulted, %u wrong\n", atomic_load(&faulted_reads),
                  atomic_load(&wrong_reads));
    assert_int_equal(error, 0);
    assert_int_equal(atomic_load(&wrong_reads), 0);
    assert_int_equal(atomic_load(&stolen_addresses), 0);
    assert_true(atomic_load(&faulted_reads) > 0);
    assert_true(marked(1, frame, 16, 4321));
    drop(1, frame);
}

static void *move_own_areas(void *argument)
{
    uint32_t window = *(uint32_t *)argument;
    struct antk_window *home = &at[window], *away = &at[window + 4];
    uint32_t frame = (window - 1) * 20;
    for (int i = 0; i < 2000; i++)
        if (antk_area_remap(pool, home, away, frame) != 0 || antk_area_remap(pool, away, home, frame) != 0)
            atomic_fetch_add(&wrong_reads, 1);
    return NULL;
}

static void threads_move_different_areas_at_once(void **state)
{
    (void)state;
    pthread_t threads[4];
    uint32_t windows[4] = {1, 2, 3, 4};
    atomic_store(&wrong_reads, 0);
    for (uint32_t i = 0; i < 4; i++) {
        assert_int_equal(area_in(i + 1, 20), i * 20);
        mark(i + 1, i * 20, 20, i * 100);
    }
    for (uint32_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, move_own_areas, &windows[i]), 0);
    for (uint32_t i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&wrong_reads), 0);
    for (uint32_t i = 0; i < 4; i++) {
        assert_true(marked(i + 1, i * 20, 20, i * 100));
        drop(i + 1, i * 20);
    }
    assert_whole_pool_free();
}

/* --- Creation ----------------------------------------------------------------------------------------------------- */

static void a_wrong_config_is_refused_with_a_sentence(void **state)
{
    (void)state;
    char reason[512];
    struct antk_pool *made = NULL;
    const struct antk_pool_config wrong[] = {
        {.bytes = 0, .max_windows = 2},
        {.bytes = 4096, .max_windows = 2},
        {.bytes = ((size_t)1 << 40) + ANTK_HUGE_BYTES, .max_windows = 2},
        {.bytes = POOL_BYTES, .max_windows = 0},
        {.bytes = POOL_BYTES, .max_windows = 65536},
        {.bytes = POOL_BYTES, .max_windows = 2, .mover = (enum ant_mover)17},
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        reason[0] = '\0';
        assert_int_equal(antk_pool_create(&wrong[i], &made, reason, sizeof(reason)), -EINVAL);
        assert_true(strlen(reason) > 10);
    }
    assert_null(made);
}

static void a_prefaulted_pool_holds_all_its_memory(void **state)
{
    (void)state;
    for (enum ant_mover each = ANT_MOVER_STRICT; each <= ANT_MOVER_FLAT; each++) {
        char reason[512];
        struct antk_pool *made;
        struct antk_pool_config config = {
            .bytes = POOL_BYTES, .max_windows = 2, .mover = each, .prefault = true};
        assert_int_equal(antk_pool_create(&config, &made, reason, sizeof(reason)), 0);
        for (uint32_t frame = 0; frame < POOL_PAGES; frame++)
            assert_true(antk_page_present(made, antk_home(made, frame)));
        antk_pool_destroy(made);
    }
}

static void forbid_userfaultfd(void)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_userfaultfd, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = 4, .filter = filter};
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0);
}

/* Runs a check in a child that may limit itself; its exit status, 0 for right. */
static int in_child(int (*check)(void))
{
    int status = -1;
    pid_t child = fork();
    if (child == 0)
        _exit(check());
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

static int create_big(enum ant_mover wanted, size_t bytes, uint32_t windows, char *reason)
{
    struct antk_pool_config config = {.bytes = bytes, .max_windows = windows, .mover = wanted};
    reason[0] = '\0';
    return antk_pool_create(&config, &pool, reason, 512);
}

static int check_without_userfaultfd(void)
{
    char reason[512];
    forbid_userfaultfd();
    if (create_big(ANT_MOVER_STRICT, POOL_BYTES, 2, reason) != -ENOTSUP || !strstr(reason, "userfaultfd"))
        return 1;
#ifndef __SANITIZE_THREAD__
    if (create_big(ANT_MOVER_AUTO, POOL_BYTES, 2, reason) != 0 || !strstr(reason, "userfaultfd"))
        return 2;
    fprintf(stderr, "             %s\n", reason);
    if (antk_pool_mover(pool) != ANT_MOVER_STRICT_MREMAP)
        return 3;
    antk_pool_destroy(pool);
#endif
    return 0;
}

static int check_address_limit(void)
{
    char reason[512];
    size_t size_pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (!file || fscanf(file, "%zu", &size_pages) != 1)
        return 1;
    fclose(file);
    rlim_t limit = size_pages * ANT_PAGE_BYTES + ((size_t)64 << 20);
    struct rlimit tight = {.rlim_cur = limit, .rlim_max = limit};
    setrlimit(RLIMIT_AS, &tight);
    for (enum ant_mover each = ANT_MOVER_AUTO; each <= ANT_MOVER_COPY; each++) {
        if (create_big(each, (size_t)128 << 20, 1024, reason) != -ENOMEM)
            return 2;
        if (!strstr(reason, "RLIMIT_AS") || !strstr(reason, "smaller"))
            return 3;
    }
    fprintf(stderr, "             %s\n", reason);
    return 0;
}

static int check_data_limit(void)
{
    char reason[512];
    struct rlimit tight = {.rlim_cur = 512u << 20, .rlim_max = 512u << 20};
    setrlimit(RLIMIT_DATA, &tight);
    if (create_big(ANT_MOVER_STRICT, (size_t)64 << 20, 1024, reason) != -ENOMEM ||
        !strstr(reason, "RLIMIT_DATA"))
        return 1;
    if (create_big(ANT_MOVER_AUTO, (size_t)64 << 20, 1024, reason) != 0)
        return 2;
    if (antk_pool_mover(pool) != ANT_MOVER_STRICT_MREMAP || !strstr(reason, "RLIMIT_DATA"))
        return 3;
    return 0;
}

static size_t resident_pages(void)
{
    size_t size, resident = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (!file || fscanf(file, "%zu %zu", &size, &resident) != 2)
        return SIZE_MAX;
    fclose(file);
    return resident;
}

static int check_locked_memory(void)
{
    char reason[512];
    if (mlockall(MCL_CURRENT | MCL_FUTURE) != 0)
        return 0;
    for (enum ant_mover each = ANT_MOVER_STRICT; each <= ANT_MOVER_COPY; each++) {
        size_t before = resident_pages();
        int error = create_big(each, (size_t)256 << 20, 100, reason);
        if (error == -ENOMEM && strstr(reason, "mlockall")) /* this user may not lock so much, and is told */
            continue;
        if (error != 0)
            return 2;
        if (resident_pages() > before + 20000) /* the books, at 21 bytes a page, and a huge page or two */
            return 3;
        for (uint32_t id = 1; id <= 2; id++) {
            at[id].space = id;
            antk_window_create(pool, id, &at[id]);
        }
        uint32_t frame;
        if (antk_area_take(pool, 10, &frame) || antk_area_attach(pool, &at[1], frame))
            return 4;
        mark(1, frame, 10, 1);
        for (int i = 0; i < 4; i++) { /* before and after everything there has been locked */
            if (antk_area_remap(pool, &at[1], &at[2], frame) || !marked(2, frame, 10, 1))
                return 5;
            catch_faults();
            if (each != ANT_MOVER_FLAT && touch(bytes_of(1, frame), false) == 0)
                return 6;
            if (antk_area_remap(pool, &at[2], &at[1], frame) || !marked(1, frame, 10, 1))
                return 7;
            if (i == 1 && each != ANT_MOVER_FLAT)
                mlockall(MCL_CURRENT);
        }
        uint32_t other;
        if (antk_area_take(pool, 600, &other) || antk_area_attach(pool, &at[2], other))
            return 8;
        if (antk_area_detach(pool, &at[2], other))
            return 9;
        antk_pool_destroy(pool);
        munlockall();
        mlockall(MCL_CURRENT | MCL_FUTURE);
    }
    return 0;
}

static void without_userfaultfd_auto_falls_back_and_says_so(void **state)
{
    (void)state;
    assert_int_equal(in_child(check_without_userfaultfd), 0);
}

static void a_limit_on_addresses_is_named(void **state)
{
    (void)state;
    assert_int_equal(in_child(check_address_limit), 0);
}

static void a_limit_on_data_is_named(void **state)
{
    (void)state;
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
    skip(); /* the sanitizer itself has more */
#endif
    assert_int_equal(in_child(check_data_limit), 0);
}

static void locked_memory_does_not_fill_the_windows(void **state)
{
    (void)state;
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
    skip(); /* locks the shadow */
#endif
    assert_int_equal(in_child(check_locked_memory), 0);
}

/* ------------------------------------------------------------------------------------------------------------------ */

#define EACH(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest once[] = {
        cmocka_unit_test(runs_agree_with_a_bitmap),
        cmocka_unit_test(runs_of_many_words_agree_with_a_bitmap),
        cmocka_unit_test(entries_lie_apart_and_none_twice),
        cmocka_unit_test(a_wrong_config_is_refused_with_a_sentence),
        cmocka_unit_test(a_prefaulted_pool_holds_all_its_memory),
        cmocka_unit_test(without_userfaultfd_auto_falls_back_and_says_so),
        cmocka_unit_test(a_limit_on_addresses_is_named),
        cmocka_unit_test(a_limit_on_data_is_named),
        cmocka_unit_test(locked_memory_does_not_fill_the_windows),
    };
    const struct CMUnitTest each[] = {
        EACH(ten_thousand_random_operations_agree_with_a_model),
        EACH(lengths_that_are_no_power_of_two_waste_nothing),
        EACH(an_exhausted_pool_refuses_and_recovers),
        EACH(huge_areas_take_whole_huge_frames_from_the_top),
        EACH(a_huge_area_without_whole_huge_frames_takes_plain_ones),
        EACH(an_area_keeps_its_offset_and_its_bytes),
        EACH(a_stale_access_faults),
        EACH(a_system_call_given_a_stale_address_gets_efault),
        EACH(a_new_owner_sees_zeros_and_no_byte_of_another),
        EACH(what_was_handed_on_belongs_to_the_last_space),
        EACH(huge_areas_with_foreign_bytes_are_cleared_to_the_last_frame),
        EACH(find_tells_whose_an_address_is),
        EACH(locate_and_covering_tell_what_lies_at_an_address),
        EACH(bad_calls_change_nothing),
        EACH(a_huge_area_stays_huge_however_often_it_moves),
        EACH(contiguity_is_verified_or_expected_where_there_are_huge_pages),
        EACH(pinned_pages_move_too),
        EACH(areas_that_a_program_has_locked_emptied_or_advised_move_too),
        EACH(a_child_inherits_no_window_and_moves_go_on),
        EACH(mappings_do_not_pile_up),
        EACH(a_move_that_fails_half_way_is_undone),
        EACH(neighbours_move_as_one_area_does),
        EACH(a_small_area_and_a_huge_neighbour_move_together),
        EACH(a_pair_of_which_one_is_elsewhere_stays),
        EACH(a_pair_whose_move_fails_is_whole_where_it_was),
        EACH(an_attach_or_detach_that_fails_changes_nothing),
        EACH(at_the_limit_of_mappings_a_move_succeeds_or_changes_nothing),
        EACH(no_thread_ever_reads_a_stale_page_or_maps_into_a_window),
        EACH(threads_move_different_areas_at_once),
    };
    int failed = cmocka_run_group_tests_name("ica", once, NULL, NULL);
    for (mover = ANT_MOVER_STRICT; mover <= ANT_MOVER_COPY; mover++) {
        char reason[512];
        struct antk_pool_config config = {.bytes = POOL_BYTES, .max_windows = WINDOWS, .mover = mover};
        int error = antk_pool_create(&config, &pool, reason, sizeof(reason));
        if (error == -ENOTSUP) {
            print_message("SKIPPED: %s\n", reason);
            continue;
        }
        if (error == 0)
            antk_pool_destroy(pool);
        failed += cmocka_run_group_tests_name(antk_mover_name(mover), each, NULL, NULL);
    }
    return failed;
}
