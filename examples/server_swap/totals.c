/* What the reports are made of: sums over all swaps and clients. */
#include "demo.h"

static bool balanced(const struct ant_swap_count *count)
{
    return count->at_notice + count->arrived - count->left == count->handed_over;
}

static void add_swap(struct totals *totals, const struct ant_swap_report *report)
{
    totals->under_load += report->queued_requests.at_notice > 0 ||
                          report->queued_results.at_notice > 0 ||
                          report->in_service.at_notice > 0 || report->outstanding.at_notice > 0;
    totals->unbalanced += !balanced(&report->queued_requests) || !balanced(&report->queued_results) ||
                          !balanced(&report->in_service) || !balanced(&report->outstanding);
    totals->to_v2 += report->new_version == 2;
    totals->to_v1 += report->new_version == 1;
    totals->queued_requests += report->queued_requests.handed_over;
    totals->queued_results += report->queued_results.handed_over;
    totals->in_service += report->in_service.handed_over;
    totals->outstanding += report->outstanding.handed_over;
    samples_add(&totals->swap, report->swap_ns);
    samples_add(&totals->blackout, report->blackout_ns);
}

static void add_client(struct totals *totals, const struct client *client)
{
    totals->sent += client->ledger.sent;
    totals->answered += client->ledger.answered;
    totals->duplicated += client->ledger.duplicated;
    totals->overtaken += client->ledger.overtaken;
    totals->cached += client->ledger.cached;
    for (int version = 0; version < 3; version++) {
        totals->by_version[version] += client->ledger.by_version[version];
        samples_append(&totals->response_calm, &client->response[PHASE_CALM][version]);
        samples_append(&totals->response_swapping, &client->response[PHASE_SWAPPING][version]);
        samples_append(&totals->response_of[version], &client->response[PHASE_SWAPPING][version]);
    }
    totals->rounds += client->rounds;
}

/* The swap in the middle by its swap time. */
static const struct ant_swap_report *median_swap(const struct demo *demo, struct samples *swap)
{
    for (unsigned i = 0; i < demo->swaps; i++) {
        if (demo->reports[i].swap_ns == samples_rank_ns(swap, 50)) {
            return &demo->reports[i];
        }
    }
    return NULL;
}

void totals_init(struct totals *totals, const struct demo *demo)
{
    *totals = (struct totals){0};
    for (unsigned i = 0; i < demo->swaps; i++) {
        add_swap(totals, &demo->reports[i]);
    }
    for (unsigned i = 0; i < demo->options.clients; i++) {
        add_client(totals, &demo->clients[i]);
    }
    totals->median = median_swap(demo, &totals->swap);
}

void totals_fini(struct totals *totals)
{
    samples_fini(&totals->swap);
    samples_fini(&totals->blackout);
    samples_fini(&totals->response_calm);
    samples_fini(&totals->response_swapping);
    for (int version = 0; version < 3; version++) {
        samples_fini(&totals->response_of[version]);
    }
}
