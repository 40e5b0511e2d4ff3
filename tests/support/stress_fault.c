/*
 * New servers that fail: each first does what a new server may do (areas, a function id, requests to the driver), so that
 * a rollback has something to undo.
 */
#include "stress_inside.h"

#include <errno.h>
#include <pthread.h>

#define FAULT_VERSION 100u /* version of a faulty program: this plus its fault */
#define FAULT_LAYOUT 3u    /* that a faulty transformer would build */

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool released; /* [lock] */
    _Atomic bool spin;
} gate = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void gate_close(void)
{
    pthread_mutex_lock(&gate.lock);
    gate.released = false;
    pthread_mutex_unlock(&gate.lock);
    atomic_store(&gate.spin, true);
}

static void gate_wait(void)
{
    pthread_mutex_lock(&gate.lock);
    while (!gate.released) {
        pthread_cond_wait(&gate.changed, &gate.lock);
    }
    pthread_mutex_unlock(&gate.lock);
}

void model_release(void)
{
    pthread_mutex_lock(&gate.lock);
    gate.released = true;
    pthread_cond_broadcast(&gate.changed);
    pthread_mutex_unlock(&gate.lock);
    atomic_store(&gate.spin, false);
}

/* What a new server may do before it fails: areas of its own, a further function id, requests to the driver. */
static void leave_traces(struct ant_server *self)
{
    void *area;
    struct ant_request *rq;

    STRESS_CHECK(self->state != NULL, "a new server has no state to look at");
    if (ant_ica_alloc(3, &area) == 0) {
        memset(area, 0xee, 3 * ANT_PAGE_BYTES);
    }
    int error = ant_function_add(MODEL_EXTRA);
    STRESS_CHECK(error == 0 || error == -EEXIST, "ant_function_add in start: %s", ant_strerror(error));
    for (int i = 0; i < 2; i++) {
        if (ant_request_new(MODEL_DRIVER, &rq) != 0) {
            return;
        }
        rq->cookie = MODEL_SWALLOWED | ++model.errands_of_the_failed;
        *order_of(rq) = (struct order){.key = rq->cookie, .pages = 1};
        if (ant_ica_alloc(1, &rq->data) == 0) {
            model_fill(rq->data, 1, rq->cookie);
        } else {
            rq->data = NULL;
        }
        if (i == 0) {
            error = ant_send(rq);
            STRESS_CHECK(error == 0 || error == -ENOMEM, "ant_send in start: %s", ant_strerror(error));
        } else {
            error = ant_call(rq, ANT_FOREVER);
            STRESS_CHECK(error == 0 || error == -ENOMEM, "ant_call in start: %s", ant_strerror(error));
        }
    }
}

static void take_every_page(void)
{
    void *area;

    for (size_t pages = 512; pages > 0; pages /= 2) {
        while (ant_ica_alloc(pages, &area) == 0) {
        }
    }
}

static int misbehave(enum model_fault fault)
{
    struct ant_ica_stats stats;

    switch (fault) {
    case MODEL_START_ERROR:
        return -EIO;
    case MODEL_TRANSFORM_ERROR:
        return -EBADMSG;
    case MODEL_START_EXIT:
    case MODEL_TRANSFORM_EXIT:
        ant_exit(3);
        break;
    case MODEL_START_SLEEPS:
    case MODEL_TRANSFORM_SLEEPS:
        ant_sleep(ant_now() + 30 * ANT_NS_PER_MS);
        break;
    case MODEL_START_WORKS:
        ant_work(30 * ANT_NS_PER_MS);
        break;
    case MODEL_START_EXHAUSTS:
        take_every_page();
        return -ENOMEM;
    case MODEL_START_BLOCKS:
        gate_wait();
        ant_ica_stats(&stats);
        break;
    case MODEL_START_SPINS:
        while (atomic_load_explicit(&gate.spin, memory_order_relaxed)) {
        }
        ant_ica_stats(&stats);
        break;
    case MODEL_START_LATE:
        gate_wait();
        return 0; /* too late */
    case MODEL_FAULTS_REAL:
        break;
    }
    STRESS_FAIL("%s: went on after its end", model_fault_name(fault));
    return -EINVAL;
}

static bool fault_in_transformer(enum model_fault fault)
{
    return fault == MODEL_TRANSFORM_ERROR || fault == MODEL_TRANSFORM_EXIT ||
           fault == MODEL_TRANSFORM_SLEEPS;
}

static int fault_start(struct ant_server *self)
{
    leave_traces(self);
    return misbehave((enum model_fault)(self->program->version - FAULT_VERSION));
}

static int fault_transform(struct ant_server *self, const void *old_state, size_t old_bytes,
                           void **new_state)
{
    STRESS_CHECK(old_state != NULL && old_bytes > 0, "the transformer was given no state");
    int error = ant_ica_alloc(2, new_state);
    STRESS_CHECK(error == 0 || model.config.short_of_memory, "ant_ica_alloc in a transformer: %s",
                 ant_strerror(error));
    leave_traces(self);
    return misbehave((enum model_fault)(self->program->version - FAULT_VERSION));
}

static const struct ant_transformer fault_transformers[] = {{1, FAULT_LAYOUT, fault_transform},
                                                            {2, FAULT_LAYOUT, fault_transform}};

const char *model_fault_name(enum model_fault fault)
{
    static const char *const names[MODEL_FAULTS_REAL] = {
        "start returns an error",
        "start exits",
        "start sleeps",
        "start computes",
        "start takes every page",
        "transformer returns an error",
        "transformer exits",
        "transformer sleeps",
        "start blocks outside the core",
        "start spins",
        "start returns too late",
    };
    return fault < MODEL_FAULTS_REAL ? names[fault] : "?";
}

const struct ant_program *model_faulty(enum model_fault fault, uint32_t program, int *error, bool *abandoned)
{
    static struct ant_program faulty[MODEL_FAULTS_REAL][3]; /* static: abandoned threads still look at them */
    uint32_t layout = fault_in_transformer(fault) ? FAULT_LAYOUT : model_programs[program].state_version;
    struct ant_program *it = &faulty[fault][layout - 1];

    if (it->abi == 0) { /* once: an abandoned thread may be looking at it */
        *it = (struct ant_program){
            .abi = ANT_ABI,
            .version = FAULT_VERSION + fault,
            .state_version = layout,
            .name = "faulty",
            .start = fault_start,
            .request = server_request,
            .result = server_result,
            .transformers = fault_transformers,
            .transformer_count = 2,
        };
    }
    switch (fault) {
    case MODEL_START_ERROR:
        *error = -EIO;
        break;
    case MODEL_START_EXHAUSTS:
        *error = -ENOMEM;
        break;
    case MODEL_TRANSFORM_ERROR:
        *error = -EBADMSG;
        break;
    case MODEL_START_EXIT:
    case MODEL_TRANSFORM_EXIT:
        *error = -EOWNERDEAD;
        break;
    default:
        *error = -ETIMEDOUT;
        break;
    }
    *abandoned = fault >= MODEL_FAULTS; /* who hangs inside the core can be ended at once */
    if (fault >= MODEL_FAULTS) {
        gate_close();
    }
    return it;
}
