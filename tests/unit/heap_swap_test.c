/* ctest: machines=virtual,real,other movers=strict,strict-mremap,flat,copy */
/*
 * A heap as a server's state: it passes to the next version as it is, and goes, all of it, when a transformer has built another.
 *
 * The servers keep a book: a list and a hash of entries with a text each. Version 2 has another layout of entries, in a heap of its own.
 */
#include "fixture.h"
#include "puppet.h"

#include "core/heap.h"

#define FN 7u
#define BUCKETS 16u

enum {
    OP_ADD,     /* so many entries as the payload says */
    OP_DROP,    /* all but each so manieth */
    OP_COMPACT, /* and tell of everything */
    OP_LOOK,    /* at all of it */
    OP_RENEW,   /* leaves it for another, empty one */
    OP_DIE
};

struct message { /* payload */
    uint32_t number, version;
    uint64_t sum;
};

struct entry { /* state version 1 */
    struct entry *next, *chain;
    char *text;
    uint64_t number;
};

struct entry_two { /* state version 2 */
    uint64_t number;
    struct entry_two *next;
    uint64_t padding[3];
    char text[];
};

struct book {
    uint32_t count;
    uint64_t last;
    void *first; /* entry of one version or the other */
    struct entry *buckets[BUCKETS];
};

static struct {
    int (*hook)(struct ant_server *self); /* what `start` does in a swap */
    struct ant_heap *heap;                /* the last one made */
    struct ant_heap_info old;             /* as the transformer saw the old heap */
    _Atomic bool let_go;
    _Atomic int reading;
} plan;

static bool same_text(const char *text, uint64_t number)
{
    char wanted[24];
    snprintf(wanted, sizeof wanted, "entry %llu", (unsigned long long)number);
    return strcmp(text, wanted) == 0;
}

/* ---- version 1 ---- */

static void *get(struct ant_heap *heap, size_t bytes)
{
    void *object = NULL;
    expect_ok(ant_heap_alloc(heap, bytes, &object));
    return object;
}

static void add(struct ant_heap *heap)
{
    struct book *book = ant_heap_root(heap);
    struct entry *entry = get(heap, sizeof *entry);
    entry->number = ++book->last;
    entry->text = get(heap, 24 + entry->number % 100);
    snprintf(entry->text, 24, "entry %llu", (unsigned long long)entry->number);
    entry->next = book->first;
    entry->chain = book->buckets[entry->number % BUCKETS];
    book->first = book->buckets[entry->number % BUCKETS] = entry;
    book->count++;
}

static void drop(struct ant_heap *heap, uint32_t every)
{
    struct book *book = ant_heap_root(heap);
    struct entry *entry = book->first, *next;
    memset(book->buckets, 0, sizeof book->buckets);
    book->first = NULL;
    book->count = 0;
    for (; entry; entry = next) {
        next = entry->next;
        if (entry->number % every != 0) {
            expect_ok(ant_heap_free(heap, entry->text));
            expect_ok(ant_heap_free(heap, entry));
            continue;
        }
        entry->next = book->first;
        entry->chain = book->buckets[entry->number % BUCKETS];
        book->first = book->buckets[entry->number % BUCKETS] = entry;
        book->count++;
    }
}

static void tell(struct ant_heap *heap, void *context)
{
    (void)context;
    struct book *book = ant_heap_root(heap);
    for (struct entry *entry = book->first; entry; entry = entry->next) {
        expect_ok(ant_heap_moved(heap, &entry->next));
        expect_ok(ant_heap_moved(heap, &entry->chain));
        expect_ok(ant_heap_moved(heap, &entry->text));
    }
    expect_ok(ant_heap_moved(heap, &book->first));
    for (uint32_t i = 0; i < BUCKETS; i++)
        expect_ok(ant_heap_moved(heap, &book->buckets[i]));
}

static uint64_t look_at_one(const struct book *book)
{
    uint64_t sum = 0;
    uint32_t listed = 0, hashed = 0;
    for (const struct entry *entry = book->first; entry; entry = entry->next, listed++) {
        expect(same_text(entry->text, entry->number));
        sum += entry->number;
    }
    for (uint32_t i = 0; i < BUCKETS; i++)
        for (const struct entry *entry = book->buckets[i]; entry; entry = entry->chain, hashed++)
            expect(entry->number % BUCKETS == i);
    expect(listed == book->count && hashed == book->count);
    return sum;
}

static uint64_t look_at_two(const struct book *book)
{
    uint64_t sum = 0;
    uint32_t listed = 0;
    for (const struct entry_two *entry = book->first; entry; entry = entry->next, listed++) {
        expect(same_text(entry->text, entry->number));
        sum += entry->number;
    }
    expect(listed == book->count);
    return sum;
}

static int new_book(struct ant_heap **heap)
{
    int rc = ant_heap_create(0, heap);
    if (rc != 0)
        return rc;
    plan.heap = *heap;
    return ant_heap_root_set(*heap, get(*heap, sizeof(struct book)));
}

static void renew(struct ant_heap **heap)
{
    struct ant_heap *old = *heap;
    expect_ok(new_book(heap));
    expect_ok(ant_state_set(*heap));
    expect_ok(ant_heap_destroy(old));
}

static int start(struct ant_server *self)
{
    if (self->reason != ANT_START_FRESH)
        return plan.hook ? plan.hook(self) : 0;
    struct ant_heap *heap;
    int rc = new_book(&heap);
    return rc == 0 ? ant_state_set(heap) : rc;
}

static void request(struct ant_server *self, struct ant_request *rq)
{
    struct message *m = (struct message *)(void *)rq->payload;
    struct ant_heap *heap = NULL;
    expect_ok(ant_heap_open(ant_state(), &heap));
    struct book *book = ant_heap_root(heap);
    switch (rq->operation) {
    case OP_ADD:
        for (uint32_t i = 0; i < m->number; i++)
            add(heap);
        break;
    case OP_DROP:
        drop(heap, m->number);
        break;
    case OP_COMPACT:
        expect_ok(ant_heap_compact(heap, tell, NULL));
        book = ant_heap_root(heap);
        break;
    case OP_RENEW:
        renew(&heap);
        book = ant_heap_root(heap);
        break;
    case OP_DIE:
        expect_ok(ant_kill(ant_self()));
        break;
    default:
        break;
    }
    expect_ok(ant_heap_check(heap, NULL));
    expect_error(ant_heap_destroy(heap), EBUSY); /* it is the state */
    m->number = book->count;
    m->version = self->program->version;
    m->sum = self->program->state_version == 1 ? look_at_one(book) : look_at_two(book);
    expect_ok(ant_reply(rq, 0));
}

/* ---- version 2 ---- */

static int to_two(struct ant_server *self, const void *state, size_t bytes, void **new_state)
{
    (void)self, (void)bytes;
    struct ant_heap *old, *heap;
    expect_ok(ant_heap_open(state, &old));
    expect_ok(ant_heap_info(old, &plan.old));
    expect_ok(ant_heap_check(old, NULL));
    const struct book *from = ant_heap_root(old);
    int rc = new_book(&heap);
    if (rc != 0)
        return rc;
    struct book *book = ant_heap_root(heap);
    for (const struct entry *entry = from->first; entry; entry = entry->next) {
        struct entry_two *copy = get(heap, sizeof *copy + strlen(entry->text) + 1);
        copy->number = entry->number;
        strcpy(copy->text, entry->text);
        copy->next = book->first;
        book->first = copy;
        book->count++;
    }
    *new_state = heap;
    return 0;
}

static int to_two_and_fail(struct ant_server *self, const void *state, size_t bytes, void **new_state)
{
    expect_ok(to_two(self, state, bytes, new_state));
    return -EDOM;
}

static const struct ant_transformer transformer = {1, 2, to_two}, failing = {1, 2, to_two_and_fail};

#define COMMON .abi = ANT_ABI, .start = start, .request = request
static const struct ant_program one = {COMMON, .name = "one", .version = 1, .state_version = 1},
                                again = {COMMON, .name = "again", .version = 2, .state_version = 1},
                                two = {COMMON,
                                       .name = "two",
                                       .version = 3,
                                       .state_version = 2,
                                       .transformers = &transformer,
                                       .transformer_count = 1};

/* ---- the test's side ---- */

static ant_pid server;

static int setup(void **state)
{
    fixture_setup(state);
    memset(&plan, 0, sizeof plan);
    server = serve(FN, &one, NULL);
    return 0;
}

#define book_test(f) cmocka_unit_test_setup_teardown(f, setup, fixture_teardown)

static struct message ask(uint32_t operation, uint32_t number)
{
    struct ant_request *rq = new_request(FN);
    rq->operation = operation;
    ((struct message *)(void *)rq->payload)->number = number;
    assert_ok(ant_call(rq, SOON));
    struct message m = *(struct message *)(void *)rq->payload;
    assert_ok(ant_request_free(rq));
    return m;
}

static void assert_book(uint32_t version, uint32_t count, uint64_t sum)
{
    struct message m = ask(OP_LOOK, 0);
    assert_int_equal(m.version, version);
    assert_int_equal(m.number, count);
    assert_int_equal(m.sum, sum);
    assert_expectations();
}

static uint64_t sum_to(uint64_t n)
{
    return n * (n + 1) / 2;
}

/* `start` may look at its predecessor's heap, and do no more. */
static int look_in_start(struct ant_server *self)
{
    struct ant_heap *heap = NULL;
    struct ant_heap_info info;
    void *object = NULL;
    expect_ok(ant_heap_open(self->state, &heap));
    expect(heap == self->state);
    expect_ok(ant_heap_check(heap, NULL));
    expect_ok(ant_heap_info(heap, &info));
    expect(info.objects > 2);
    look_at_one(ant_heap_root(heap));
    object = ant_heap_root(heap);
    expect_error(ant_heap_alloc(heap, 1, &object), EPERM);
    expect_error(ant_heap_resize(heap, 1, &object), EPERM);
    expect_error(ant_heap_free(heap, object), EPERM);
    expect_error(ant_heap_root_set(heap, NULL), EPERM);
    expect_error(ant_heap_trim(heap), EPERM);
    expect_error(ant_heap_compact(heap, tell, NULL), EPERM);
    expect_error(ant_heap_destroy(heap), EPERM);
    return 0;
}

static void a_heap_passes_to_the_next_version_as_it_is(void **state)
{
    (void)state;
    plan.hook = look_in_start;
    ask(OP_ADD, 1000);
    uint64_t sum = sum_to(1000);
    for (uint32_t i = 0; i < 6; i++) {
        assert_ok(ant_swap(FN, i % 2 ? &one : &again, NULL, NULL));
        assert_book(i % 2 ? 1 : 2, 1000 + i * 100, sum);
        ask(OP_ADD, 100);
        sum = sum_to(1100 + 100 * i);
    }
    size_t pages = info_of(server).pages;
    ask(OP_DROP, 10);
    assert_true(info_of(server).pages == pages);
    ask(OP_COMPACT, 0);
    assert_true(info_of(server).pages < pages);
    assert_ok(ant_swap(FN, &again, NULL, NULL));
    assert_book(2, 160, 10 * sum_to(160));
}

static void a_transformed_heap_goes_with_all_its_areas(void **state)
{
    (void)state;
    ask(OP_ADD, 1000);
    struct ant_swap_report report;
    assert_ok(ant_swap(FN, &two, NULL, &report));
    assert_true(plan.old.areas > 3);
    struct ant_heap_info info;
    assert_error(ant_heap_info(plan.heap, &info), EPERM); /* the server's */
    assert_book(3, 1000, sum_to(1000));
    size_t pages = 0; /* of the new heap, which nobody writes to just now */
    for (const struct antk_segment *s = &plan.heap->segment; s && !mover_is_strict(); s = s->next)
        pages += s->pages;
    if (!mover_is_strict())
        assert_int_equal(info_of(server).pages, pages);
    assert_true(info_of(server).pages < plan.old.bytes / ANT_PAGE_BYTES);
}

static void a_failed_transformer_leaves_the_old_heap(void **state)
{
    (void)state;
    struct ant_swap_options options = {.transformers = &failing, .transformer_count = 1};
    ask(OP_ADD, 500);
    size_t pages = info_of(server).pages;
    assert_error(ant_swap(FN, &two, &options, NULL), EDOM);
    assert_int_equal(info_of(server).pages, pages);
    assert_book(1, 500, sum_to(500));
    ask(OP_ADD, 1);
    assert_book(1, 501, sum_to(501));
}

static void the_heap_of_the_dead_is_whole(void **state)
{
    (void)state;
    struct ant_swap_options trusting = {.trust_state = true};
    ask(OP_ADD, 500);
    struct ant_request *rq = new_request(FN);
    rq->operation = OP_DIE;
    assert_error(ant_call(rq, SOON), EOWNERDEAD);
    assert_ok(ant_request_free(rq));
    assert_ok(ant_swap(FN, &again, &trusting, NULL));
    assert_book(2, 500, sum_to(500));
}

/* ---- an old heap that is not what it was ---- */

static void (*spoil)(struct ant_heap *old, struct ant_heap *heap);

static int to_two_spoilt(struct ant_server *self, const void *state, size_t bytes, void **new_state)
{
    struct ant_heap *old = (struct ant_heap *)(uintptr_t)state;
    int rc = to_two(self, state, bytes, new_state);
    spoil(old, *new_state);
    return rc;
}

static const struct ant_transformer spoilt = {1, 2, to_two_spoilt};

static struct antk_segment *last_of(struct ant_heap *heap)
{
    struct antk_segment *last = &heap->segment;
    while (last->next)
        last = last->next;
    return last;
}

static void chain(struct antk_segment *from, struct antk_segment *to)
{
    from->next = to;
    from->check = antk_segment_check(from);
}

static void in_a_ring(struct ant_heap *old, struct ant_heap *heap)
{
    (void)heap;
    chain(last_of(old), old->segment.next);
}

static void to_itself(struct ant_heap *old, struct ant_heap *heap)
{
    (void)heap;
    chain(&old->segment, &old->segment);
}

/* The new heap's own area says that it is the old one's. */
static void to_the_new(struct ant_heap *old, struct ant_heap *heap)
{
    struct antk_segment *segment = heap->segment.next;
    chain(last_of(old), segment);
    segment->heap = old;
    segment->check = antk_segment_check(segment);
}

static void to_nowhere(struct ant_heap *old, struct ant_heap *heap)
{
    (void)heap;
    chain(&old->segment, (struct antk_segment *)(void *)((char *)old + (UINT64_C(1) << 40)));
}

static void overwritten(struct ant_heap *old, struct ant_heap *heap)
{
    (void)heap;
    memset(old->segment.next, 'x', sizeof(struct antk_segment));
}

static void not_at_all(struct ant_heap *old, struct ant_heap *heap)
{
    (void)old, (void)heap;
}

/* How many pages it leaves. */
static size_t swap_with(void (*how)(struct ant_heap *old, struct ant_heap *heap))
{
    struct ant_swap_options options = {.transformers = &spoilt, .transformer_count = 1};
    void *state = NULL;
    setup(&state);
    ask(OP_ADD, 800);
    spoil = how;
    assert_ok(ant_swap(FN, &two, &options, NULL));
    size_t left = info_of(server).pages;
    if (how != to_the_new) /* that one is no heap any more */
        assert_book(3, 800, sum_to(800));
    fixture_shutdown();
    assert_expectations();
    return left;
}

static void an_old_heap_is_not_believed(void **state)
{
    (void)state;
    size_t sound = swap_with(not_at_all);
    assert_int_equal(swap_with(in_a_ring), sound);
    assert_int_equal(swap_with(to_the_new), sound);
    size_t all = sound + plan.old.bytes / ANT_PAGE_BYTES - 1; /* its first area always goes */
    assert_int_equal(swap_with(to_itself), all);
    assert_int_equal(swap_with(to_nowhere), all);
    assert_int_equal(swap_with(overwritten), all);
}

/* ---- a swap is rolled back meanwhile ---- */

/* Until it is ended there: a heap that is damaged, or not there any more, it is never shown. */
static int look_for_ever(struct ant_server *self)
{
    struct ant_heap *heap = NULL;
    struct ant_heap_info info;
    expect_ok(ant_heap_open(self->state, &heap));
    for (;;) {
        if (expect_ok(ant_heap_check(heap, NULL)) != 0 || expect_ok(ant_heap_info(heap, &info)) != 0)
            return -EIO;
        atomic_fetch_add(&plan.reading, 1);
    }
}

static int swap_in_vain(void *arg)
{
    (void)arg;
    expect_error(ant_swap(FN, &again, NULL, NULL), ECANCELED);
    return 0;
}

static void who_looks_at_the_old_heap_does_so_before_the_old_server_goes_on(void **state)
{
    (void)state;
    if (on_virtual())
        skip();
    assert_ok(ant_priority_set(server, FIXTURE_PRIORITY - 1)); /* as below */
    plan.hook = look_for_ever;
    for (int round = 0; round < 10; round++) {
        ask(OP_ADD, 800);
        atomic_store(&plan.reading, 0);
        ant_pid swapper = spawn("swapper", 0, swap_in_vain, NULL);
        assert_soon(atomic_load(&plan.reading) > 0);
        assert_ok(ant_swap_cancel(FN));
        ask(OP_RENEW, 0);
        assert_int_equal(join(swapper), 0);
    }
    assert_book(1, 0, 0);
}

/* ---- abandoned readers ---- */

/* Reads the whole of the old heap over and over, until it is let go. */
static int read_for_long(struct ant_server *self, const void *state, size_t bytes, void **new_state)
{
    if (atomic_fetch_add(&plan.reading, 1) > 0)
        return to_two(self, state, bytes, new_state);
    const struct ant_heap *heap = state;
    const struct book *book = ant_heap_root(heap);
    while (!atomic_load(&plan.let_go)) {
        uint32_t count = 0;
        for (const struct entry *entry = book->first; entry; entry = entry->next)
            count++;
        if (count != book->count)
            abort();
    }
    return -EIO;
}

static void an_abandoned_transformer_may_go_on_reading_the_heap(void **state)
{
    (void)state;
    if (on_virtual())
        skip();
    struct ant_transformer reading = {1, 2, read_for_long};
    struct ant_swap_options options = {
        .start_timeout_ns = (int64_t)MS(30), .transformers = &reading, .transformer_count = 1};
    struct ant_swap_report report;
    ask(OP_ADD, 800);
    size_t pages = info_of(server).pages;
    assert_ok(ant_priority_set(server, FIXTURE_PRIORITY - 1)); /* with one CPU it would leave none for this process */
    assert_error(ant_swap(FN, &two, &options, &report), ETIMEDOUT);
    assert_true(report.abandoned);
    options.start_timeout_ns = 0;
    assert_ok(ant_swap(FN, &two, &options, NULL));
    assert_true(info_of(server).pages > pages);
    atomic_store(&plan.let_go, true);
    assert_soon(info_of(server).pages < pages);
    assert_book(3, 800, sum_to(800));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        book_test(a_heap_passes_to_the_next_version_as_it_is),
        book_test(a_transformed_heap_goes_with_all_its_areas),
        book_test(a_failed_transformer_leaves_the_old_heap),
        book_test(the_heap_of_the_dead_is_whole),
        cmocka_unit_test_setup_teardown(an_old_heap_is_not_believed, fixture_no_core, fixture_no_core),
        book_test(who_looks_at_the_old_heap_does_so_before_the_old_server_goes_on),
        book_test(an_abandoned_transformer_may_go_on_reading_the_heap),
    };
    return cmocka_run_group_tests_name("heap_swap", tests, NULL, NULL);
}
