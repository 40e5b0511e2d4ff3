/*
 * Mortals (mortal.h) that permit direct calls, and clients that lend them their threads.
 *
 * A puppet that calls OP_OBEY without a time limit lends its thread: from then on the server's id obeys, on the puppet's thread.
 */
#ifndef LENT_H
#define LENT_H

#include "mortal.h"

/* As the mortals of these names, but that they permit direct calls. */
extern struct ant_program lent_one, lent_one_again, lent_two;

/* The standard core, where direct calls are made, on `virtual` too. */
struct ant_config lent_config(void);
/* Boots (config NULL: that one), and serves FN by lent_one, as mortal_pid. */
void lent_begin(const struct ant_config *config, const struct ant_server_options *options);
int lent_setup(void **state);
#define lent_test(f) cmocka_unit_test_setup_teardown(f, lent_setup, fixture_teardown)

/* Where somebody stands. */
struct where {
    pid_t thread;
    ant_pid pid;
    int level;     /* of the thread, in force */
    int real_time; /* what the host says that it is; `fifo` only */
    const char *stack;
};
/* Act of a puppet. arg: a struct where */
int where_am_i(void *arg);
struct where where_is(ant_pid puppet);

/* The server has nothing to do, and its own thread has come to wait for messages: it can be lent another. */
bool is_at_rest(ant_pid server);
void await_rest(ant_pid server);
/* The puppet begins a call without a time limit; not waited for. */
struct ant_request *begin_call(ant_pid client, uint32_t function, uint32_t operation);
/* Its call ends: what it returned. The request is freed, its data too. */
int end_call(ant_pid client, struct ant_request *rq);
/* When the server of FN has come to rest the puppet calls it, and lends its thread, which is asserted; the server obeys. */
struct ant_request *lend(ant_pid client);
/* The server obeys no more, and answers; the call has been successful. */
void take_back(ant_pid client, struct ant_request *rq);
/* When the server has come to rest the puppet calls it once: is its thread used? */
bool lends(ant_pid client, uint32_t function, ant_pid server, int64_t timeout_ns);

#endif
