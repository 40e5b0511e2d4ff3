/* ctest: machines=virtual,real movers=strict,flat */
/* The list of a process's areas. */
#include "mortal.h"

#include <pthread.h>

static void a_process_can_list_its_areas(void **state)
{
    (void)state;
    void *areas[8], *one = new_area(1), *two = new_area(3);
    size_t count = 77;
    struct ant_request *rq = new_request(FN), *sent = send_op(OP_KEEP, 1);
    assert_ok(ant_ica_list(NULL, 0, &count));
    assert_int_equal(count, 3); /* not what it has sent */
    assert_soon(info_of(mortal_pid).in_service == 1);
    areas[2] = NULL;
    assert_ok(ant_ica_list(areas, 2, &count));
    assert_int_equal(count, 3);
    assert_ptr_equal(areas[2], NULL);
    assert_ok(ant_ica_list(areas, 8, &count));
    assert_int_equal(count, 3);
    assert_true((char *)areas[0] < (char *)areas[1] && (char *)areas[1] < (char *)areas[2]);
    for (size_t i = 0; i < 3; i++)
        assert_true(areas[i] == one || areas[i] == two || areas[i] == rq);
    assert_error(ant_ica_list(areas, 8, NULL), EINVAL);
    assert_error(ant_ica_list(NULL, 1, &count), EINVAL);
    mortal_kill();
    take_error(sent, -EOWNERDEAD);
    assert_ok(ant_ica_free(one));
    assert_ok(ant_ica_free(two));
    assert_ok(ant_request_free(rq));
}

static int list_in_start(struct ant_server *self)
{
    void *areas[4], *mine;
    size_t count = 77;
    expect_ok(ant_ica_list(areas, 4, &count));
    expect(count == 0); /* not the predecessor's */
    if (!expect_ok(ant_ica_alloc(2, &mine))) {
        expect_ok(ant_ica_list(areas, 4, &count));
        expect(count == 1 && areas[0] == mine);
        expect_ok(ant_ica_free(mine));
    }
    (void)self;
    return 0;
}

static void a_new_server_lists_what_it_has_allocated(void **state)
{
    (void)state;
    mortal.hook = list_in_start;
    assert_ok(ant_swap(FN, &mortal_one, NULL, NULL));
    assert_expectations();
}

static void *list_from_outside(void *arg)
{
    size_t count = 0;
    (void)arg;
    expect_error(ant_ica_list(NULL, 0, &count), EPERM);
    return NULL;
}

static void who_is_no_process_has_no_areas(void **state)
{
    (void)state;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, list_from_outside, NULL), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        mortal_test(a_process_can_list_its_areas),
        mortal_test(a_new_server_lists_what_it_has_allocated),
        core_test(who_is_no_process_has_no_areas),
    };
    return cmocka_run_group_tests_name("ica_list", tests, NULL, NULL);
}
