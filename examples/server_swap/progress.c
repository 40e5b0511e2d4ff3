/* Progress on stderr: a line that is redrawn where that is a terminal, else a line every two seconds. */
#include "demo.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

static const double redraw_s = 0.05, line_s = 2.0;
static double last_s;
static bool drawn;

void progress_show(const struct demo *demo, const char *what, bool now)
{
    bool terminal = isatty(STDERR_FILENO) == 1;
    double time_s = demo_wall_s();
    uint64_t sent = 0;

    if (last_s == 0 && !terminal) {
        last_s = time_s; /* a run of less than two seconds needs no progress */
    }
    if (terminal ? !now && time_s - last_s < redraw_s : time_s - last_s < line_s) {
        return;
    }
    for (unsigned i = 0; i < demo->options.clients; i++) {
        sent += atomic_load_explicit(&demo->clients[i].ledger.sent, memory_order_relaxed);
    }
    fprintf(stderr, "%s%s: %u of %u swaps, %" PRIu64 " requests%s", terminal ? "\r\033[K" : "",
            what, demo->swaps, demo->options.swaps, sent, terminal ? "" : "\n");
    last_s = time_s;
    drawn = terminal;
}

void progress_end(void)
{
    if (drawn) {
        fprintf(stderr, "\r\033[K");
    }
}
