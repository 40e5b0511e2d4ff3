/* ctest: machines=virtual,other movers=flat */
/*
 * What a process has freed is kept for it (src/core/shelf.h): it gets that back at once, and nobody else misses it.
 *
 * Where an area lies tells whether it was kept: the pool gives the lowest place.
 */
#include "core/core.h"
#include "fixture.h"
#include "puppet.h"

#include <pthread.h>
#include <sched.h>

static void fill(void *area, size_t pages, int byte)
{
    memset(area, byte, pages * ANT_PAGE_BYTES);
}

static bool is_full_of(const void *area, size_t pages, int byte)
{
    const unsigned char *bytes = area;
    for (size_t i = 0; i < pages * ANT_PAGE_BYTES; i++)
        if (bytes[i] != byte)
            return false;
    return true;
}

/* ---- its own again ---- */

static void what_was_freed_comes_back_with_its_bytes(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 3, 64, ANTK_SHELF_PAGES};
    void *low = new_area(5), *area[4];
    for (size_t i = 0; i < 4; i++) {
        area[i] = new_area(sizes[i]);
        fill(area[i], sizes[i], (int)i + 1);
    }
    assert_ok(ant_ica_free(low)); /* there is a lower place for the smaller ones now, if the pool is asked */
    for (size_t i = 0; i < 4; i++)
        assert_ok(ant_ica_free(area[i]));
    void *other = new_area(2); /* of another length: none of them */
    for (size_t i = 4; i-- > 0;) {
        assert_ptr_equal(new_area(sizes[i]), area[i]);
        assert_true(is_full_of(area[i], sizes[i], (int)i + 1));
        assert_ptr_not_equal(other, area[i]);
    }
    for (size_t i = 0; i < 4; i++)
        assert_ok(ant_ica_free(area[i]));
    assert_ok(ant_ica_free(other));
}

static void what_was_used_last_displaces_what_was_not(void **state)
{
    (void)state;
    enum { MANY = 3 * ANTK_SHELF_AREAS };
    void *area[MANY];
    for (size_t i = 0; i < MANY; i++)
        area[i] = new_area(i + 1);
    for (size_t i = 0; i < MANY; i++)
        assert_ok(ant_ica_free(area[i]));
    for (size_t round = 0; round < 3; round++) { /* one that was not kept is from its first use on */
        for (size_t i = 0; i < MANY; i++) {
            void *first = new_area(i + 1);
            assert_ok(ant_ica_free(first));
            assert_ptr_equal(new_area(i + 1), first);
            assert_ok(ant_ica_free(first));
        }
    }
    for (size_t i = 0; i < MANY; i++) { /* all at once, and none twice */
        area[i] = new_area(i + 1);
        fill(area[i], i + 1, (int)i + 1);
    }
    for (size_t i = 0; i < MANY; i++) {
        assert_true(is_full_of(area[i], i + 1, (int)i + 1));
        assert_ok(ant_ica_free(area[i]));
    }
}

static void a_large_area_is_not_kept(void **state)
{
    (void)state;
    const size_t pages = ANTK_SHELF_PAGES + 1;
    void *low = new_area(pages), *area = new_area(pages);
    assert_ok(ant_ica_free(area));
    assert_ok(ant_ica_free(low));
    assert_ptr_equal(new_area(pages), low);
    assert_ok(ant_ica_free(low));
}

struct use {
    _Atomic bool done;
    void *area;
};

static int use_what_is_kept(void *arg)
{
    struct use *use = arg;
    struct ant_request *rq;
    for (int i = 0; i < 1000; i++) {
        expect_ok(ant_ica_alloc(3, &use->area));
        expect_ok(ant_ica_free(use->area));
        expect_ok(ant_request_new(BOSS, &rq));
        expect_ok(ant_request_free(rq));
    }
    atomic_store(&use->done, true);
    return 0;
}

static void what_is_kept_needs_no_lock(void **state)
{
    (void)state;
    if (on_virtual())
        skip(); /* a thread that waits for a lock would not give the boss the processor */
    struct use use = {0};
    ant_pid user = puppet_create("user", 0);
    assert_int_equal(puppet_do(user, use_what_is_kept, &use), 0);
    atomic_store(&use.done, false);
    struct antk_core *core = antk_current()->core;
    puppet_await(user);
    antk_lock(&core->pool_lock);
    puppet_begin(user, use_what_is_kept, &use);
    uint64_t deadline_ns = ant_now() + (uint64_t)SOON;
    while (!atomic_load(&use.done) && ant_now() < deadline_ns)
        ant_sleep(ant_now() + US(100));
    bool done = atomic_load(&use.done);
    antk_unlock(&core->pool_lock);
    assert_true(done);
    assert_int_equal(puppet_end(user), 0);
    assert_expectations();
}

/* ---- to everybody it is free ---- */

static void what_is_kept_is_free_to_whoever_asks(void **state)
{
    (void)state;
    void *area[ANTK_SHELF_AREAS];
    struct ant_ica_info info;
    struct ant_ica_stats stats;
    size_t count;
    for (size_t i = 0; i < ANTK_SHELF_AREAS; i++)
        area[i] = new_area(2 * i + 1);
    for (size_t i = 0; i < ANTK_SHELF_AREAS; i++)
        assert_ok(ant_ica_free(area[i]));
    for (size_t i = 0; i < ANTK_SHELF_AREAS; i++) {
        assert_error(ant_ica_free(area[i]), EFAULT);
        assert_error(ant_ica_info(area[i], &info), EFAULT);
    }
    assert_ok(ant_ica_list(NULL, 0, &count));
    assert_int_equal(count, 0);
    assert_int_equal(info_of(ant_self()).pages, 0);
    assert_ok(ant_ica_stats(&stats));
    assert_int_equal(stats.free_pages, FIXTURE_POOL_PAGES);
    assert_int_equal(stats.largest_free_run, FIXTURE_POOL_PAGES);
    assert_int_equal(stats.own_pages, 0);
}

static void what_is_kept_for_one_is_there_for_others_without_its_bytes(void **state)
{
    (void)state;
    enum { PAGES = FIXTURE_POOL_PAGES - 100 };
    ant_pid first = puppet_create("first", 0), second = puppet_create("second", 0);
    void *area[ANTK_SHELF_AREAS];
    puppet_await(first); /* their own requests have their pages */
    puppet_await(second);
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < ANTK_SHELF_AREAS; i++) {
            area[i] = puppet_new_area(first, 200);
            fill(area[i], 200, 'x');
        }
        for (size_t i = 0; i < ANTK_SHELF_AREAS; i++)
            assert_ok(puppet_ica_free(first, area[i]));
        void *all = puppet_new_area(second, PAGES);
        assert_null(memchr(all, 'x', (size_t)PAGES * ANT_PAGE_BYTES)); /* zeros, or its own */
        void *none;
        assert_int_equal(puppet_ica_alloc(first, 200, &none), -ENOMEM); /* it is not there twice */
        fill(all, PAGES, 'y');
        assert_ok(puppet_ica_free(second, all));
    }
}

static void what_is_kept_ends_with_its_process(void **state)
{
    (void)state;
    for (int round = 0; round < 3 * (int)FIXTURE_PROCESSES; round++) { /* places are used again */
        ant_pid mortal = puppet_create("mortal", 0);
        void *area[3];
        for (size_t i = 0; i < 3; i++) {
            area[i] = puppet_new_area(mortal, 4);
            assert_true(is_full_of(area[i], 4, 0));
            fill(area[i], 4, round + 1);
        }
        assert_ok(puppet_ica_free(mortal, area[1]));
        puppet_dismiss(mortal);
    }
}

/* ---- many at once ---- */

enum { USERS = 4, USER_PAGES = 512 / USERS, TURNS = 60000 };

static int use_up_a_share(void *arg)
{
    static _Thread_local uint32_t *held[USER_PAGES];
    uint32_t user = *(uint32_t *)arg, count = 0;
    uint64_t draws = user + 1;
    for (uint32_t turn = 0; turn < TURNS; turn++) {
        draws = draws * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        uint32_t drawn = (uint32_t)(draws >> 33);
        bool more = turn / 500 % 2 == 0 ? drawn % 8 != 0 : drawn % 8 == 0; /* it comes and goes like the tide */
        if (more && count < USER_PAGES) {
            void *area;
            if (expect_ok(ant_ica_alloc(1, &area)) != 0)
                break;
            held[count] = area;
            held[count][0] = held[count][1023] = user << 16 | count;
            count++;
        } else if (!more && count > 0) {
            count--;
            expect(held[count][0] == (user << 16 | count) && held[count][1023] == held[count][0]);
            expect_ok(ant_ica_free(held[count]));
        }
        if (turn % 64 == 0)
            expect_ok(ant_sleep(ant_now() + US(1))); /* let others run, too */
    }
    while (count > 0)
        expect_ok(ant_ica_free(held[--count]));
    return 0;
}

/* Each has room for a share of the pool, and the shares are all of it: so there is always a page for who has not used up his. */
static void nobody_is_refused_while_anything_is_free(void **state)
{
    (void)state;
    struct ant_config config = fixture_config();
    config.pool_bytes = (size_t)2 << 20;
    fixture_boot(&config);
    uint32_t number[USERS];
    ant_pid user[USERS];
    for (uint32_t i = 0; i < USERS; i++) {
        number[i] = i + 1;
        user[i] = spawn("user", 0, use_up_a_share, &number[i]);
    }
    for (uint32_t i = 0; i < 200; i++) {
        struct ant_ica_stats stats;
        assert_ok(ant_ica_stats(&stats));
        assert_in_range(stats.free_pages, 0, 512);
        assert_ok(ant_sleep(ant_now() + US(20)));
    }
    for (uint32_t i = 0; i < USERS; i++)
        assert_int_equal(join(user[i]), 0);
    assert_expectations();
    fixture_shutdown();
}

/*
 * A page is free at every moment, but each time on another shelf: one at this end of the long row of shelves, one at the other, in turns. Whoever looks through
 * them for a page must find it.
 */
enum { SHELVES = 4096, ROUNDS = 1000 };

static struct antk_endpoint *place(struct antk_core *core, uint32_t index)
{
    struct antk_endpoint *ep = &core->endpoints[index];
    assert_int_equal(antk_window_create(core->pool, index + 1, &ep->window), 0);
    ep->window.space = index + 1;
    return ep;
}

struct turns {
    struct antk_endpoint *ends[2];
    _Atomic bool over;
    _Atomic uint32_t taken, refused;
};

static void *free_at_one_end_and_allocate_at_the_other(void *arg)
{
    struct turns *turns = arg;
    uint32_t frame;
    for (uint32_t i = 0; !atomic_load(&turns->over); i++) {
        atomic_store(&turns->taken, i);
        if (antk_area_new(turns->ends[i % 2], 1, 1, &frame) == 0)
            antk_area_drop(turns->ends[i % 2], frame);
        else
            atomic_fetch_add(&turns->refused, 1);
    }
    return NULL;
}

static void a_page_that_is_free_somewhere_is_found(void **state)
{
    (void)state;
    if (on_virtual())
        skip(); /* the thread below is none of its own */
    struct ant_config config = fixture_config();
    config.pool_bytes = (size_t)2 << 20;
    config.max_processes = SHELVES;
    fixture_boot(&config);
    struct antk_core *core = antk_current()->core;
    struct turns turns = {.ends = {place(core, 1), place(core, SHELVES - 1)}};
    struct antk_endpoint *seeker = place(core, SHELVES / 2);
    void *rest = new_area(510); /* two pages are left: one for each */
    uint32_t frame, refused = 0;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, free_at_one_end_and_allocate_at_the_other, &turns), 0);
    for (uint32_t round = 0; round < ROUNDS; round++) {
        for (uint32_t taken = atomic_load(&turns.taken); atomic_load(&turns.taken) - taken < 4;)
            sched_yield(); /* now both ends have a page, and the pool has none */
        if (antk_area_new(seeker, 1, 1, &frame) != 0) {
            refused++;
            continue;
        }
        antk_area_drop(seeker, frame);
        antk_shelf_clear(core, antk_shelf(seeker));
    }
    atomic_store(&turns.over, true);
    pthread_join(thread, NULL);
    assert_int_equal(refused, 0);
    assert_int_equal(atomic_load(&turns.refused), 0);
    assert_ok(ant_ica_free(rest));
    fixture_shutdown();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        core_test(what_was_freed_comes_back_with_its_bytes),
        core_test(what_was_used_last_displaces_what_was_not),
        core_test(a_large_area_is_not_kept),
        core_test(what_is_kept_needs_no_lock),
        core_test(what_is_kept_is_free_to_whoever_asks),
        core_test(what_is_kept_for_one_is_there_for_others_without_its_bytes),
        core_test(what_is_kept_ends_with_its_process),
        cmocka_unit_test_setup_teardown(a_page_that_is_free_somewhere_is_found, fixture_no_core,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(nobody_is_refused_while_anything_is_free, fixture_no_core,
                                        fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
