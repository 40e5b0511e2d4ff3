/* Is all well? Every promise that the demo can check, one line for each that was broken. */
#include "demo.h"
#include "file_server.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

__attribute__((format(printf, 2, 3))) static unsigned check(bool well, const char *format, ...)
{
    if (!well) {
        va_list arguments;
        va_start(arguments, format);
        fputs("NOT WELL: ", stderr);
        vfprintf(stderr, format, arguments);
        fputc('\n', stderr);
        va_end(arguments);
    }
    return !well;
}

static unsigned check_clients(const struct demo *demo)
{
    unsigned bad = 0;
    for (unsigned i = 0; i < demo->options.clients; i++) {
        const struct client *client = &demo->clients[i];
        if (client->name[0] == '\0') {
            continue; /* it was never started, for a reason that demo->failed tells */
        }
        uint64_t sent = client->ledger.sent;
        bool right = memcmp(client->sha256, demo->sha256, sizeof demo->sha256) == 0;
        bad += check(client->error == 0, "%s gave up: %s: %s", client->name, client->failed,
                     ant_strerror(client->error));
        bad += check(client->rounds > 0, "%s has never read the whole file", client->name);
        bad += check(client->wrong_rounds == 0 && (right || client->rounds == 0),
                     "%s got something else than the file, %" PRIu64 " times of %" PRIu64,
                     client->name, client->wrong_rounds, client->rounds);
        bad += check(sent == client->ledger.answered,
                     "%s sent %" PRIu64 " requests and has %" PRIu64 " answers", client->name, sent,
                     client->ledger.answered);
        bad += check(client->ledger.duplicated == 0, "%s got %" PRIu64 " answers too many",
                     client->name, client->ledger.duplicated);
        bad += check(client->ledger.overtaken == 0,
                     "%" PRIu64 " requests of %s reached the server out of order",
                     client->ledger.overtaken, client->name);
    }
    return bad;
}

unsigned verdict(const struct demo *demo, const struct totals *totals)
{
    const struct options *options = &demo->options;
    const struct ant_shutdown_report *shutdown = &demo->shutdown;
    unsigned attempts = options->swaps > 0 ? 1 : 0;
    unsigned bad = 0;

    bad += check(demo->failed == NULL, "%s: %s", demo->failed, ant_strerror(demo->failed_error));
    bad += check_clients(demo);
    bad += check(demo->swaps == options->swaps, "%u swaps of %u", demo->swaps, options->swaps);
    bad += check(demo->rollbacks == attempts, "%u rollbacks instead of %u", demo->rollbacks, attempts);
    bad += check(demo->rollbacks == 0 || (demo->rollback.step == ANT_SWAP_START &&
                                          demo->rollback.error == FILE_SERVER_BROKEN_ERROR),
                 "the version that does not start failed in step %d: %s", (int)demo->rollback.step,
                 ant_strerror(demo->rollback.error));
    bad += check(totals->unbalanced == 0, "the ledgers of %u swaps do not add up", totals->unbalanced);
    bad += check(demo->swaps == 0 || demo->reports[demo->swaps - 1].generation == demo->swaps + 1,
                 "after %u swaps the server has generation %u", demo->swaps,
                 demo->swaps == 0 ? 0 : demo->reports[demo->swaps - 1].generation);
    bad += check(shutdown->processes_abandoned == 0, "%u processes did not end",
                 shutdown->processes_abandoned);
    bad += check(shutdown->requests_unanswered == 0,
                 "%u requests were still unanswered at the shutdown", shutdown->requests_unanswered);
    bad += check(shutdown->areas_held == 0, "%u areas were still held at the shutdown",
                 shutdown->areas_held);
    return bad;
}
