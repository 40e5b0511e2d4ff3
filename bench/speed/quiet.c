/* Who else wants a processor; see quiet.h. */
#include "quiet.h"
#include "ours.h"

#include <stdio.h>

#define SETTLE_NS ANT_NS_PER_MS
#define TOLD_FROM 10 /* one look in so many; any machine has something to do now and then */

/* Threads that run or are ready on the whole machine, the caller among them; 0: not known. */
static unsigned ready_threads(void)
{
    FILE *file = fopen("/proc/loadavg", "re");
    unsigned ready = 0;

    if (file != NULL) {
        if (fscanf(file, "%*s %*s %*s %u", &ready) != 1) {
            ready = 0;
        }
        fclose(file);
    }
    return ready;
}

void quiet_look(struct quiet *quiet)
{
    must("ant_sleep", ant_sleep(ant_now() + SETTLE_NS));
    quiet->looks++;
    quiet->disturbed += ready_threads() > 1;
}

void quiet_tell(const struct quiet *quiet, const char *name)
{
    if (quiet->disturbed * TOLD_FROM > quiet->looks) {
        fprintf(stderr,
                "speed: %s: the machine was not quiet: in %u of %u looks another program wanted a processor\n",
                name, quiet->disturbed, quiet->looks);
    }
}
