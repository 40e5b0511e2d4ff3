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
#include "client.h"

#include <argp.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    KEYS = 200,
    COUNTERS = 20,
    SHARED = 8,
    MOST_CONNECTIONS = 64,
    MOST_PIPELINE = 64,
    MOST_VALUE = 300000,
    SHOWN = 5
};

struct options {
    uint16_t port;
    unsigned connections, pipeline;
    uint64_t operations; /* of each connection */
    int64_t ms;          /* ends it earlier; 0: does not */
    uint64_t seed;
    bool killed; /* the server will be killed: a connection that drops then is none of its faults */
    const char *save, *verify;
};

/* What a key must hold. A value is known by its length and a number from which its bytes are made. */
struct key {
    bool unknown; /* the connection dropped while a command for it was out */
    bool exists;
    bool expires;
    uint32_t length;
    uint64_t made_from;
    int64_t number;                    /* of a counter */
    int64_t least_end_ms, most_end_ms; /* it expires between these */
};

struct model {
    struct key keys[KEYS];  /* the first COUNTERS of them are counters */
    int64_t shared[SHARED]; /* how often this connection has incremented these */
};

enum kind {
    GET,
    SET,
    SET_TIMED,
    SET_NEW,
    SET_OLD,
    DEL,
    EXISTS,
    MGET,
    INCR,
    INCR_SHARED,
    EXPIRE,
    TTL,
    KINDS
};

struct operation {
    enum kind kind;
    uint32_t key, other; /* keys; INCR_SHARED: which */
    uint32_t length;
    uint64_t made_from;
    int64_t ms; /* SET_TIMED, EXPIRE: so long */
};

struct worker {
    struct client client;
    struct model *model;
    unsigned number;
    uint64_t random, serial;
    int64_t sent_ms, received_ms; /* the round that is out */
    struct operation operations[MOST_PIPELINE];
    char *value;
    int64_t last_shared[SHARED];
    uint64_t done, errors, wrong, dropped;
    double slowest_ms;
    pthread_t thread;
};

static struct options options;
static _Atomic uint64_t complaints;

static int64_t now_ms(void)
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

/* --- Keys and values: of each seed others ---------------------------------------------------------------------------------------------------- */

/* With bytes in it that a careless server would trip over. */
static size_t key_name(char *name, unsigned worker, uint32_t key)
{
    memcpy(name, "k\0\r\n", 4);
    return 4 + (size_t)sprintf(name + 4, "%llu:%u:%u", (unsigned long long)options.seed, worker, key);
}

static size_t shared_name(char *name, uint32_t n)
{
    return (size_t)sprintf(name, "shared:%llu:%u", (unsigned long long)options.seed, n);
}

static void make_value(char *value, uint64_t made_from, uint32_t length)
{
    uint64_t random = made_from;
    for (uint32_t at = 0; at < length; at += 8) {
        uint64_t word = client_draw(&random, UINT64_MAX);
        memcpy(value + at, &word, length - at < 8 ? length - at : 8);
    }
}

enum there { NO, PERHAPS, YES };

static enum there is_there(const struct worker *w, const struct key *key)
{
    if (!key->exists) {
        return NO;
    }
    if (!key->expires || w->received_ms < key->least_end_ms) {
        return YES;
    }
    return w->sent_ms >= key->most_end_ms ? NO : PERHAPS;
}

/* --- What is wrong -------------------------------------------------------------------------------------------------------- */

static const char *const names[KINDS] = {"GET",    "SET",           "SET PX", "SET NX",
                                         "SET XX", "DEL",           "EXISTS", "MGET",
                                         "INCR",   "INCR (shared)", "EXPIRE", "TTL"};

static void complain(struct worker *w, const struct operation *op, const struct reply *reply,
                     const char *what)
{
    if (reply->type == '-') {
        w->errors++;
    } else {
        w->wrong++;
    }
    if (atomic_fetch_add(&complaints, 1) < SHOWN) {
        fprintf(stderr, "kvd_check: connection %u, %s of key %u: %s: %c%lld %.*s\n", w->number,
                names[op->kind], op->key, what, reply->type, (long long)reply->number,
                (int)(reply->length < 80 ? reply->length : 80), reply->length > 0 ? reply->bytes : "");
    }
}

static bool is_number(const struct reply *reply, int64_t number)
{
    return reply->type == ':' && reply->number == number;
}

static bool is_ok(const struct reply *reply)
{
    return reply->type == '+' && reply->length == 2 && memcmp(reply->bytes, "OK", 2) == 0;
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
        put_word(w, names[op->kind]);
        put_key(w, op->key);
        return;
    }
}

/* --- Answers -------------------------------------------------------------------------------------------------------------- */

/* What a GET of a key has brought; and where either would do, which it was. */
static void check_value(struct worker *w, const struct operation *op, uint32_t n, const struct reply *reply)
{
    struct key *key = &w->model->keys[n];
    enum there there = is_there(w, key);
    if (reply->type == '_') {
        if (there == YES) {
            complain(w, op, reply, "it is lost");
        }
        key->exists = false;
        return;
    }
    if (reply->type != '$' || there == NO) {
        complain(w, op, reply, "it must not be there");
        return;
    }
    if (n < COUNTERS) {
        char text[32];
        int length = sprintf(text, "%lld", (long long)key->number);
        if (reply->length != (size_t)length || memcmp(reply->bytes, text, reply->length) != 0) {
            complain(w, op, reply, "it counts wrongly");
        }
        return;
    }
    make_value(w->value, key->made_from, key->length);
    if (reply->length != key->length || memcmp(reply->bytes, w->value, key->length) != 0) {
        complain(w, op, reply, "it has another value");
    }
}

static void set_model(const struct worker *w, const struct operation *op)
{
    w->model->keys[op->key] = (struct key){
        .exists = true,
        .length = op->length,
        .made_from = op->made_from,
        .expires = op->kind == SET_TIMED,
        .least_end_ms = w->sent_ms + op->ms,
        .most_end_ms = w->received_ms + op->ms,
    };
}

static void check_set(struct worker *w, const struct operation *op, const struct reply *reply)
{
    enum there there = is_there(w, &w->model->keys[op->key]);
    bool may_set = op->kind == SET_NEW ? there != YES : op->kind == SET_OLD ? there != NO : true;
    bool may_not = op->kind == SET_NEW ? there != NO : op->kind == SET_OLD ? there != YES : false;
    if (is_ok(reply) && may_set) {
        set_model(w, op);
    } else if (reply->type == '_' && may_not) {
        w->model->keys[op->key].exists = op->kind == SET_NEW;
    } else {
        complain(w, op, reply, "it is set when it must not, or the other way about");
    }
}

/* Of commands that answer with how many of one or two keys there were. */
static void check_count(struct worker *w, const struct operation *op, const struct reply *reply)
{
    enum there one = is_there(w, &w->model->keys[op->key]);
    enum there other = op->kind == EXISTS ? is_there(w, &w->model->keys[op->other]) : NO;
    int least = (one == YES) + (other == YES);
    int most = (one != NO) + (other != NO);
    if (reply->type != ':' || reply->number < least || reply->number > most) {
        complain(w, op, reply, "that many are not there");
    }
}

static void check_ttl(struct worker *w, const struct operation *op, const struct reply *reply)
{
    const struct key *key = &w->model->keys[op->key];
    enum there there = is_there(w, key);
    bool gone = is_number(reply, -2) && there != YES;
    bool lasts = is_number(reply, -1) && there == YES && !key->expires;
    bool ends = reply->type == ':' && there != NO && key->expires &&
                reply->number >= (key->least_end_ms - w->received_ms) / 1000 - 1 &&
                reply->number <= (key->most_end_ms - w->sent_ms) / 1000 + 1 && reply->number >= 0;
    if (!gone && !lasts && !ends) {
        complain(w, op, reply, "it is not that long until it expires");
    }
}

static void check_expire(struct worker *w, const struct operation *op, const struct reply *reply)
{
    struct key *key = &w->model->keys[op->key];
    enum there there = is_there(w, key);
    if (is_number(reply, 1) && there != NO) {
        key->expires = true;
        key->least_end_ms = w->sent_ms + op->ms;
        key->most_end_ms = w->received_ms + op->ms;
    } else if (is_number(reply, 0) && there != YES) {
        key->exists = false;
    } else {
        complain(w, op, reply, "it expires though it is not there, or the other way about");
    }
}

/* Others increment it too: it is only known to grow. */
static void check_shared(struct worker *w, const struct operation *op, const struct reply *reply)
{
    if (reply->type != ':' || reply->number <= w->last_shared[op->key]) {
        complain(w, op, reply, "it does not grow");
        return;
    }
    w->last_shared[op->key] = reply->number;
    w->model->shared[op->key]++;
}

static bool check(struct worker *w, const struct operation *op)
{
    struct reply reply;
    struct key *key = &w->model->keys[op->key];
    if (!client_read(&w->client, &reply)) {
        return false;
    }
    w->received_ms = now_ms();
    switch (op->kind) {
    case GET:
        check_value(w, op, op->key, &reply);
        break;
    case MGET:
        if (reply.type != '*' || reply.number != 2) {
            complain(w, op, &reply, "it is no pair");
            return reply.type != '*';
        }
        for (int i = 0; i < 2; i++) {
            if (!client_read(&w->client, &reply)) {
                return false;
            }
            check_value(w, op, i == 0 ? op->key : op->other, &reply);
        }
        break;
    case DEL:
        check_count(w, op, &reply);
        key->exists = false;
        break;
    case EXISTS:
        check_count(w, op, &reply);
        break;
    case INCR:
        key->exists = true;
        if (!is_number(&reply, ++key->number)) {
            complain(w, op, &reply, "it counts wrongly");
        }
        break;
    case INCR_SHARED:
        check_shared(w, op, &reply);
        break;
    case EXPIRE:
        check_expire(w, op, &reply);
        break;
    case TTL:
        check_ttl(w, op, &reply);
        break;
    default:
        check_set(w, op, &reply);
        break;
    }
    w->done++;
    return true;
}

/* --- A connection --------------------------------------------------------------------------------------------------------- */

/* The connection is gone: nobody knows whether these were done. */
static void drop(struct worker *w, unsigned from, unsigned count)
{
    w->dropped++;
    for (unsigned i = from; i < count; i++) {
        const struct operation *op = &w->operations[i];
        if (op->kind != INCR_SHARED) {
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

/* The sum of all increments is known only if no connection has dropped. */
static void check_sums(struct worker *w, const struct model *models)
{
    struct client client;
    struct reply reply;
    if (!client_open(&client, options.port)) {
        w->dropped++;
        return;
    }
    for (unsigned n = 0; n < SHARED; n++) {
        char name[64], text[32];
        const struct operation op = {.kind = INCR_SHARED, .key = n};
        int64_t sum = 0;
        for (unsigned i = 0; i < options.connections; i++) {
            sum += models[i].shared[n];
        }
        client_put_head(&client, 2);
        client_put_bulk(&client, "GET", 3);
        client_put_bulk(&client, name, shared_name(name, n));
        if (!client_send(&client) || !client_read(&client, &reply)) {
            w->dropped++;
            break;
        }
        int length = sprintf(text, "%lld", (long long)sum);
        bool right = sum == 0 ? reply.type == '_'
                              : reply.type == '$' && reply.length == (size_t)length &&
                                    memcmp(reply.bytes, text, reply.length) == 0;
        if (!right) {
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
