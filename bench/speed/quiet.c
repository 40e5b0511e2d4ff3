/* Who else wants a processor; see quiet.h. */
#include "quiet.h"
#include "ours.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SETTLE_NS ANT_NS_PER_MS
#define TOLD_FROM 10 /* one look in so many; any machine has something to do now and then */

/* Threads that run or are ready on the whole machine, the caller among them; 0: not known. */
static unsigned ready_threads(void)
{
    FILE *file = fopen("/proc/loadavg", "re");
    char line[128];
    const char *ready = NULL; /* the fourth word: ready/all */

    if (file == NULL) {
        return 0;
    }
    if (fgets(line, sizeof line, file) != NULL) {
        ready = line;
    }
    for (int word = 1; ready != NULL && word < 4; word++) {
        ready = strchr(ready, ' ');
        ready = ready != NULL ? ready + 1 : NULL;
    }
    fclose(file);
    return ready != NULL ? (unsigned)strtoul(ready, NULL, 10) : 0;
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
