/*
 * The model of the stress tests, as a whole; see stress_model.h, and stress_inside.h for its parts.
 *
 * Clients write their own part of `model`, the server what lies in its state area, and the requester reads the rest when
 * nobody else runs; only `stop` is shared.
 */
#include "stress_inside.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#define JOIN_TIMEOUT_NS ((int64_t)(120 * ANT_NS_PER_S))

struct model model;

/* --- Opening, starting, joining, closing ------------------------------------------------------------------------------- */

void model_serve_again(uint32_t program)
{
    struct ant_server_options options = {.priority = MODEL_SERVER_PRIORITY};
    if (model.server != 0) { /* the one before may be dying still, and have its pages */
        int gone = ant_wait(model.server, JOIN_TIMEOUT_NS, NULL);
        STRESS_CHECK(gone == 0 || gone == -ESRCH, "the server before: %s", ant_strerror(gone));
    }
    int error = ant_serve(MODEL_STORE, &model_programs[program], &options, &model.server);

    if (error != 0) {
        fail_msg("ant_serve: %s", ant_strerror(error));
    }
    model.layout = model_programs[program].state_version;
}

void model_open(const struct model_config *config, uint32_t program)
{
    struct ant_process_options options = {.name = "driver", .priority = MODEL_DRIVER_PRIORITY};

    memset(&model, 0, sizeof model);
    model.config = *config;
    if (config->probes) {
        model.probe_file = memfd_create("probes", MFD_CLOEXEC);
        assert_true(model.probe_file >= 0);
    }
    model.free_before = stress_free_pages();
    STRESS_OK(ant_priority_set(ant_self(), MODEL_REQUESTER_PRIORITY));
    STRESS_OK(ant_process_create(&options, driver_main, NULL, &model.driver));
    ant_pid pid;
    while (ant_lookup(MODEL_DRIVER, &pid) != 0) {
        STRESS_OK(ant_sleep(ant_now() + 100000));
    }
    model_serve_again(program);
}

void model_start(void)
{
    static const char *const names[] = {"low client", "high client"};

    atomic_store(&model.stop, false);
    memset(model.clients, 0, sizeof model.clients);
    for (uint32_t i = 0; i < model.config.clients; i++) {
        struct client *client = &model.clients[i];
        struct ant_process_options options = {
            .name = names[i % 2],
            .priority = i % 2 == 1 ? MODEL_HIGH_CLIENT_PRIORITY : MODEL_LOW_CLIENT_PRIORITY,
        };
        client->number = i;
        client->random = stress_mix(model.config.seed * MODEL_CLIENTS_MAX + i);
        STRESS_OK(ant_process_create(&options, client_main, client, &client->pid));
    }
}

struct model_ledger model_sum(void)
{
    struct model_ledger sum = {0};

    for (uint32_t i = 0; i < model.config.clients; i++) {
        const struct model_ledger *ledger = &model.clients[i].ledger;
        sum.sent += ledger->sent;
        sum.answered += ledger->answered;
        sum.refused += ledger->refused;
        sum.withdrawn += ledger->withdrawn;
        sum.dropped += ledger->dropped;
        sum.late += ledger->late;
        sum.probed_sent += ledger->probed_sent;
        sum.probed_freed += ledger->probed_freed;
    }
    return sum;
}

/* The server's own count, in its state, came through all swaps: it must be what the clients counted. */
static void check_server_count(void)
{
    struct model_ledger sum = model_sum();
    struct totals totals = {0};
    struct ant_request *rq;
    uint64_t served = 0;

    STRESS_OK(ant_request_new(MODEL_TOTALS, &rq));
    STRESS_OK(ant_call(rq, ANT_FOREVER));
    memcpy(&totals, rq->payload, sizeof totals);
    STRESS_OK(ant_request_free(rq));
    for (uint32_t f = 0; f < MODEL_FUNCTIONS; f++) {
        served += totals.served[f];
    }
    STRESS_CHECK(served == sum.answered + sum.refused,
                 "the server counts %" PRIu64 ", the clients %" PRIu64 " + %" PRIu64, served,
                 sum.answered, sum.refused);
    STRESS_CHECK(totals.kept == 0, "the server still keeps %u requests", totals.kept);
    for (uint32_t c = 0; c < model.config.clients && !model.config.withdraw; c++) {
        for (uint32_t f = 0; f < MODEL_FUNCTIONS; f++) {
            STRESS_CHECK(totals.last[c][f] == model.clients[c].sequence[f],
                         "client %u, function %u: sent up to %" PRIu64 ", served up to %" PRIu64, c,
                         f, model.clients[c].sequence[f], totals.last[c][f]);
        }
    }
}

void model_join(void)
{
    atomic_store(&model.stop, true);
    for (uint32_t i = 0; i < model.config.clients; i++) {
        STRESS_OK(ant_wait(model.clients[i].pid, JOIN_TIMEOUT_NS, NULL));
        const struct model_ledger *ledger = &model.clients[i].ledger;
        uint64_t results = ledger->answered + ledger->refused + ledger->withdrawn + ledger->dropped;
        STRESS_CHECK(ledger->sent == results && model.clients[i].busy == 0,
                     "client %u: sent %" PRIu64 ", got %" PRIu64 ", still waits for %u", i,
                     ledger->sent, results, model.clients[i].busy);
    }
    if (!model.config.server_dies) {
        check_server_count();
    }
}

size_t model_server_pages(void)
{
    return pages_of(layout_bytes(model.layout)) + ANNEX_PAGES;
}

size_t model_quiet_pages(void)
{
    struct ant_ica_stats stats = {0};
    struct ant_process_info server = {0}, driver = {0};
    size_t expected = model_server_pages();
    bool quiet = false;

    /* The driver may still be about to answer what a server that is gone had asked. */
    for (int tries = 0; tries < 5000 && !quiet; tries++) {
        STRESS_OK(ant_ica_stats(&stats));
        STRESS_OK(ant_process_info(model.server, &server));
        STRESS_OK(ant_process_info(model.driver, &driver));
        quiet = server.pages == expected && driver.pages == 0 &&
                stats.free_pages + expected == model.free_before;
        if (!quiet) {
            STRESS_OK(ant_sleep(ant_now() + ANT_NS_PER_MS));
        }
    }
    STRESS_CHECK(quiet, "%zu pages free, %zu were before; the server has %zu, not %zu, the driver %zu",
                 stats.free_pages, model.free_before, server.pages, expected, driver.pages);
    return stats.free_pages;
}

void model_close(void)
{
    struct ant_process_info info;

    if (ant_process_info(model.server, &info) == 0) {
        STRESS_OK(ant_stop(model.server, JOIN_TIMEOUT_NS, NULL));
    }
    STRESS_OK(ant_stop(model.driver, JOIN_TIMEOUT_NS, NULL));
    size_t free_pages = stress_free_pages();
    STRESS_CHECK(free_pages == model.free_before, "%zu pages free, %zu before", free_pages,
                 model.free_before);
    if (model.config.probes) {
        close(model.probe_file);
    }
}

/* --- Swapping ----------------------------------------------------------------------------------------------------------- */

int model_swap(uint32_t to, const struct ant_swap_options *options, struct ant_swap_report *report)
{
    int error = ant_swap(MODEL_STORE, &model_programs[to], options, report);

    if (error == 0) {
        model.layout = model_programs[to].state_version;
    }
    return error;
}

static void check_count(const char *what, const struct ant_swap_count *count, uint32_t generation)
{
    STRESS_CHECK(count->at_notice + count->arrived - count->left == count->handed_over,
                 "generation %u, %s: %u + %u - %u is not %u", generation, what, count->at_notice,
                 count->arrived, count->left, count->handed_over);
}

void model_check_report(const struct ant_swap_report *report, struct model_swaps *swaps)
{
    uint32_t generation = report->generation;

    check_count("queued requests", &report->queued_requests, generation);
    check_count("queued results", &report->queued_results, generation);
    check_count("in service", &report->in_service, generation);
    check_count("outstanding", &report->outstanding, generation);
    STRESS_CHECK(report->error == 0 && report->step >= ANT_SWAP_RETURN,
                 "generation %u: error %d, step %d", generation, report->error, (int)report->step);
    STRESS_CHECK(report->swap_ns == report->base_ns + report->request_work_ns +
                                        report->result_work_ns + report->higher_priority_ns,
                 "generation %u: %" PRIu64 " ns are not %" PRIu64 " + %" PRIu64 " + %" PRIu64
                 " + %" PRIu64,
                 generation, report->swap_ns, report->base_ns, report->request_work_ns,
                 report->result_work_ns, report->higher_priority_ns);
    STRESS_CHECK(report->swap_ns ==
                     report->step_time_ns[ANT_SWAP_RETURN] - report->step_time_ns[ANT_SWAP_REQUEST],
                 "generation %u: swap_ns is not from step 1 to step 11", generation);
    STRESS_CHECK(report->transform_ns + report->start_ns <= report->blackout_ns,
                 "generation %u: blackout %" PRIu64 " ns, but transformer %" PRIu64 " and start %" PRIu64,
                 generation, report->blackout_ns, report->transform_ns, report->start_ns);
    for (int step = ANT_SWAP_CREATE; step <= ANT_SWAP_RETURN; step++) {
        STRESS_CHECK(report->step_time_ns[step] >= report->step_time_ns[step - 1],
                     "generation %u: step %d before step %d", generation, step, step - 1);
    }
    STRESS_CHECK(report->state_bytes == pages_of(layout_bytes(model.layout)) * ANT_PAGE_BYTES,
                 "generation %u: %zu bytes of state", generation, report->state_bytes);

    uint32_t queued = report->queued_requests.at_notice, results = report->queued_results.at_notice;
    uint32_t in_service = report->in_service.at_notice, outstanding = report->outstanding.at_notice;
    swaps->count++;
    swaps->under_load += queued + results + in_service + outstanding > 0;
    swaps->with_queued += queued > 0;
    swaps->with_results += results > 0;
    swaps->in_service += in_service > 0;
    swaps->outstanding += outstanding > 0;
}

/* --- Patterns -------------------------------------------------------------------------------------------------------- */

/* Nine words of each page: the first, the last, and seven between. */
#define PATTERN_WORDS 9u

static size_t pattern_word(size_t page, unsigned i)
{
    return page * (ANT_PAGE_BYTES / 8) + (i < 8 ? i * 64 : ANT_PAGE_BYTES / 8 - 1);
}

void model_fill(void *area, size_t pages, uint64_t key)
{
    uint64_t *words = area;

    for (size_t page = 0; page < pages; page++) {
        for (unsigned i = 0; i < PATTERN_WORDS; i++) {
            words[pattern_word(page, i)] = stress_mix(key + page * PATTERN_WORDS + i);
        }
    }
}

bool model_matches(const void *area, size_t pages, uint64_t key, bool answered)
{
    const uint64_t *words = area;

    for (size_t page = 0; page < pages; page++) {
        for (unsigned i = 0; i < PATTERN_WORDS; i++) {
            uint64_t expected = stress_mix(key + page * PATTERN_WORDS + i);
            if (words[pattern_word(page, i)] != (answered ? ~expected : expected)) {
                return false;
            }
        }
    }
    return true;
}

void model_answer(void *area, size_t pages)
{
    uint64_t *words = area;

    for (size_t page = 0; page < pages; page++) {
        for (unsigned i = 0; i < PATTERN_WORDS; i++) {
            words[pattern_word(page, i)] = ~words[pattern_word(page, i)];
        }
    }
}

/* --- Work and WAIT ---------------------------------------------------------------------------------------------------- */

void some_work(uint64_t key)
{
    if (model.config.work_ns > 0) {
        int error = ant_work(stress_mix(key) % model.config.work_ns);
        STRESS_CHECK(error == 0 || error == -ESHUTDOWN, "ant_work: %s", ant_strerror(error));
    }
}

void some_wait(uint64_t key)
{
    if (model.config.wait_ns > 0) {
        int error = ant_sleep(ant_now() + stress_mix(key) % model.config.wait_ns);
        STRESS_CHECK(error == 0 || error == -ESHUTDOWN, "ant_sleep: %s", ant_strerror(error));
    }
}
