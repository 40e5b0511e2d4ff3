/*
 * Where a response time went.
 *
 * The response is cut at every instant at which anything begins or ends. Of each slice the processor belonged to whoever of those
 * at work then had the highest priority; a request that is with the driver waits for that, whoever has the processor, unless
 * a swap's requester keeps the driver from going on: while it is not in its WAIT, it would.
 */
#include "timeline.h"

#include <errno.h>
#include <stdlib.h>

enum kind { SERVER_WORK, DRIVER_WORK, DRIVER_WAIT, SWAP_WORK };

struct interval {
    uint64_t begin_ns, end_ns;
    enum kind kind;
    int priority;
    unsigned client;
};

struct timeline {
    const struct paper_params *params;
    const struct paper_response *response;
    struct interval *intervals; /* those that touch the response */
    size_t count, capacity;
};

int paper_log_add(struct paper_log *log, uint64_t begin_ns, uint64_t end_ns, unsigned client)
{
    if (log->count == log->capacity) {
        size_t capacity = log->capacity ? 2 * log->capacity : 256;
        struct paper_piece *pieces = realloc(log->pieces, capacity * sizeof *pieces);
        if (pieces == NULL) {
            return -ENOMEM;
        }
        log->pieces = pieces;
        log->capacity = capacity;
    }
    log->pieces[log->count++] = (struct paper_piece){begin_ns, end_ns, client};
    return 0;
}

void paper_log_fini(struct paper_log *log)
{
    free(log->pieces);
    *log = (struct paper_log){0};
}

/* Without memory the slice counts as its own: the shares still add up. */
static void add(struct timeline *line, uint64_t begin_ns, uint64_t end_ns, enum kind kind,
                int priority, unsigned client)
{
    if (begin_ns >= end_ns || end_ns <= line->response->sent_ns || begin_ns >= line->response->got_ns) {
        return;
    }
    if (line->count == line->capacity) {
        size_t capacity = line->capacity ? 2 * line->capacity : 64;
        struct interval *intervals = realloc(line->intervals, capacity * sizeof *intervals);
        if (intervals == NULL) {
            return;
        }
        line->intervals = intervals;
        line->capacity = capacity;
    }
    line->intervals[line->count++] = (struct interval){begin_ns, end_ns, kind, priority, client};
}

static void add_log(struct timeline *line, const struct paper_log *log, enum kind kind, int priority)
{
    for (size_t i = 0; i < log->count; i++) {
        const struct paper_piece *piece = &log->pieces[i];
        add(line, piece->begin_ns, piece->end_ns, kind, priority, piece->client);
    }
}

/* A serial driver's WAIT holds up all requests that are with it, an overlapping one's only its own. */
static void add_waits(struct timeline *line, const struct paper_log *log)
{
    const struct paper_params *params = line->params;
    for (size_t i = 0; i < log->count; i++) {
        const struct paper_piece *piece = &log->pieces[i];
        if (params->driver == PAPER_SERIAL || piece->client == line->response->client) {
            add(line, piece->end_ns, piece->end_ns + params->io_wait_ns, DRIVER_WAIT, 0, piece->client);
        }
    }
}

/* What the steps cost is spent after they are reached, that of the last before it. */
static void add_swap(struct timeline *line, const struct ant_swap_report *report)
{
    const struct paper_params *params = line->params;
    const uint64_t *time_ns = report->step_time_ns, *cost_ns = params->costs.step_ns;
    uint64_t notified_ns = time_ns[ANT_SWAP_NOTIFY] + cost_ns[ANT_SWAP_NOTIFY],
             started_ns = time_ns[ANT_SWAP_START] + cost_ns[ANT_SWAP_START],
             serving_ns = time_ns[ANT_SWAP_WAKE_REQUESTER] + report->blackout_ns,
             returning_ns = time_ns[ANT_SWAP_RETURN] - cost_ns[ANT_SWAP_RETURN];
    int above = params->requester_priority, beside = params->server_priority;
    add(line, time_ns[ANT_SWAP_REQUEST], notified_ns, SWAP_WORK, above, 0);
    add(line, time_ns[ANT_SWAP_WAKE_REQUESTER], time_ns[ANT_SWAP_START], SWAP_WORK, beside, 0);
    add(line, time_ns[ANT_SWAP_START], started_ns, SWAP_WORK, above, 0);
    add(line, started_ns, serving_ns, SWAP_WORK, beside, 0);
    add(line, returning_ns, time_ns[ANT_SWAP_RETURN], SWAP_WORK, above, 0);
}

/* The next instant after now_ns at which something changes. */
static uint64_t next_cut_ns(const struct timeline *line, uint64_t now_ns)
{
    const struct paper_response *r = line->response;
    uint64_t cut_ns = r->got_ns;
    const uint64_t own_ns[] = {r->io_begin_ns, r->io_end_ns};
    for (size_t i = 0; i < 2; i++) {
        if (own_ns[i] > now_ns && own_ns[i] < cut_ns) {
            cut_ns = own_ns[i];
        }
    }
    for (size_t i = 0; i < line->count; i++) {
        const struct interval *interval = &line->intervals[i];
        if (interval->begin_ns > now_ns && interval->begin_ns < cut_ns) {
            cut_ns = interval->begin_ns;
        }
        if (interval->end_ns > now_ns && interval->end_ns < cut_ns) {
            cut_ns = interval->end_ns;
        }
    }
    return cut_ns;
}

/* Whose share a slice that begins now is. */
static uint64_t *share_at(const struct timeline *line, uint64_t now_ns, struct paper_shares *shares)
{
    const struct paper_response *r = line->response;
    const struct interval *runs = NULL;
    bool with_driver = r->io_begin_ns <= now_ns && now_ns < r->io_end_ns, driver_waits = false;
    for (size_t i = 0; i < line->count; i++) {
        const struct interval *interval = &line->intervals[i];
        if (interval->begin_ns > now_ns || interval->end_ns <= now_ns) {
            continue;
        }
        if (interval->kind == DRIVER_WAIT) {
            driver_waits = true;
        } else if (runs == NULL || interval->priority > runs->priority) {
            runs = interval;
        }
    }
    if (with_driver) {
        bool kept = !driver_waits && runs != NULL && runs->kind == SWAP_WORK &&
                    runs->priority >= line->params->driver_priority;
        return kept ? &shares->swap_ns : &shares->driver_ns;
    }
    if (runs == NULL) {
        return &shares->own_ns;
    }
    switch (runs->kind) {
    case SWAP_WORK:
        return &shares->swap_ns;
    case DRIVER_WORK:
        return &shares->driver_ns;
    case SERVER_WORK:
    case DRIVER_WAIT:
        break;
    }
    return runs->client == r->client ? &shares->own_ns : &shares->other_ns;
}

struct paper_shares paper_shares_of(const struct paper_params *params,
                                    const struct paper_response *response,
                                    const struct paper_log *server, const struct paper_log *driver,
                                    const struct ant_swap_report *swaps, size_t swap_count)
{
    struct timeline line = {.params = params, .response = response};
    struct paper_shares shares = {0};
    add_log(&line, server, SERVER_WORK, params->server_priority);
    add_log(&line, driver, DRIVER_WORK, params->driver_priority);
    add_waits(&line, driver);
    for (size_t i = 0; i < swap_count; i++) {
        add_swap(&line, &swaps[i]);
    }
    for (uint64_t now_ns = response->sent_ns; now_ns < response->got_ns;) {
        uint64_t cut_ns = next_cut_ns(&line, now_ns);
        *share_at(&line, now_ns, &shares) += cut_ns - now_ns;
        now_ns = cut_ns;
    }
    free(line.intervals);
    return shares;
}
