/*
 * The book of a run: what the clients have sent, what was served and answered. Kept outside the core, by whoever has the baton.
 */
#ifndef EXPLORE_BOOK_H
#define EXPLORE_BOOK_H

#include "run.h"

struct entry {
    struct ant_request *request; /* where it was sent from; NULL: it is not out */
    unsigned char *data;
    uint32_t served, results;
};

struct book {
    const struct scenario *scenario;
    const char *name;
    uint32_t violations;
    struct entry entry[CLIENTS_MAX][REQUESTS_MAX];
    ant_pid server, client[CLIENTS_MAX], swapper[SWAPPERS_MAX];
    bool killed[CLIENTS_MAX];
    uint32_t direct; /* requests that were served on their client's thread */
    bool stopping;   /* the server is being stopped: errors that say so are no surprise */
};

extern struct book book;

/* Something that libant promises does not hold. */
void violation(const char *format, ...) __attribute__((format(printf, 1, 2)));

#define CHECK(condition, ...)       \
    do {                            \
        if (!(condition))           \
            violation(__VA_ARGS__); \
    } while (0)

static inline uint64_t cookie_of(uint32_t client, uint32_t number)
{
    return (uint64_t)(client + 1) << 8 | number;
}
static inline const struct request_plan *plan_of(uint64_t cookie)
{
    return &book.scenario->client[(cookie >> 8) - 1].request[cookie & 0xff];
}
/* NULL, and a violation, if it is nobody's. */
struct entry *entry_of(uint64_t cookie);

/* What a data area is filled with, and what the server makes of that. */
#define DATA_SENT 0x5a
#define DATA_SERVED 0xa5

/* --- The roles: entries of processes ------------------------------------------------------------------------------- */

int client_main(void *index);
int swapper_main(void *index);
int stopper_main(void *unused);
int bystander_main(void *unused);
int killer_main(void *unused);
int canceller_main(void *unused);
int replacer_main(void *unused);

/* --- The programs of a run ------------------------------------------------------------------------------------------ */

/* direct: they permit direct calls, but for one of the successors. */
void programs_make(bool direct);
const struct ant_program *driver_program(void);
/* What the server runs after a swap of that way; SWAP_PLAIN: at first, too. */
const struct ant_program *server_program(enum swap_way way);

#endif
