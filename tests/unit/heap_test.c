/* ctest: machines=virtual movers=strict,flat */
/* Heaps, by themselves: objects against a model, growing, compacting, and every error. What a swap does with them is in heap_swap_test.c. */
#include "fixture.h"
#include "puppet.h"
#include "wrap.h"

#include "core/heap.h"

#include <pthread.h>

static uint64_t seed;

static uint32_t draw(uint32_t limit)
{
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(seed >> 33) % limit;
}

static struct ant_heap *new_heap(size_t bytes)
{
    struct ant_heap *heap = NULL;
    assert_ok(ant_heap_create(bytes, &heap));
    return heap;
}

static void *new_object(struct ant_heap *heap, size_t bytes)
{
    void *object = NULL;
    assert_ok(ant_heap_alloc(heap, bytes, &object));
    assert_int_equal((uintptr_t)object % 16, 0);
    return object;
}

static struct ant_heap_info info_of_heap(const struct ant_heap *heap)
{
    struct ant_heap_info info;
    assert_ok(ant_heap_info(heap, &info));
    return info;
}

static void assert_sound(const struct ant_heap *heap)
{
    struct ant_heap_damage damage = {NULL, NULL};
    if (ant_heap_check(heap, &damage) != 0)
        fail_msg("%s (%p in %p)", damage.what, damage.where, (const void *)heap);
}

static bool all_are(const void *memory, size_t bytes, unsigned char value)
{
    const unsigned char *at = memory;
    for (size_t i = 0; i < bytes; i++)
        if (at[i] != value)
            return false;
    return true;
}

/* ---- against a model ---- */

#define OBJECTS 200u

static struct {
    unsigned char *object; /* NULL: none */
    size_t bytes;
    unsigned char value; /* of each of its bytes */
} model[OBJECTS];

static size_t draw_bytes(void)
{
    switch (draw(16)) {
    case 0:
        return 1 + draw(100000);
    case 1:
    case 2:
        return 1 + draw(5000);
    default:
        return 1 + draw(300);
    }
}

static void model_alloc(struct ant_heap *heap, uint32_t i)
{
    model[i].bytes = draw_bytes();
    model[i].object = new_object(heap, model[i].bytes);
    assert_true(all_are(model[i].object, model[i].bytes, 0));
    model[i].value = (unsigned char)(1 + draw(255));
    memset(model[i].object, model[i].value, model[i].bytes);
}

static void model_resize(struct ant_heap *heap, uint32_t i)
{
    size_t former = model[i].bytes;
    model[i].bytes = draw(3) == 0 ? draw_bytes() : former + draw(40);
    assert_ok(ant_heap_resize(heap, model[i].bytes, (void **)&model[i].object));
    size_t kept = former < model[i].bytes ? former : model[i].bytes;
    assert_true(all_are(model[i].object, kept, model[i].value));
    assert_true(all_are(model[i].object + kept, model[i].bytes - kept, 0));
    memset(model[i].object, model[i].value, model[i].bytes);
}

static void model_free(struct ant_heap *heap, uint32_t i)
{
    assert_true(all_are(model[i].object, model[i].bytes, model[i].value));
    assert_ok(ant_heap_free(heap, model[i].object));
    model[i].object = NULL;
}

static void tell_of_model(struct ant_heap *heap, void *context)
{
    (void)context;
    for (uint32_t i = 0; i < OBJECTS; i++)
        expect_ok(ant_heap_moved(heap, &model[i].object));
}

static void assert_like_model(struct ant_heap *heap)
{
    size_t objects = 0, bytes = 0;
    for (uint32_t i = 0; i < OBJECTS; i++) {
        objects += model[i].object != NULL;
        bytes += model[i].object ? model[i].bytes : 0;
        assert_true(!model[i].object || all_are(model[i].object, model[i].bytes, model[i].value));
    }
    struct ant_heap_info info = info_of_heap(heap);
    assert_int_equal(info.objects, objects);
    assert_int_equal(info.used_bytes, bytes);
    assert_int_equal(own_pages(), info.bytes / ANT_PAGE_BYTES);
    assert_true(info.largest_bytes <= info.free_bytes && info.free_bytes + info.used_bytes < info.bytes);
}

static void model_act(struct ant_heap *heap)
{
    uint32_t i = draw(OBJECTS), what = draw(200);
    if (what == 0)
        assert_ok(ant_heap_compact(heap, tell_of_model, NULL));
    else if (what == 1)
        assert_ok(ant_heap_trim(heap));
    else if (!model[i].object)
        model_alloc(heap, i);
    else if (what < 70)
        model_resize(heap, i);
    else
        model_free(heap, i);
}

static void a_heap_does_what_a_model_does(void **state)
{
    (void)state;
    const char *more = getenv("HEAP_SEEDS"); /* by hand: many */
    uint64_t seeds = more ? strtoull(more, NULL, 10) : 3;
    for (uint64_t s = 1; s <= seeds; s++) {
        seed = s;
        memset(model, 0, sizeof model);
        struct ant_heap *heap = new_heap(draw(2) * 10000);
        for (int acts = 0; acts < 1000; acts++) {
            model_act(heap);
            assert_sound(heap);
            if (acts % 50 == 0)
                assert_like_model(heap);
        }
        assert_like_model(heap);
        for (uint32_t i = 0; i < OBJECTS; i++)
            if (model[i].object)
                model_free(heap, i);
        assert_ok(ant_heap_trim(heap));
        assert_int_equal(info_of_heap(heap).areas, 1);
        assert_int_equal(info_of_heap(heap).used_bytes, 0);
        assert_sound(heap);
        assert_ok(ant_heap_destroy(heap));
        assert_int_equal(own_pages(), 0);
    }
}

/* ---- growing ---- */

static void a_heap_grows_and_gives_back(void **state)
{
    (void)state;
    struct ant_heap *heap = new_heap(0);
    assert_int_equal(own_pages(), 1);
    size_t first = info_of_heap(heap).largest_bytes;
    void *all = new_object(heap, first); /* it has told the truth */
    assert_int_equal(info_of_heap(heap).areas, 1);
    assert_int_equal(info_of_heap(heap).largest_bytes, 0);
    void *one = new_object(heap, 1);
    assert_int_equal(own_pages(), 1 + 16);
    void *large = new_object(heap, 300000);
    assert_int_equal(info_of_heap(heap).areas, 3);
    assert_ok(ant_heap_free(heap, large));
    assert_ptr_equal(new_object(heap, 300000), large); /* it fits where it was */
    assert_int_equal(info_of_heap(heap).areas, 3);
    assert_ok(ant_heap_free(heap, one));
    assert_ok(ant_heap_trim(heap));
    assert_int_equal(info_of_heap(heap).areas, 2);
    assert_ok(ant_heap_free(heap, large));
    assert_ok(ant_heap_free(heap, all));
    assert_int_equal(info_of_heap(heap).areas, 2);
    assert_ok(ant_heap_trim(heap));
    assert_int_equal(own_pages(), 1); /* the first one stays */
    assert_int_equal(info_of_heap(heap).largest_bytes, first);
    assert_ok(ant_heap_destroy(heap));
}

static void a_resized_object_stays_where_it_can(void **state)
{
    (void)state;
    struct ant_heap *heap = new_heap(20000);
    void *object = new_object(heap, 100), *was = object;
    memset(object, 7, 100);
    assert_ok(ant_heap_resize(heap, 1000, &object));
    assert_ptr_equal(object, was);
    assert_ok(ant_heap_resize(heap, 10, &object));
    assert_ptr_equal(object, was);
    assert_ok(ant_heap_resize(heap, 20, &object));
    assert_true(all_are(object, 10, 7) && all_are((char *)object + 10, 10, 0));
    void *next = new_object(heap, 10);
    assert_ok(ant_heap_resize(heap, 1000, &object));
    assert_ptr_not_equal(object, was);
    assert_ptr_equal(new_object(heap, 20), was);
    void *none = NULL;
    assert_ok(ant_heap_resize(heap, 5, &none));
    assert_non_null(none);
    assert_int_equal(info_of_heap(heap).objects, 4);
    assert_ok(ant_heap_free(heap, next));
    assert_ok(ant_heap_free(heap, NULL));
    assert_sound(heap);
    assert_ok(ant_heap_destroy(heap));
}

static void without_pages_nothing_changes(void **state)
{
    (void)state;
    struct ant_heap *heap = new_heap(4000), *other = NULL;
    void *object = new_object(heap, 3000), *none = NULL, *was = object;
    memset(object, 9, 3000);
    assert_error(ant_heap_alloc(heap, FIXTURE_POOL_BYTES, &none), ENOMEM);
    assert_error(ant_heap_resize(heap, FIXTURE_POOL_BYTES, &object), ENOMEM);
    assert_error(ant_heap_create(FIXTURE_POOL_BYTES, &other), ENOMEM); /* with its header, more than the pool has */
    assert_error(ant_heap_create(FIXTURE_POOL_BYTES - 2 * ANT_PAGE_BYTES, &other), ENOMEM);
    assert_null(none);
    assert_null(other);
    assert_ptr_equal(object, was);
    assert_true(all_are(object, 3000, 9));
    assert_int_equal(info_of_heap(heap).objects, 1);
    assert_int_equal(info_of_heap(heap).areas, 1);
    assert_sound(heap);
    assert_ok(ant_heap_destroy(heap));
}

static void a_heap_takes_the_last_pages(void **state)
{
    (void)state;
    struct ant_heap *heap = new_heap(0);
    void *object = NULL;
    uint32_t count = 0;
    while (ant_heap_alloc(heap, 3000, &object) == 0)
        count++;
    assert_true(free_pages() == 0); /* growing by less and less */
    assert_in_range(count, 2000, FIXTURE_POOL_BYTES / 3000);
    assert_sound(heap);
    assert_ok(ant_heap_destroy(heap));
}

/* ---- what it is given ---- */

static void wrong_arguments_are_refused(void **state)
{
    (void)state;
    struct ant_heap *heap = new_heap(0);
    void *object = new_object(heap, 10);
    assert_error(ant_heap_create(0, NULL), EINVAL);
    assert_error(ant_heap_create(FIXTURE_POOL_BYTES + 1, &heap), EINVAL);
    assert_error(ant_heap_alloc(heap, 0, &object), EINVAL);
    assert_error(ant_heap_alloc(heap, FIXTURE_POOL_BYTES + 1, &object), EINVAL);
    assert_error(ant_heap_alloc(heap, 1, NULL), EINVAL);
    assert_error(ant_heap_resize(heap, 0, &object), EINVAL);
    assert_error(ant_heap_resize(heap, 1, NULL), EINVAL);
    assert_error(ant_heap_info(heap, NULL), EINVAL);
    assert_error(ant_heap_open(heap, NULL), EINVAL);
    assert_error(ant_heap_compact(heap, NULL, NULL), EINVAL);
    assert_error(ant_heap_moved(heap, &object), EINVAL); /* it is not being compacted */
    assert_null(ant_heap_root(heap));
    assert_null(ant_heap_root(NULL));
    assert_ok(ant_heap_root_set(heap, object));
    assert_ptr_equal(ant_heap_root(heap), object);
    new_object(heap, 10);
    assert_ok(ant_heap_resize(heap, 200, &object));
    assert_ptr_equal(ant_heap_root(heap), object);
    assert_ok(ant_heap_root_set(heap, NULL));
    assert_null(ant_heap_root(heap));
    assert_ok(ant_heap_destroy(heap));
}

static void pointers_to_no_object_are_refused(void **state)
{
    (void)state;
    struct ant_heap *heap = new_heap(0), *other = new_heap(0);
    char *one = new_object(heap, 100), *two = new_object(heap, 100);
    void *strange = new_object(other, 10), *area = new_area(1), *on_stack = &area;
    void *inside[] = {one + 1, one + 16, two - 16, (char *)heap, (char *)heap + 64};
    for (size_t i = 0; i < sizeof inside / sizeof *inside; i++) {
        void *p = inside[i];
        assert_error(ant_heap_free(heap, p), EINVAL);
        assert_error(ant_heap_resize(heap, 50, &p), EINVAL);
        assert_error(ant_heap_root_set(heap, p), EINVAL);
    }
    void *outside[] = {strange, area, on_stack, (char *)area + FIXTURE_POOL_BYTES, (void *)(uintptr_t)16};
    for (size_t i = 0; i < sizeof outside / sizeof *outside; i++) {
        void *p = outside[i];
        assert_error(ant_heap_free(heap, p), EFAULT);
        assert_error(ant_heap_resize(heap, 50, &p), EFAULT);
        assert_error(ant_heap_root_set(heap, p), EFAULT);
    }
    assert_ok(ant_heap_free(heap, two));
    assert_error(ant_heap_free(heap, two), EINVAL); /* twice */
    assert_ok(ant_heap_free(heap, one));
    assert_error(ant_heap_free(heap, two), EINVAL); /* within a longer free block now */
    char *both = new_object(heap, 250);
    assert_ptr_equal(both, one);
    assert_error(ant_heap_free(heap, two), EINVAL); /* within another object */
    assert_int_equal(info_of_heap(heap).objects, 1);
    assert_sound(heap);
    assert_ok(ant_ica_free(area));
    assert_ok(ant_heap_destroy(other));
    assert_ok(ant_heap_destroy(heap));
}

static void objects_of_a_heap_that_is_gone_are_refused(void **state)
{
    (void)state;
    struct ant_heap *heap = new_heap(0), *again;
    new_object(heap, 10); /* theirs are not the first headers, which are written anew */
    void *in_first = new_object(heap, 50);
    new_object(heap, 10000);
    void *in_second = new_object(heap, 10000);
    assert_ok(ant_heap_destroy(heap));
    again = new_heap(0);
    assert_ptr_equal(again, heap);
    void *first_of_second = new_object(again, 5000);
    assert_ok(ant_heap_free(again, first_of_second));
    assert_error(ant_heap_free(again, in_first), EINVAL);
    assert_error(ant_heap_free(again, in_second), EINVAL);
    assert_ok(ant_heap_destroy(again));
}

static void trace_nothing(struct ant_heap *heap, void *context)
{
    (void)heap, (void)context;
}

/* All calls that take a heap, with one that is none. */
#define assert_no_heap(heap, object, error)                                                        \
    do {                                                                                           \
        struct ant_heap_info info_;                                                                \
        void *made_ = NULL, *object_ = (object);                                                   \
        assert_error(ant_heap_destroy(heap), E##error);                                            \
        assert_error(ant_heap_root_set(heap, object_), E##error);                                  \
        assert_error(ant_heap_alloc(heap, 1, &made_), E##error);                                   \
        assert_error(ant_heap_resize(heap, 1, &object_), E##error);                                \
        assert_error(ant_heap_free(heap, object_), E##error);                                      \
        assert_error(ant_heap_trim(heap), E##error);                                               \
        assert_error(ant_heap_info(heap, &info_), E##error);                                       \
        assert_error(ant_heap_check(heap, NULL), E##error);                                        \
        assert_error(ant_heap_compact(heap, trace_nothing, NULL), E##error);                       \
        assert_error(ant_heap_moved(heap, &object_), E##error);                                    \
    } while (0)

static void what_is_no_heap_is_refused(void **state)
{
    (void)state;
    struct ant_heap *heap = new_heap(0), *found = NULL;
    char *area = new_area(2);
    void *object = new_object(heap, 10);
    assert_no_heap((struct ant_heap *)(void *)area, object, INVAL);
    assert_no_heap((struct ant_heap *)(void *)(area + 16), object, INVAL);
    assert_no_heap((struct ant_heap *)NULL, object, FAULT);
    assert_error(ant_heap_open(area, &found), EBADMSG);
    assert_error(ant_heap_open(area + ANT_PAGE_BYTES, &found), EINVAL);
    assert_error(ant_heap_open(NULL, &found), EFAULT);
    memcpy(area, heap, ANT_PAGE_BYTES);
    assert_error(ant_heap_open(area, &found), EBADMSG); /* it lay elsewhere */
    assert_no_heap((struct ant_heap *)(void *)area, object, INVAL);
    heap->layout++;
    assert_error(ant_heap_open(heap, &found), EPROTO);
    heap->layout--;
    assert_null(found);
    assert_ok(ant_heap_open(heap, &found));
    assert_ptr_equal(found, heap);
    assert_ok(ant_ica_free(area));
    assert_ok(ant_heap_destroy(heap));
    assert_no_heap(heap, object, FAULT);
}

static void another_process_has_another_heap(void **state)
{
    (void)state;
    ant_pid puppet = puppet_create("other", FIXTURE_PRIORITY);
    struct ant_heap *heap = puppet_new_area(puppet, 1), *found = NULL;
    assert_no_heap(heap, NULL, PERM);
    assert_error(ant_heap_open(heap, &found), EPERM);
}

static void *from_outside(void *arg)
{
    struct ant_heap *heap = arg, *made;
    struct ant_heap_info info;
    void *object = NULL;
    expect_error(ant_heap_create(0, &made), EPERM);
    expect_error(ant_heap_open(heap, &made), EPERM);
    expect_error(ant_heap_destroy(heap), EPERM);
    expect_error(ant_heap_root_set(heap, NULL), EPERM);
    expect_error(ant_heap_alloc(heap, 1, &object), EPERM);
    expect_error(ant_heap_resize(heap, 1, &object), EPERM);
    expect_error(ant_heap_free(heap, NULL), EPERM);
    expect_error(ant_heap_trim(heap), EPERM);
    expect_error(ant_heap_info(heap, &info), EPERM);
    expect_error(ant_heap_check(heap, NULL), EPERM);
    expect_error(ant_heap_compact(heap, trace_nothing, NULL), EPERM);
    expect_error(ant_heap_moved(heap, &object), EPERM);
    return NULL;
}

static void who_is_no_process_has_no_heap(void **state)
{
    (void)state;
    pthread_t thread;
    struct ant_heap *heap = new_heap(0);
    assert_int_equal(pthread_create(&thread, NULL, from_outside, heap), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_ok(ant_heap_destroy(heap));
}

/* ---- damage ---- */

/* Writes another value there, and asserts that the check tells where. */
static void damage_word(struct ant_heap *heap, uint64_t *word, uint64_t value)
{
    uint64_t was = *word;
    struct ant_heap_damage damage = {NULL, NULL};
    *word = value;
    assert_error(ant_heap_check(heap, &damage), EBADMSG);
    assert_non_null(damage.what);
    assert_true((char *)damage.where - (char *)word < 64 && (char *)word - (char *)damage.where < 64);
    *word = was;
    assert_sound(heap);
}

static void every_header_and_link_is_checked(void **state)
{
    (void)state;
    struct ant_heap *heap = new_heap(0);
    char *a = new_object(heap, 40), *b = new_object(heap, 40), *c = new_object(heap, 40),
         *d = new_object(heap, 40);
    char *e = new_object(heap, 40);
    char *far_away = new_object(heap, 5000);
    struct antk_segment *second = heap->segment.next;
    assert_ok(ant_heap_free(heap, b));
    assert_ok(ant_heap_free(heap, d));
    uint64_t values[] = {0, UINT64_MAX, UINT64_C(0x4141414141414141), (uintptr_t)a, (uintptr_t)heap};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        char *objects[] = {a, b, c, d, e, far_away};
        for (size_t j = 0; j < sizeof objects / sizeof *objects; j++) {
            damage_word(heap, (uint64_t *)(void *)(objects[j] - 16), values[i]);
            damage_word(heap, (uint64_t *)(void *)(objects[j] - 8), values[i]);
        }
        damage_word(heap, (uint64_t *)(void *)b, values[i]); /* the links of free ones */
        damage_word(heap, (uint64_t *)(void *)(b + 8), values[i]);
        damage_word(heap, (uint64_t *)(void *)d, values[i]);
        damage_word(heap, (uint64_t *)(void *)(d + 8), values[i]);
        damage_word(heap, (uint64_t *)(void *)antk_segment_end(second), values[i]);
        if (values[i] != 0)
            damage_word(heap, (uint64_t *)(void *)&second->next, values[i]);
        damage_word(heap, &second->pages, values[i]);
        damage_word(heap, &heap->heads[0][4], values[i]);
        damage_word(heap, &heap->objects, values[i]);
        if (values[i] != 0 && values[i] != (uintptr_t)a)
            damage_word(heap, (uint64_t *)(void *)&heap->root, values[i]);
    }
    heap->classes[5] ^= 4;
    assert_error(ant_heap_check(heap, NULL), EBADMSG);
    heap->classes[5] ^= 4;
    heap->rows ^= 32;
    assert_error(ant_heap_check(heap, NULL), EBADMSG);
    heap->rows ^= 32;
    heap->segment.pages++;
    struct ant_heap_damage damage = {NULL, NULL};
    assert_error(ant_heap_check(heap, &damage), EBADMSG);
    assert_ptr_equal(damage.where, heap);
    struct ant_heap *found;
    assert_error(ant_heap_open(heap, &found), EBADMSG);
    heap->segment.pages--;
    assert_ok(ant_heap_destroy(heap));
}

static void a_damaged_heap_is_left_alone(void **state)
{
    (void)state;
    struct ant_heap *heap = new_heap(0);
    char *one = new_object(heap, 40), *two = new_object(heap, 40);
    new_object(heap, 5000);
    void *p = one;
    memset(one, 'x', 64); /* beyond its end, and into the header of the next */
    size_t pages = own_pages();
    assert_error(ant_heap_free(heap, one), EBADMSG);
    assert_error(ant_heap_resize(heap, 1000, &p), EBADMSG);
    assert_error(ant_heap_free(heap, two), EINVAL);
    assert_error(ant_heap_check(heap, NULL), EBADMSG);
    assert_error(ant_heap_compact(heap, trace_nothing, NULL), EBADMSG);
    assert_ptr_equal(p, one);
    heap->segment.next->pages++; /* the other area */
    assert_error(ant_heap_alloc(heap, 100000, &p), EBADMSG);
    assert_error(ant_heap_trim(heap), EBADMSG);
    assert_error(ant_heap_destroy(heap), EBADMSG);
    heap->segment.next->pages--;
    uint32_t rows = heap->rows, class = heap->classes[31 - __builtin_clz(rows)];
    uint64_t *head = &heap->heads[31 - __builtin_clz(rows)][31 - __builtin_clz(class)], was = *head;
    *head = 0;
    assert_error(ant_heap_alloc(heap, 1000, &p), EBADMSG);
    struct ant_heap_info info;
    assert_error(ant_heap_info(heap, &info), EBADMSG);
    *head = was;
    heap->layout++;
    assert_error(ant_heap_root_set(heap, NULL), EBADMSG);
    assert_error(ant_heap_moved(heap, &p), EBADMSG);
    heap->layout--;
    assert_int_equal(own_pages(), pages);
    assert_ok(ant_heap_destroy(heap));
}

/* Damage of any kind, anywhere in its first area: errors, or nothing, but no fault, and no call that never returns. */
static void random_damage_does_no_harm(void **state)
{
    (void)state;
    const char *more = getenv("HEAP_SEEDS");
    uint64_t seeds = more ? 50 * strtoull(more, NULL, 10) : 60;
    for (uint64_t s = 1; s <= seeds; s++) {
        seed = s;
        struct ant_heap *heap = new_heap(2000);
        void *objects[60] = {NULL};
        for (int i = 0; i < 60; i++)
            if (ant_heap_alloc(heap, 1 + draw(150), &objects[i]) == 0 && draw(3) == 0)
                assert_ok(ant_heap_free(heap, objects[i]));
        size_t header = offsetof(struct ant_heap, layout);
        for (uint32_t i = 1 + draw(4); i > 0; i--) {
            char *at = (char *)heap + header + draw((uint32_t)(2 * ANT_PAGE_BYTES - header - 8));
            if (at >= (char *)&heap->incarnation && at < (char *)&heap->root + 8)
                continue; /* of a compaction that goes on, and the program's own root */
            memset(at, (int)draw(256), 1 + draw(8));
        }
        for (int i = 0; i < 200; i++) {
            void **object = &objects[draw(60)];
            struct ant_heap_info info;
            if (draw(2) == 0)
                ant_heap_free(heap, *object);
            else if (draw(2) == 0)
                ant_heap_resize(heap, 1 + draw(400), object);
            else
                ant_heap_alloc(heap, 1 + draw(200), object);
            if (draw(50) == 0)
                ant_heap_info(heap, &info);
            if (draw(50) == 0)
                ant_heap_trim(heap);
            if (draw(100) == 0)
                ant_heap_compact(heap, trace_nothing, NULL);
        }
        ant_heap_check(heap, NULL);
        void *areas[64];
        size_t count;
        assert_ok(ant_ica_list(areas, 64, &count));
        assert_in_range(count, 1, 64);
        for (size_t i = 0; i < count; i++)
            assert_ok(ant_ica_free(areas[i]));
    }
}

/* ---- compacting ---- */

struct node {
    struct node *next, *chain; /* the list, and that of its bucket */
    char *text;
    uint32_t number;
};

#define BUCKETS 32u

struct table {
    struct node *first;
    struct node *buckets[BUCKETS];
};

static void add_node(struct ant_heap *heap, uint32_t number)
{
    struct table *table = ant_heap_root(heap);
    struct node *node = new_object(heap, sizeof *node);
    *node = (struct node){table->first, table->buckets[number % BUCKETS],
                          new_object(heap, 10 + number % 50), number};
    snprintf(node->text, 10 + number % 50, "n%u", number);
    table->first = table->buckets[number % BUCKETS] = node;
}

static bool kept(const struct node *node, uint32_t every)
{
    return node->number % every == 0;
}

static void drop_nodes(struct ant_heap *heap, uint32_t every)
{
    struct table *table = ant_heap_root(heap);
    for (uint32_t i = 0; i < BUCKETS; i++)
        for (struct node **link = &table->buckets[i]; *link;)
            if (kept(*link, every))
                link = &(*link)->chain;
            else
                *link = (*link)->chain;
    for (struct node **link = &table->first; *link;) {
        struct node *node = *link;
        if (kept(node, every)) {
            link = &node->next;
            continue;
        }
        *link = node->next;
        assert_ok(ant_heap_free(heap, node->text));
        assert_ok(ant_heap_free(heap, node));
    }
}

static uint32_t count_nodes(struct ant_heap *heap)
{
    struct table *table = ant_heap_root(heap);
    uint32_t count = 0, chained = 0;
    char text[16];
    for (const struct node *node = table->first; node; node = node->next, count++) {
        snprintf(text, sizeof text, "n%u", node->number);
        assert_string_equal(node->text, text);
    }
    for (uint32_t i = 0; i < BUCKETS; i++)
        for (const struct node *node = table->buckets[i]; node; node = node->chain, chained++)
            assert_int_equal(node->number % BUCKETS, i);
    assert_int_equal(chained, count);
    return count;
}

static void tell_of_table(struct ant_heap *heap, void *context)
{
    struct table *table = ant_heap_root(heap);
    for (struct node *node = table->first; node; node = node->next) {
        expect_ok(ant_heap_moved(heap, &node->next));
        expect_ok(ant_heap_moved(heap, &node->chain));
        expect_ok(ant_heap_moved(heap, &node->text));
    }
    expect_ok(ant_heap_moved(heap, &table->first));
    for (uint32_t i = 0; i < BUCKETS; i++)
        expect_ok(ant_heap_moved(heap, &table->buckets[i]));
    if (context)
        expect_ok(ant_heap_moved(heap, context));
}

static struct ant_heap *table_heap(uint32_t nodes)
{
    struct ant_heap *heap = new_heap(0);
    assert_ok(ant_heap_root_set(heap, new_object(heap, sizeof(struct table))));
    for (uint32_t i = 1; i <= nodes; i++)
        add_node(heap, i);
    return heap;
}

static void compacting_gives_areas_back(void **state)
{
    (void)state;
    struct ant_heap *heap = table_heap(4000);
    size_t before = own_pages();
    drop_nodes(heap, 16);
    assert_ok(ant_heap_trim(heap));
    assert_true(own_pages() > before / 2); /* something is left in most areas */
    struct node *first = ((struct table *)ant_heap_root(heap))->first, *held = first;
    assert_ok(ant_heap_compact(heap, tell_of_table, &held));
    assert_sound(heap);
    assert_ptr_not_equal(held, first);
    assert_ptr_equal(held, ((struct table *)ant_heap_root(heap))->first);
    assert_int_equal(count_nodes(heap), 250);
    struct ant_heap_info info = info_of_heap(heap);
    assert_int_equal(info.objects, 1 + 2 * 250);
    assert_true(info.areas <= 2);
    assert_int_equal(own_pages(), 1 + 16);
    assert_ok(ant_heap_compact(heap, tell_of_table, NULL)); /* nothing is to be moved any more */
    for (uint32_t i = 4001; i <= 4500; i++)
        add_node(heap, i);
    assert_int_equal(count_nodes(heap), 750);
    assert_sound(heap);
    assert_ok(ant_heap_destroy(heap));
}

static void former_headers_are_gone_after_compacting(void **state)
{
    (void)state;
    struct ant_heap *heap = new_heap(10000);
    char *gap = new_object(heap, 112), *moved = new_object(heap, 48), *was = moved;
    assert_ok(ant_heap_free(heap, gap));
    assert_ok(ant_heap_root_set(heap, moved));
    assert_ok(ant_heap_compact(heap, trace_nothing, NULL));
    assert_ptr_equal(ant_heap_root(heap), gap);
    new_object(heap, 1000); /* over where it was */
    assert_error(ant_heap_free(heap, was), EINVAL);
    assert_ok(ant_heap_free(heap, gap));
    assert_null(ant_heap_root(heap));
    assert_sound(heap);
    assert_ok(ant_heap_destroy(heap));
}

struct lie {
    void *pointers[3];
    int error;
};

/* Of what it is told, the last is wrong. */
static void lie(struct ant_heap *heap, void *context)
{
    struct lie *lie = context;
    struct table *table = ant_heap_root(heap);
    expect_ok(ant_heap_moved(heap, &table->first));
    for (size_t i = 0; i < 3; i++)
        if (lie->pointers[i] && ant_heap_moved(heap, lie->pointers[i]) != lie->error)
            expect(false);
}

/* Nothing has moved. */
static void assert_given_up(struct ant_heap *heap, const struct table *as_before)
{
    assert_sound(heap);
    assert_memory_equal(ant_heap_root(heap), as_before, sizeof *as_before);
    assert_int_equal(count_nodes(heap), 100);
}

static void wrong_pointers_give_a_compaction_up(void **state)
{
    (void)state;
    struct ant_heap *heap = table_heap(1000), *other = new_heap(0);
    drop_nodes(heap, 10);
    char *freed = new_object(heap, 500);
    assert_ok(ant_heap_free(heap, freed));
    freed += 256;
    struct table *table = ant_heap_root(heap), before = *table;
    struct node *node = table->first;
    void *interior = &node->text, *strange = new_object(other, 8), *good = node;
    struct lie twice = {.pointers = {&good, &good}}, itself = {.pointers = {&table->first}};
    void **unused = (void **)(void *)freed; /* a pointer to an object, in what is free */
    *unused = node;
    struct lie between = {.pointers = {unused}};
    struct lie inside = {.pointers = {&interior}, .error = -EINVAL};
    struct lie outside = {.pointers = {&strange}, .error = -EFAULT};
    assert_error(ant_heap_compact(heap, lie, &twice), EEXIST);
    assert_given_up(heap, &before);
    assert_error(ant_heap_compact(heap, lie, &itself), EEXIST);
    assert_given_up(heap, &before);
    assert_error(ant_heap_compact(heap, lie, &inside), EINVAL);
    assert_given_up(heap, &before);
    assert_error(ant_heap_compact(heap, lie, &outside), EFAULT);
    assert_given_up(heap, &before);
    assert_error(ant_heap_compact(heap, lie, &between), EINVAL);
    assert_given_up(heap, &before);
    assert_ok(ant_heap_destroy(other));
    assert_ok(ant_heap_destroy(heap));
}

static void meddle(struct ant_heap *heap, void *context)
{
    void *object = context, *made;
    expect_error(ant_heap_alloc(heap, 1, &made), EBUSY);
    expect_error(ant_heap_resize(heap, 1, &object), EBUSY);
    expect_error(ant_heap_free(heap, object), EBUSY);
    expect_error(ant_heap_trim(heap), EBUSY);
    expect_error(ant_heap_compact(heap, trace_nothing, NULL), EBUSY);
    expect_error(ant_heap_destroy(heap), EBUSY);
    expect_error(ant_heap_root_set(heap, NULL), EBUSY);
    expect_error(ant_heap_moved(heap, NULL), EINVAL);
    expect_error(ant_heap_moved(heap, &(void *){&object}), EFAULT);
    expect_error(ant_heap_moved(heap, &(void *){(char *)object + 16}), EINVAL);
}

static void a_heap_that_is_compacted_is_busy(void **state)
{
    (void)state;
    struct ant_heap *heap = new_heap(0);
    void *object = new_object(heap, 100);
    assert_error(ant_heap_compact(heap, meddle, object), EINVAL);
    assert_ok(ant_heap_free(heap, object));
    assert_ok(ant_heap_destroy(heap));
}

static void tell_without_memory(struct ant_heap *heap, void *context)
{
    wrap_fail(WRAP_ALLOCATION, 1, false);
    expect_error(ant_heap_moved(heap, context), ENOMEM);
}

static void overwrite(struct ant_heap *heap, void *context)
{
    (void)heap;
    ((char *)context)[-1] ^= 1;
}

static void a_heap_that_its_tracer_damages_is_left_alone(void **state)
{
    (void)state;
    struct ant_heap *heap = new_heap(0);
    char *gap = new_object(heap, 100), *object = new_object(heap, 100);
    strcpy(object, "here");
    assert_ok(ant_heap_free(heap, gap));
    assert_error(ant_heap_compact(heap, overwrite, object), EBADMSG);
    object[-1] ^= 1;
    assert_sound(heap);
    assert_string_equal(object, "here");
    assert_ok(ant_heap_destroy(heap));
}

static void compacting_without_memory_is_given_up(void **state)
{
    (void)state;
    struct ant_heap *heap = new_heap(0);
    void *object = new_object(heap, 100), *was = object;
    assert_error(ant_heap_compact(heap, tell_without_memory, &object), ENOMEM);
    wrap_reset();
    assert_ptr_equal(object, was);
    assert_sound(heap);
    assert_ok(ant_heap_destroy(heap));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        core_test(a_heap_does_what_a_model_does),
        core_test(a_heap_grows_and_gives_back),
        core_test(a_resized_object_stays_where_it_can),
        core_test(without_pages_nothing_changes),
        core_test(a_heap_takes_the_last_pages),
        core_test(wrong_arguments_are_refused),
        core_test(pointers_to_no_object_are_refused),
        core_test(objects_of_a_heap_that_is_gone_are_refused),
        core_test(what_is_no_heap_is_refused),
        core_test(another_process_has_another_heap),
        core_test(who_is_no_process_has_no_heap),
        core_test(every_header_and_link_is_checked),
        core_test(a_damaged_heap_is_left_alone),
        core_test(random_damage_does_no_harm),
        core_test(compacting_gives_areas_back),
        core_test(former_headers_are_gone_after_compacting),
        core_test(wrong_pointers_give_a_compaction_up),
        core_test(a_heap_that_is_compacted_is_busy),
        core_test(a_heap_that_its_tracer_damages_is_left_alone),
        core_test(compacting_without_memory_is_given_up),
    };
    return cmocka_run_group_tests_name("heap", tests, NULL, NULL);
}
