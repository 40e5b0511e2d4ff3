/* The four roles of the model: server, driver, client (AP), requester. */
#include "roles.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What is in a request to the server, and comes back with it. */
struct order {
    unsigned client, number;
    unsigned served; /* how often it was worked on */
    uint64_t io_begin_ns, io_end_ns;
};

/* What is in a request to the driver. */
struct errand {
    struct ant_request *order; /* stays at its address, whoever serves */
    unsigned client;
    uint64_t begin_ns, end_ns;
};

static struct order *order_of(struct ant_request *rq)
{
    return (struct order *)(void *)rq->payload;
}

static struct errand *errand_of(struct ant_request *rq)
{
    return (struct errand *)(void *)rq->payload;
}

static struct paper_model *model_of(const struct ant_server *self)
{
    return ((const struct paper_program *)self->program)->model;
}

static void must(struct paper_model *model, int error)
{
    if (error != 0) {
        atomic_store(&model->failed, true);
    }
}

/* PU work, noted. */
static void work(struct paper_model *model, struct paper_log *log, uint64_t work_ns, unsigned client)
{
    uint64_t begin_ns = ant_now();
    must(model, ant_work(work_ns));
    must(model, paper_log_add(log, begin_ns, ant_now(), client));
}

/* --- Telling the requester that something begins ---------------------------------------------------------------------- */

/* By a request, so that it runs at this very instant; it has the highest priority. */
static void tell_requester(struct paper_model *model)
{
    struct ant_request *rq;
    int error = ant_request_new(FN_REQUESTER, &rq);
    if (error == 0) {
        error = ant_call(rq, ANT_FOREVER);
        ant_request_free(rq);
    }
    must(model, error);
}

static void begins(struct paper_model *model, enum paper_aim what)
{
    enum paper_aim awaited = what;
    if (atomic_compare_exchange_strong(&model->awaited, &awaited, PAPER_AIM_NONE)) {
        tell_requester(model);
    }
}

static void await_telling(struct paper_model *model)
{
    struct ant_message message;
    int error = ant_receive(&message, ANT_FOREVER);
    must(model, error != 0 || message.kind != ANT_REQUEST ? -EPROTO : ant_reply(message.request, 0));
}

/* --- OS server -------------------------------------------------------------------------------------------------------- */

static void server_request(struct ant_server *self, struct ant_request *rq)
{
    struct paper_model *model = model_of(self);
    unsigned client = order_of(rq)->client;
    struct ant_request *io;

    begins(model, PAPER_AIM_EXEC_START);
    order_of(rq)->served++;
    work(model, &model->server_log, model->params->exec_ns, client);
    int error = ant_request_new(FN_DRIVER, &io);
    if (error == 0) {
        *errand_of(io) = (struct errand){.order = rq, .client = client, .begin_ns = ant_now()};
        error = ant_send(io);
    }
    if (error != 0) {
        must(model, error);
        ant_reply(rq, error);
    }
}

static void server_result(struct ant_server *self, struct ant_request *io)
{
    struct paper_model *model = model_of(self);
    struct ant_request *rq = errand_of(io)->order;

    begins(model, PAPER_AIM_RESULT_START);
    work(model, &model->server_log, model->params->result_ns, order_of(rq)->client);
    order_of(rq)->io_begin_ns = errand_of(io)->begin_ns;
    order_of(rq)->io_end_ns = errand_of(io)->end_ns;
    int32_t status = io->error;
    must(model, ant_request_free(io));
    must(model, ant_reply(rq, status));
}

/* --- Driver ----------------------------------------------------------------------------------------------------------- */

static void driver_work(struct paper_model *model, struct ant_request *io)
{
    begins(model, PAPER_AIM_IO_START);
    work(model, &model->driver_log, model->params->io_pu_ns, errand_of(io)->client);
}

static void driver_reply(struct paper_model *model, struct ant_request *io)
{
    errand_of(io)->end_ns = ant_now();
    must(model, ant_reply(io, 0));
}

static void serial_request(struct ant_server *self, struct ant_request *io)
{
    struct paper_model *model = model_of(self);
    driver_work(model, io);
    if (model->params->io_wait_ns > 0) {
        must(model, ant_sleep(ant_now() + model->params->io_wait_ns));
    }
    driver_reply(model, io);
}

static void reply_due(struct paper_model *model)
{
    struct paper_waits *waits = &model->waits;
    while (waits->count > 0 && waits->waits[waits->first].until_ns <= ant_now()) {
        struct ant_request *io = waits->waits[waits->first].request;
        waits->first = (waits->first + 1) % waits->capacity;
        waits->count--;
        driver_reply(model, io);
    }
}

static void overlap_request(struct paper_model *model, struct ant_request *io)
{
    struct paper_waits *waits = &model->waits;
    driver_work(model, io);
    size_t last = (waits->first + waits->count++) %
                  waits->capacity; /* there is room for a request of every client */
    waits->waits[last] = (struct paper_wait){io, ant_now() + model->params->io_wait_ns};
}

static int overlap_run(struct ant_server *self)
{
    struct paper_model *model = model_of(self);
    struct paper_waits *waits = &model->waits;
    struct ant_message message;

    for (;;) {
        reply_due(model);
        uint64_t now_ns = ant_now(),
                 until_ns = waits->count > 0 ? waits->waits[waits->first].until_ns : 0;
        if (waits->count > 0 && until_ns <= now_ns) {
            continue; /* it has just become due */
        }
        int error = ant_receive(&message, waits->count > 0 ? (int64_t)(until_ns - now_ns) : ANT_FOREVER);
        if (error == -ETIMEDOUT) {
            continue;
        }
        if (error != 0 || message.kind != ANT_REQUEST) {
            return 0; /* it was asked to stop */
        }
        overlap_request(model, message.request);
    }
}

/* --- Client (AP) ------------------------------------------------------------------------------------------------------ */

/*
 * A requester, or a client, may never get the processor from others at or above its priority, who go on until all swaps are done. So
 * they give up when the requester is a thousand times as late as anything should be.
 */
static void allow_requester(struct paper_model *model, uint64_t pause_ns)
{
    const struct paper_params *params = model->params;
    uint64_t round_ns = (params->clients + 1) * (paper_unloaded_ns(params) + params->ap_wait_ns);
    atomic_store(&model->patience_ns,
                 ant_now() + pause_ns + 10 * ANT_NS_PER_S + (1000 + params->warmup) * round_ns);
}

static bool requester_starves(struct paper_model *model)
{
    bool starves = !atomic_load(&model->done) && ant_now() > atomic_load(&model->patience_ns);
    if (starves) {
        atomic_store(&model->starved, true);
        atomic_store(&model->failed, true);
    }
    return starves;
}

static int note_response(struct paper_client *client, const struct paper_response *response)
{
    if (client->count == client->capacity) {
        size_t capacity = client->capacity ? 2 * client->capacity : client->model->params->requests + 1;
        struct paper_response *responses = realloc(client->responses, capacity * sizeof *responses);
        if (responses == NULL) {
            return -ENOMEM;
        }
        client->responses = responses;
        client->capacity = capacity;
    }
    client->responses[client->count++] = *response;
    return 0;
}

/* One request; counted, and noted unless it is one of the warm-up. */
static void ask(struct paper_client *client, struct ant_request *rq, unsigned number, bool counts)
{
    struct order *order = order_of(rq);
    *order = (struct order){.client = client->number, .number = number};
    client->ledger.sent++;
    uint64_t sent_ns = ant_now();
    int error = ant_call(rq, ANT_FOREVER);
    uint64_t got_ns = ant_now();
    bool same = error == 0 && order->client == client->number && order->number == number;
    if (!same || rq->status != 0 || order->served == 0) {
        client->ledger.lost++;
        return;
    }
    client->ledger.answered++;
    client->ledger.duplicated += order->served - 1;
    if (counts) {
        struct paper_response response = {
            client->number, (unsigned)client->count, sent_ns,
            got_ns,         order->io_begin_ns,      order->io_end_ns};
        must(client->model, note_response(client, &response));
    }
}

/* Whatever is still there when all have been answered came twice. */
static void count_strays(struct paper_client *client)
{
    struct ant_message message;
    while (ant_receive(&message, 0) == 0 && message.kind == ANT_RESULT) {
        client->ledger.duplicated++;
        ant_request_free(message.request);
    }
}

int paper_client_main(void *arg)
{
    struct paper_client *client = arg;
    struct paper_model *model = client->model;
    const struct paper_params *params = model->params;
    struct ant_request *rq;

    int error = ant_request_new(FN_SERVER, &rq);
    must(model, error);
    if (atomic_load(&model->patience_ns) == 0) {
        allow_requester(model, 0);
    }
    for (unsigned number = 0; error == 0; number++) {
        bool counts = number >= params->warmup;
        if (counts && number - params->warmup >= params->requests && atomic_load(&model->done)) {
            break;
        }
        if (params->ap_wait_ns > 0 && ant_sleep(ant_now() + params->ap_wait_ns) != 0) {
            break; /* the core is ended */
        }
        ask(client, rq, number, counts);
        if (number + 1 == params->warmup && atomic_fetch_sub(&model->warming, 1) == 1) {
            tell_requester(model);
        }
        if (requester_starves(model) || atomic_load(&model->failed)) {
            break;
        }
    }
    if (error == 0) {
        ant_request_free(rq);
    }
    count_strays(client);
    return 0;
}

/* --- Requester -------------------------------------------------------------------------------------------------------- */

/* splitmix64, as a fraction of 1. */
static double draw(uint64_t *random)
{
    uint64_t z = (*random += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (double)((z ^ (z >> 31)) >> 11) / (double)(UINT64_C(1) << 53);
}

uint64_t paper_note_bound(struct paper_model *model, struct paper_run *run)
{
    struct ant_bound bound = {0};
    run->bound_error = ant_swap_bound(FN_SERVER, &model->servers[0].program, &bound);
    run->bound_ns = bound.bound_ns > run->bound_ns ? bound.bound_ns : run->bound_ns;
    return bound.bound_ns;
}

static int swap_once(struct paper_model *model, unsigned number, struct paper_run *run)
{
    struct ant_swap_report *report = &run->swaps[run->swap_count];
    static const struct ant_swap_options patient = {.quiesce_timeout_ns = ANT_FOREVER,
                                                    .start_timeout_ns = ANT_FOREVER};
    if (model->params->aim != PAPER_AIM_NONE) {
        atomic_store(&model->awaited, model->params->aim);
        await_telling(model);
    }
    run->bounds_ns[run->swap_count] = paper_note_bound(model, run);
    return ant_swap(FN_SERVER, &model->servers[(number + 1) % 2].program, &patient, report);
}

void paper_requester(struct paper_model *model, unsigned swaps, uint64_t t0_ns, struct paper_run *run)
{
    const struct paper_params *params = model->params;
    uint64_t random = params->seed;

    if (params->clients > 0 && params->warmup > 0) {
        await_telling(model);
    }
    for (unsigned i = 0; i < swaps && !atomic_load(&model->failed); i++) {
        double units = params->interval_lo + draw(&random) * (params->interval_hi - params->interval_lo);
        run->pauses_ns[i] = params->pauses_ns ? params->pauses_ns[i] : (uint64_t)(units * (double)t0_ns);
        allow_requester(model, run->pauses_ns[i]);
        must(model, ant_sleep(ant_now() + run->pauses_ns[i]));
        int error = swap_once(model, i, run);
        if (error == 0) {
            run->swap_count++;
        } else if (run->swap_errors++ == 0) {
            run->swap_error = error;
            must(model, error);
        }
    }
    atomic_store(&model->done, true);
}

/* --- All of them ------------------------------------------------------------------------------------------------------ */

static void fill_timings(struct paper_model *model, uint64_t wait_max_ns)
{
    const struct paper_params *p = model->params;
    uint64_t move_ns = p->costs.remap_page_ns; /* a request is a page */
    model->driver_timing = (struct ant_driver_timing){
        .function = FN_DRIVER,
        .overlaps = p->driver == PAPER_OVERLAP,
        .burst_ns = p->io_pu_ns,
        .burst_min_ns = p->io_pu_ns,
        .wait_ns = p->io_wait_ns,
        .wait_max_ns = wait_max_ns,
        .reply_ns = move_ns,
    };
    model->server_timing = (struct ant_timing){
        .request_ns = p->clients ? p->exec_ns + move_ns : 0,
        .result_ns = p->clients ? p->result_ns + move_ns : 0,
        .request_min_ns = p->exec_ns,
        .requests = p->clients,
        .drivers = &model->driver_timing,
        .driver_count = p->clients ? 1 : 0,
    };
}

int paper_model_init(struct paper_model *model, const struct paper_params *params, uint64_t wait_max_ns)
{
    *model = (struct paper_model){.params = params, .warming = params->warmup ? params->clients : 0};
    for (uint32_t i = 0; i < 2; i++) {
        model->servers[i].model = model;
        model->servers[i].program = (struct ant_program){.abi = ANT_ABI,
                                                         .version = i + 1,
                                                         .name = "server",
                                                         .request = server_request,
                                                         .result = server_result,
                                                         .timing = &model->server_timing};
    }
    model->driver.model = model;
    model->driver.program = (struct ant_program){.abi = ANT_ABI, .version = 1, .name = "driver"};
    if (params->driver == PAPER_SERIAL) {
        model->driver.program.request = serial_request;
    } else {
        model->driver.program.run = overlap_run;
    }
    fill_timings(model, wait_max_ns);
    size_t count = params->clients + 1; /* not none: calloc may return NULL for that */
    model->clients = calloc(count, sizeof *model->clients);
    model->waits.waits = calloc(count, sizeof *model->waits.waits);
    model->waits.capacity = count;
    if (!model->clients || !model->waits.waits) {
        return -ENOMEM;
    }
    for (unsigned i = 0; i < params->clients; i++) {
        model->clients[i].model = model;
        model->clients[i].number = i;
    }
    return 0;
}

void paper_model_fini(struct paper_model *model)
{
    for (unsigned i = 0; model->clients && i < model->params->clients; i++) {
        free(model->clients[i].responses);
    }
    free(model->clients);
    free(model->waits.waits);
    paper_log_fini(&model->server_log);
    paper_log_fini(&model->driver_log);
}
