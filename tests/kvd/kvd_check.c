/*
 * The client that knows what each key must hold.
 *
 * Several connections at once, each with keys of its own, of which it keeps a model; and counters that all of them increment. Each sends commands drawn at
 * random, up to --pipeline at once, and holds every answer against its model. At the end it reads all of its keys once more. The model can be
 * written to a file, and another run can hold a server that was started again against it.
 *
 * Time: a key that expires must be there as long as it cannot have expired, and must be gone once it must have; in the milliseconds
 * between, either will do.
 *
 * Prints one line: name=value pairs. Exit status: 0 if no answer was wrong, none an error, and no connection dropped; else 1.
 */
#include "check.h"

#include <argp.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct options options;
int64_t now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static double clock_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

/* --- Asking --------------------------------------------------------------------------------------------------------------- */

static uint32_t draw_length(uint64_t *random)
{
    uint64_t kind = client_draw(random, 1000);
    uint64_t most = kind < 900 ? 100 : kind < 995 ? 4000 : MOST_VALUE;
    return (uint32_t)client_draw(random, most + 1);
}

static struct operation draw_operation(struct worker *w)
{
    static const enum kind often[] = {GET,  GET,       GET,     GET,         SET,    SET,
                                      SET,  SET_TIMED, SET_NEW, SET_OLD,     DEL,    EXISTS,
                                      MGET, INCR,      INCR,    INCR_SHARED, EXPIRE, TTL};
    struct operation op = {.kind = often[client_draw(&w->random, sizeof often / sizeof often[0])]};
    bool counts = op.kind == INCR;
    op.key = (uint32_t)(counts ? client_draw(&w->random, COUNTERS)
                               : COUNTERS + client_draw(&w->random, KEYS - COUNTERS));
    op.other = (uint32_t)client_draw(&w->random, KEYS);
    op.length = draw_length(&w->random);
    op.made_from = ((uint64_t)w->number << 48) + ++w->serial;
    op.ms = op.kind == EXPIRE ? 1000 * (1 + (int64_t)client_draw(&w->random, 3))
                              : 1 + (int64_t)client_draw(&w->random, 300);
    if (op.kind == INCR_SHARED) {
        op.key = (uint32_t)client_draw(&w->random, SHARED);
    }
    return op;
}

static void put_key(struct worker *w, uint32_t key)
{
    char name[64];
    client_put_bulk(&w->client, name, key_name(name, w->number, key));
}

static void put_word(struct worker *w, const char *word)
{
    client_put_bulk(&w->client, word, strlen(word));
}

static void put_number(struct worker *w, int64_t number)
{
    char text[32];
    client_put_bulk(&w->client, text, (size_t)sprintf(text, "%lld", (long long)number));
}

static void put_set(struct worker *w, const struct operation *op)
{
    make_value(w->value, op->made_from, op->length);
    client_put_head(&w->client, op->kind == SET ? 3 : op->kind == SET_TIMED ? 5 : 4);
    put_word(w, "SET");
    put_key(w, op->key);
    client_put_bulk(&w->client, w->value, op->length);
    if (op->kind == SET_TIMED) {
        put_word(w, "px");
        put_number(w, op->ms);
    } else if (op->kind != SET) {
        put_word(w, op->kind == SET_NEW ? "NX" : "XX");
    }
}

static void put(struct worker *w, const struct operation *op)
{
    char shared[64];
    switch (op->kind) {
    case SET:
    case SET_TIMED:
    case SET_NEW:
    case SET_OLD:
        put_set(w, op);
        return;
    case INCR_SHARED:
        client_put_head(&w->client, 2);
        put_word(w, "incr");
        client_put_bulk(&w->client, shared, shared_name(shared, op->key));
        return;
    case EXISTS:
    case MGET:
        client_put_head(&w->client, 3);
        put_word(w, op->kind == MGET ? "MGET" : "EXISTS");
        put_key(w, op->key);
        put_key(w, op->other);
        return;
    case EXPIRE:
        client_put_head(&w->client, 3);
        put_word(w, "EXPIRE");
        put_key(w, op->key);
        put_number(w, op->ms / 1000);
        return;
    default:
        client_put_head(&w->client, 2);
        put_word(w, operation_names[op->kind]);
        put_key(w, op->key);
        return;
    }
}

/* --- A connection --------------------------------------------------------------------------------------------------------- */

/* The connection is gone: nobody knows whether these were done. */
static void drop(struct worker *w, unsigned from, unsigned count)
{
    w->dropped++;
    for (unsigned i = from; i < count; i++) {
        const struct operation *op = &w->operations[i];
        if (op->kind == INCR_SHARED) {
            w->model->perhaps[op->key]++;
        } else {
            w->model->keys[op->key].unknown = true;
        }
    }
}

/* Sends some commands and checks the answers. */
static bool round_trip(struct worker *w, unsigned count)
{
    double begin = clock_ms();
    for (unsigned i = 0; i < count; i++) {
        put(w, &w->operations[i]);
    }
    w->sent_ms = now_ms();
    bool there = client_send(&w->client);
    for (unsigned i = 0; i < count; i++) {
        there = there && check(w, &w->operations[i]);
        if (!there) {
            drop(w, i, count);
            return false;
        }
    }
    double took = clock_ms() - begin;
    w->slowest_ms = took > w->slowest_ms ? took : w->slowest_ms;
    return true;
}

/* Reads all keys, those that must not be there as well. */
static bool read_all(struct worker *w)
{
    for (uint32_t n = 0; n < KEYS; n++) {
        w->operations[0] = (struct operation){.kind = GET, .key = n};
        if (!w->model->keys[n].unknown && !round_trip(w, 1)) {
            return false;
        }
    }
    return true;
}

static void *work(void *arg)
{
    struct worker *w = arg;
    double end = clock_ms() + (options.ms > 0 ? (double)options.ms : 1e12);
    bool there = client_open(&w->client, options.port);
    if (!there) {
        w->dropped++;
        return NULL;
    }
    w->value = malloc(MOST_VALUE + 8);
    there = w->value != NULL;
    while (there && options.verify == NULL && w->done < options.operations && clock_ms() < end) {
        unsigned count = 1 + (unsigned)client_draw(&w->random, options.pipeline);
        for (unsigned i = 0; i < count; i++) {
            w->operations[i] = draw_operation(w);
        }
        there = round_trip(w, count);
    }
    if (there && !options.killed) {
        (void)read_all(w);
    }
    free(w->value);
    client_close(&w->client);
    return NULL;
}

/* --- All of them ---------------------------------------------------------------------------------------------------------- */

/* Each shared counter is the sum of what all have counted. */
static void check_sums(struct worker *w, const struct model *models)
{
    struct client client;
    struct reply reply;
    if (!client_open(&client, options.port)) {
        w->dropped++;
        return;
    }
    for (unsigned n = 0; n < SHARED; n++) {
        char name[64], text[32] = "0";
        const struct operation op = {.kind = INCR_SHARED, .key = n};
        int64_t least = 0, perhaps = 0;
        for (unsigned i = 0; i < options.connections; i++) {
            least += models[i].shared[n];
            perhaps += models[i].perhaps[n];
        }
        client_put_head(&client, 2);
        client_put_bulk(&client, "GET", 3);
        client_put_bulk(&client, name, shared_name(name, n));
        if (!client_send(&client) || !client_read(&client, &reply)) {
            w->dropped++;
            break;
        }
        if (reply.type == '$' && reply.length < sizeof text) {
            memcpy(text, reply.bytes, reply.length);
            text[reply.length] = '\0';
        }
        int64_t sum = strtoll(text, NULL, 10);
        if ((reply.type != '$' && reply.type != '_') || sum < least || sum > least + perhaps) {
            complain(w, &op, &reply, "it is not the sum of what all have counted");
        }
    }
    client_close(&client);
}

static bool transfer(const char *path, const char *mode, struct model *models)
{
    FILE *file = fopen(path, mode);
    size_t count = options.connections;
    bool done = file != NULL && (mode[0] == 'w' ? fwrite(models, sizeof *models, count, file)
                                                : fread(models, sizeof *models, count, file)) == count;
    if (file != NULL && fclose(file) != 0) {
        done = false;
    }
    if (!done) {
        fprintf(stderr, "kvd_check: %s: %s\n", path, strerror(errno));
    }
    return done;
}

static error_t parse(int key, char *text, struct argp_state *state)
{
    switch (key) {
    case 'p':
        options.port = (uint16_t)atoi(text);
        return 0;
    case 'c':
        options.connections = (unsigned)atoi(text);
        return 0;
    case 'P':
        options.pipeline = (unsigned)atoi(text);
        return 0;
    case 'n':
        options.operations = strtoull(text, NULL, 10);
        return 0;
    case 't':
        options.ms = atoll(text);
        return 0;
    case 's':
        options.seed = strtoull(text, NULL, 10);
        return 0;
    case 'k':
        options.killed = true;
        return 0;
    case 'S':
        options.save = text;
        return 0;
    case 'V':
        options.verify = text;
        return 0;
    case ARGP_KEY_END:
        if (options.connections < 1 || options.connections > MOST_CONNECTIONS ||
            options.pipeline < 1 || options.pipeline > MOST_PIPELINE) {
            argp_error(state, "1 to %d connections, with 1 to %d commands at once",
                       MOST_CONNECTIONS, MOST_PIPELINE);
        }
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_option argp_options[] = {
    {"port", 'p', "N", 0, "of the server, on 127.0.0.1", 0},
    {"connections", 'c', "N", 0, "at once; default 8", 0},
    {"pipeline", 'P', "N", 0, "so many commands at once, at most; default 16", 0},
    {"operations", 'n', "N", 0, "of each connection; default 20000", 0},
    {"time", 't', "MS", 0, "ends after that even if it has not made them all", 0},
    {"seed", 's', "N", 0,
     "of all that is drawn, and of the keys, which must be new to the server; default 1", 0},
    {"killed", 'k', NULL, 0, "the server will be killed: connections may drop", 0},
    {"save", 'S', "FILE", 0, "write there what each key must hold", 0},
    {"verify", 'V', "FILE", 0, "change nothing, but hold the server against that", 0},
    {0},
};

int main(int argc, char **argv)
{
    static const struct argp argp = {
        argp_options, parse, NULL, "Holds every answer of kvd against what it must be.",
        NULL,         NULL,  NULL};
    static struct worker workers[MOST_CONNECTIONS];
    static struct model models[MOST_CONNECTIONS];
    struct worker all = {0};
    options = (struct options){.connections = 8, .pipeline = 16, .operations = 20000, .seed = 1};
    argp_parse(&argp, argc, argv, 0, NULL, NULL);
    if (options.verify != NULL && !transfer(options.verify, "r", models)) {
        return 2;
    }
    for (unsigned i = 0; i < options.connections; i++) {
        struct worker *w = &workers[i];
        *w = (struct worker){.model = &models[i], .number = i, .random = options.seed * 1000 + i};
        if (pthread_create(&w->thread, NULL, work, w) != 0) {
            return 2;
        }
    }
    for (unsigned i = 0; i < options.connections; i++) {
        const struct worker *w = &workers[i];
        (void)pthread_join(w->thread, NULL);
        all.done += w->done;
        all.errors += w->errors;
        all.wrong += w->wrong;
        all.dropped += w->dropped;
        all.slowest_ms = w->slowest_ms > all.slowest_ms ? w->slowest_ms : all.slowest_ms;
    }
    if (all.dropped == 0 && !options.killed) {
        check_sums(&all, models);
    }
    if (options.save != NULL && !transfer(options.save, "w", models)) {
        return 2;
    }
    printf("operations=%llu errors=%llu wrong=%llu dropped=%llu slowest_ms=%.1f\n",
           (unsigned long long)all.done, (unsigned long long)all.errors,
           (unsigned long long)all.wrong, (unsigned long long)all.dropped, all.slowest_ms);
    return all.errors > 0 || all.wrong > 0 || (all.dropped > 0 && !options.killed);
}
