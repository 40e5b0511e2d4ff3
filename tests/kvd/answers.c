/* Is it the right answer? See kvd_check.c. */
#include "check.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

static _Atomic uint64_t complaints;

/* --- Keys and values---------------------------------------------------------------------------------------------------- */

/* With bytes in it that a careless server would trip over. */
size_t key_name(char *name, unsigned worker, uint32_t key)
{
    memcpy(name, "k\0\r\n", 4);
    return 4 + (size_t)sprintf(name + 4, "%llu:%u:%u", (unsigned long long)options.seed, worker, key);
}

size_t shared_name(char *name, uint32_t n)
{
    return (size_t)sprintf(name, "shared:%llu:%u", (unsigned long long)options.seed, n);
}

void make_value(char *value, uint64_t made_from, uint32_t length)
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

const char *const operation_names[KINDS] = {"GET",    "SET",           "SET PX", "SET NX",
                                            "SET XX", "DEL",           "EXISTS", "MGET",
                                            "INCR",   "INCR (shared)", "EXPIRE", "TTL"};

void complain(struct worker *w, const struct operation *op, const struct reply *reply, const char *what)
{
    if (reply->type == '-') {
        w->errors++;
    } else {
        w->wrong++;
    }
    if (atomic_fetch_add(&complaints, 1) < SHOWN) {
        fprintf(stderr, "kvd_check: connection %u, %s of key %u: %s: %c%lld %.*s\n", w->number,
                operation_names[op->kind], op->key, what, reply->type, (long long)reply->number,
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

bool check(struct worker *w, const struct operation *op)
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
