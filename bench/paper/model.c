/* One run of the model: a core, its processes in the right order, and what they found out, gathered. */
#include "model.h"

#include "roles.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { POOL_BYTES = 4 << 20, STACK_BYTES = 256 << 10, TRACE_EVENTS = 1 << 20 };

uint64_t paper_unloaded_ns(const struct paper_params *params)
{
    return params->exec_ns + params->result_ns + params->io_pu_ns + params->io_wait_ns;
}

uint64_t paper_longest_ns(const struct paper_run *run)
{
    uint64_t longest_ns = 0;
    for (size_t i = 0; i < run->response_count; i++) {
        uint64_t response_ns = run->responses[i].got_ns - run->responses[i].sent_ns;
        longest_ns = response_ns > longest_ns ? response_ns : longest_ns;
    }
    return longest_ns;
}

/* --- The processes ---------------------------------------------------------------------------------------------------- */

/* On the virtual clock no figure depends on the mover: there it is the fastest, unless one was asked for. */
static enum ant_mover mover_of(const struct paper_params *params)
{
    bool open = params->mover == ANT_MOVER_AUTO && !params->real && getenv("ANT_MOVER") == NULL;
    return open ? ANT_MOVER_FLAT : params->mover;
}

/* The calling process is the requester; until all are there it is above them, so that the clients begin at one instant. */
static int boot(const struct paper_params *params, bool traced)
{
    struct ant_config config = {
        .machine = params->real ? ANT_MACHINE_AUTO : ANT_MACHINE_VIRTUAL,
        .mover = mover_of(params),
        .log = ANT_LOG_ERROR,
        .pool_bytes = POOL_BYTES,
        .stack_bytes = STACK_BYTES,
        .max_processes = params->clients + 8,
        .priority = ANT_PRIORITY_MAX,
        .costs = &params->costs,
        .trace_events = traced ? TRACE_EVENTS : 0,
    };
    return ant_boot(&config);
}

static int create_processes(struct paper_model *model)
{
    const struct paper_params *params = model->params;
    struct ant_server_options driver = {.priority = params->driver_priority},
                              server = {.priority = params->server_priority};
    struct ant_process_options client = {.name = "client", .priority = params->ap_priority};
    int error = ant_function_add(FN_REQUESTER);
    if (error == 0) {
        error = ant_serve(FN_DRIVER, &model->driver.program, &driver, NULL);
    }
    if (error == 0) {
        error = ant_serve(FN_SERVER, &model->servers[0].program, &server, NULL);
    }
    for (unsigned i = 0; i < params->clients && error == 0; i++) {
        struct paper_client *c = &model->clients[i];
        error = ant_process_create(&client, paper_client_main, c, &c->pid);
    }
    return error;
}

static void await_clients(struct paper_model *model)
{
    for (unsigned i = 0; i < model->params->clients; i++) {
        ant_wait(model->clients[i].pid, ANT_FOREVER, NULL);
    }
}

/* --- What came of it -------------------------------------------------------------------------------------------------- */

static int by_time(const void *a, const void *b)
{
    const struct paper_response *x = a, *y = b;
    if (x->sent_ns != y->sent_ns) {
        return x->sent_ns < y->sent_ns ? -1 : 1;
    }
    return x->client < y->client ? -1 : x->client > y->client;
}

static int gather_responses(const struct paper_model *model, struct paper_run *run)
{
    size_t count = 0;
    for (unsigned i = 0; i < model->params->clients; i++) {
        const struct paper_client *client = &model->clients[i];
        count += client->count;
        run->ledger.sent += client->ledger.sent;
        run->ledger.answered += client->ledger.answered;
        run->ledger.lost += client->ledger.lost;
        run->ledger.duplicated += client->ledger.duplicated;
    }
    run->responses = calloc(count + 1, sizeof *run->responses);
    if (run->responses == NULL) {
        return -ENOMEM;
    }
    for (unsigned i = 0; i < model->params->clients; i++) {
        const struct paper_client *client = &model->clients[i];
        for (size_t j = 0; j < client->count; j++) {
            run->responses[run->response_count++] = client->responses[j];
        }
    }
    qsort(run->responses, run->response_count, sizeof *run->responses, by_time);
    return 0;
}

static void explain_longest(const struct paper_model *model, struct paper_run *run)
{
    uint64_t longest_ns = paper_longest_ns(run);
    for (size_t i = 0; i < run->response_count; i++) {
        const struct paper_response *response = &run->responses[i];
        if (response->got_ns - response->sent_ns == longest_ns) {
            run->longest = paper_shares_of(model->params, response, &model->server_log,
                                           &model->driver_log, run->swaps, run->swap_count);
            return;
        }
    }
}

static void note_machine(struct paper_run *run)
{
    struct ant_info info;
    if (ant_info(&info) == 0) {
        run->machine = info.machine;
        snprintf(run->machine_name, sizeof run->machine_name, "%s", info.machine_name);
        snprintf(run->machine_reason, sizeof run->machine_reason, "%s", info.machine_reason);
        snprintf(run->mover_name, sizeof run->mover_name, "%s", info.mover_name);
    }
}

/* --- The run ---------------------------------------------------------------------------------------------------------- */

/* Clients beside or above the server whose calls cost something delay a swap: the analysis knows of none. */
static bool clients_interfere(const struct paper_params *params)
{
    bool costly = params->costs.remap_page_ns > 0 || params->costs.switch_ns > 0;
    return params->clients > 0 && params->ap_priority >= params->server_priority && costly;
}

/* In the core. */
static int play(struct paper_model *model, unsigned swaps, uint64_t t0_ns, int trace_fd,
                struct paper_run *run)
{
    note_machine(run);
    int error = create_processes(model);
    if (error != 0) {
        return error;
    }
    if (swaps == 0) {
        atomic_store(&model->done, true); /* now: the requester need not run for that */
    }
    error = ant_priority_set(ant_self(), model->params->requester_priority);
    if (error != 0) {
        return error;
    }
    paper_requester(model, swaps, t0_ns, run);
    await_clients(model);
    uint64_t bound_ns = paper_note_bound(model, run);
    for (size_t i = 0; i < run->swap_count; i++) { /* on real machines the first swap was the first ever seen */
        run->bounds_ns[i] = run->bounds_ns[i] ? run->bounds_ns[i] : bound_ns;
    }
    if (clients_interfere(model->params)) {
        run->bound_error = -ERANGE;
    }
    run->simulated_ns = ant_now();
    if (trace_fd >= 0) {
        error = ant_trace_write(trace_fd);
    }
    return error;
}

int paper_run(const struct paper_params *params, unsigned swaps, uint64_t t0_ns,
              uint64_t wait_max_ns, int trace_fd, struct paper_run *run)
{
    struct paper_model model;
    *run = (struct paper_run){0};
    int error = paper_model_init(&model, params, wait_max_ns);
    run->swaps = calloc(swaps + 1u, sizeof *run->swaps); /* not none: calloc may return NULL for that */
    run->pauses_ns = calloc(swaps + 1u, sizeof *run->pauses_ns);
    run->bounds_ns = calloc(swaps + 1u, sizeof *run->bounds_ns);
    if (error == 0 && (!run->swaps || !run->pauses_ns || !run->bounds_ns)) {
        error = -ENOMEM;
    }
    if (error == 0) {
        error = boot(params, trace_fd >= 0);
    }
    if (error == 0) {
        error = play(&model, swaps, t0_ns, trace_fd, run);
        ant_shutdown(NULL);
    }
    if (error == 0) {
        error = gather_responses(&model, run);
    }
    if (error == 0 && atomic_load(&model.failed) && run->swap_errors == 0) {
        error = atomic_load(&model.starved) ? -ETIMEDOUT : -EIO;
    }
    if (error == 0) {
        explain_longest(&model, run);
    }
    paper_model_fini(&model);
    return error;
}

void paper_run_fini(struct paper_run *run)
{
    free(run->responses);
    free(run->swaps);
    free(run->pauses_ns);
    free(run->bounds_ns);
    *run = (struct paper_run){0};
}
