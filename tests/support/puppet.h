/*
 * Puppets: processes that do, one act at a time, what the test tells them; so every interleaving is the test's own
 * choice, on every machine and without sleeping.
 *
 * The test's process, the boss, serves BOSS. A puppet asks it synchronously what to do next, so its own queues are
 * left alone: what others send to it stays queued until an act receives it. (It always has one request out, to the boss.)
 * A server's callback becomes a puppet for as long as puppet_obey() runs in it.
 *
 * Every call here is made by the boss. puppet_do waits for the act's end; puppet_begin does not, for acts that block.
 */
#ifndef PUPPET_H
#define PUPPET_H

#include "fixture.h"

#define BOSS 9000u

typedef int puppet_act(void *arg);

/* A process that obeys from its beginning. priority 0: the boss's. */
ant_pid puppet_create(const char *name, int priority);
/* The puppet's side: acts until it is released; 0, or the error that its call to the boss came back with. */
int puppet_obey(void);

int puppet_do(ant_pid pid, puppet_act *act, void *arg);
void puppet_begin(ant_pid pid, puppet_act *act, void *arg);
/* Waits for the end of an act that was begun; what it returned. arg of puppet_begin must live until then. */
int puppet_end(ant_pid pid);
/* Waits until pid obeys, without making it do anything. */
void puppet_await(ant_pid pid);
/* Has it asked for its next act already? */
bool puppet_is_idle(ant_pid pid);
/* Lets its puppet_obey return. */
void puppet_release(ant_pid pid);
/* Releases and waits for its exit. */
void puppet_dismiss(ant_pid pid);
/* A puppet has died, or its server has: what it asked the boss is nobody's any more. */
void puppet_bury(ant_pid pid);
/* Sends a request in whose callback the server at pid obeys, waits until it does; and the end of that: released, and its result, the boss's next one, freed. */
struct ant_request *puppet_hold(ant_pid pid, uint32_t function, uint32_t operation);
void puppet_let_go(ant_pid pid, struct ant_request *held);
/* The boss's next result (it receives its puppets' requests meanwhile). */
struct ant_request *boss_result(void);
/* Is there no result for the boss? */
bool boss_has_no_result(void);

/* For the fixture. */
void puppet_init(void);
void puppet_fini(void);
void puppet_forget(void);

/* --- Calls made by a puppet: ant_x(...) as puppet_x(pid, ...) ---------------------------------------------------- */

struct ant_request *puppet_new_request(ant_pid pid, uint32_t function); /* asserts */
void *puppet_new_area(ant_pid pid, size_t pages);                       /* asserts */

int puppet_ica_alloc(ant_pid pid, size_t pages, void **area);
int puppet_ica_free(ant_pid pid, void *area);
int puppet_ica_info(ant_pid pid, const void *area, struct ant_ica_info *info);
int puppet_request_new(ant_pid pid, uint32_t function, struct ant_request **rq);
int puppet_request_free(ant_pid pid, struct ant_request *rq);
int puppet_call(ant_pid pid, struct ant_request *rq, int64_t timeout_ns);
int puppet_send(ant_pid pid, struct ant_request *rq);
int puppet_receive(ant_pid pid, struct ant_message *message, int64_t timeout_ns);
int puppet_reply(ant_pid pid, struct ant_request *rq, int32_t status);
int puppet_cancel(ant_pid pid, struct ant_request *rq);
int puppet_pending(ant_pid pid, enum ant_pending_kind kind, struct ant_pending *items,
                   size_t capacity, size_t *count);
int puppet_function_add(ant_pid pid, uint32_t function);
int puppet_function_remove(ant_pid pid, uint32_t function);
int puppet_state_set(ant_pid pid, void *state);
void *puppet_state(ant_pid pid);
int puppet_wait(ant_pid pid, ant_pid whom, int64_t timeout_ns, int *status);
int puppet_stop(ant_pid pid, ant_pid whom, int64_t timeout_ns, int *status);
int puppet_shutdown(ant_pid pid, struct ant_shutdown_report *report);
int puppet_serve(ant_pid pid, uint32_t function, const struct ant_program *program,
                 const struct ant_server_options *options, ant_pid *server);
int puppet_swap(ant_pid pid, uint32_t function, const struct ant_program *program,
                const struct ant_swap_options *options, struct ant_swap_report *report);
int puppet_swap_accept(ant_pid pid);
int puppet_swap_cancel(ant_pid pid, uint32_t function);
int puppet_kill(ant_pid pid, ant_pid whom);
int puppet_monitor(ant_pid pid, struct ant_request *rq, uint32_t function);
int puppet_ica_list(ant_pid pid, void **areas, size_t capacity, size_t *count);

/* The blocking ones, begun: finish with puppet_end, which returns what the call returned. */
void puppet_begin_call(ant_pid pid, struct ant_request *rq, int64_t timeout_ns);
void puppet_begin_receive(ant_pid pid, struct ant_message *message, int64_t timeout_ns);
void puppet_begin_wait(ant_pid pid, ant_pid whom, int64_t timeout_ns, int *status);
void puppet_begin_stop(ant_pid pid, ant_pid whom, int64_t timeout_ns, int *status);
void puppet_begin_sleep(ant_pid pid, uint64_t time_ns);
void puppet_begin_work(ant_pid pid, uint64_t work_ns);
void puppet_begin_serve(ant_pid pid, uint32_t function, const struct ant_program *program,
                        const struct ant_server_options *options, ant_pid *server);
void puppet_begin_swap(ant_pid pid, uint32_t function, const struct ant_program *program,
                       const struct ant_swap_options *options, struct ant_swap_report *report);
void puppet_begin_swap_accept(ant_pid pid);

/* Receives a request, and asserts that it is one. */
struct ant_request *puppet_take_request(ant_pid pid);
struct ant_request *puppet_take_result(ant_pid pid);

#endif
