/*
 * The checker finds what it is there to find: a history in which all is well, and for each rule one that breaks it in one place.
 *
 * ctest: no-core
 */
#include "history.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* A run, whose records can be changed before it is judged. */
struct world {
    struct history_record records[64];
    uint32_t count;
    struct history_record *begin, *served, *sent[3], *result[3], *probe, *strike, *refused,
        *swapping, *swap, *late, *low, *high, *ended, *last, *pages, *shutdown, *host;
};

static struct history_record *add(struct world *w, enum history_kind kind, uint64_t time_ns, uint32_t actor)
{
    struct history_record *r = &w->records[w->count++];
    memset(r, 0, sizeof *r);
    r->kind = kind;
    r->bytes = sizeof *r;
    r->time_ns = time_ns;
    r->actor = actor;
    return r;
}

/* Client 0 asks function 100 for the nth time, with two pages, and has the answer of a version whose generation is the same. */
static void ask(struct world *w, uint32_t n, uint32_t version, uint64_t time_ns)
{
    w->sent[n] = add(w, HISTORY_SENT, time_ns, 0);
    w->sent[n]->sent = (struct history_sent){n, 100, 0, 1};
    w->result[n] = add(w, HISTORY_RESULT, time_ns + 20, 0);
    w->result[n]->result = (struct history_result){
        .number = n,
        .at = n,
        .data = {2, 0, 2, 0},
        .echo = n,
        .service = {1, n + 1, 1, n + 1, time_ns + 10, time_ns + 15, version, version, version,
                    version, 1, 0},
    };
}

static void add_swap(struct world *w)
{
    w->swapping = add(w, HISTORY_SWAPPING, 3000, 100);
    w->swapping->swapping.version = 2;
    w->swap = add(w, HISTORY_SWAP, 4300, 100);
    struct history_swap *s = &w->swap->swap;
    *s = (struct history_swap){.version = 2,
                               .step = 12,
                               .generation = 2,
                               .swap_ns = 1100,
                               .blackout_ns = 700,
                               .base_ns = 1000,
                               .request_work_ns = 100};
    for (uint32_t step = 1; step <= 12; step++)
        s->step_time_ns[step] = 3000 + 100 * step;
    s->counts[0] = (struct history_count){3, 2, 1, 4};
}

static void make(struct world *w)
{
    memset(w, 0, sizeof *w);
    w->begin = add(w, HISTORY_BEGIN, 0, 0);
    w->begin->begin = (struct history_begin){.seed = 1, .pages = 512, .strict = 1};
    for (int step = 1; step <= 12; step++)
        w->begin->begin.step_ns[step] = 100;
    add(w, HISTORY_HOST, 0, 0)->host = (struct history_host){100, 4, 5};
    add(w, HISTORY_SWAPPING, 1000, 100)->swapping.version = 1;
    w->served = add(w, HISTORY_SERVED, 1100, 100);
    w->served->served = (struct history_served){7, 1, 0};
    ask(w, 0, 1, 2000);
    ask(w, 1, 1, 2100);
    w->probe = add(w, HISTORY_PROBE, 2205, 0);
    w->probe->probe = (struct history_probe){1, 1, -EPERM, EFAULT};
    add_swap(w);
    ask(w, 2, 2, 5000);
    w->late = add(w, HISTORY_LATE, 6000, 0);
    w->late->late.wanted_ns = 6000;
    w->low = add(w, HISTORY_WORKED, 6100, 0);
    w->low->worked = (struct history_worked){6000, 100, 1, 0};
    w->high = add(w, HISTORY_WORKED, 6200, 1);
    w->high->worked = (struct history_worked){6100, 100, 9, 0};
    w->ended = add(w, HISTORY_ENDED, 6300, 0);
    w->ended->ended = (struct history_ended){HISTORY_CLIENT, 0, 0};
    w->last = add(w, HISTORY_LAST, 7000, 100);
    w->last->last.service = (struct history_service){.epoch = 1, .serial = 9};
    w->pages = add(w, HISTORY_PAGES, 8000, 0);
    w->pages->pages.free = 512;
    w->shutdown = add(w, HISTORY_SHUTDOWN, 0, 0);
    w->host = add(w, HISTORY_HOST, 0, 0);
    w->host->host = (struct history_host){100, 4, 5};
    add(w, HISTORY_END, 0, 0);
}

/* ---- the checker ---- */

static int checker;

static int start_checker(void **state)
{
    int ends[2];
    (void)state;
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0)
        return -1;
    if (fork() == 0) {
        dup2(ends[1], STDIN_FILENO);
        dup2(ends[1], STDOUT_FILENO);
        close(ends[0]);
        execl(CHECKER, "campaign_check", (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    checker = ends[0];
    return 0;
}

static int end_checker(void **state)
{
    int status = -1;
    (void)state;
    close(checker);
    wait(&status);
    return status == 0 ? 0 : -1;
}

static struct history_verdict judge(const struct world *w)
{
    struct history_verdict verdict;
    uint32_t bytes = w->count * (uint32_t)sizeof w->records[0];
    assert_int_equal(write(checker, &bytes, sizeof bytes), sizeof bytes);
    assert_int_equal(write(checker, w->records, bytes), bytes);
    assert_int_equal(recv(checker, &verdict, sizeof verdict, MSG_WAITALL), sizeof verdict);
    return verdict;
}

/* ---- all is well ---- */

static void a_good_history_breaks_no_promise(void **state)
{
    struct world w;
    (void)state;
    make(&w);
    struct history_verdict verdict = judge(&w);
    assert_string_equal(verdict.text, "");
    assert_int_equal(verdict.violations, 0);
    assert_int_equal(verdict.requests, 3);
    assert_int_equal(verdict.results, 3);
    assert_int_equal(verdict.direct, 0);
    assert_int_equal(verdict.swaps, 1);
    w.result[1]->result.service.direct = 1;
    verdict = judge(&w);
    assert_string_equal(verdict.text, "");
    assert_int_equal(verdict.direct, 1);
}

/* ---- and not ---- */

static void a_lost_result(struct world *w)
{
    w->result[1]->kind = HISTORY_LATE;
    w->result[1]->late.wanted_ns = w->result[1]->time_ns;
}

static void a_second_result(struct world *w)
{
    w->probe->kind = HISTORY_RESULT;
    w->probe->result = w->result[0]->result;
}

static void a_result_of_nothing(struct world *w)
{
    w->result[1]->result.number = w->result[1]->result.at = w->result[1]->result.echo = 77;
}

static void a_result_of_another(struct world *w)
{
    w->result[1]->result.at = 2;
}

static void served_by_nobody(struct world *w)
{
    w->result[1]->result.service.serial = 0;
}

static void served_three_times(struct world *w)
{
    w->result[1]->result.service.attempts = 3;
}

static void repeated_though_not_repeatable(struct world *w)
{
    w->result[1]->result.service.attempts = 2;
}

static void served_on_the_thread_of_one_who_did_not_wait(struct world *w)
{
    w->result[1]->result.service.direct = 1;
    w->sent[1]->sent.synchronous = 0;
}

static void a_count_twice(struct world *w)
{
    w->result[1]->result.service.serial = 1;
}

static void a_state_that_forgets(struct world *w)
{
    w->last->last.service.serial = 2;
}

static void an_unbalanced_ledger(struct world *w)
{
    w->swap->swap.counts[0].handed_over = 3;
}

static void a_page_lost(struct world *w)
{
    w->pages->pages.free = 511;
}

static void a_request_left_over(struct world *w)
{
    w->shutdown->shutdown.unanswered = 1;
}

static void out_of_order(struct world *w)
{
    w->result[0]->result.service.first_serial = 5;
}

static void pages_of_others(struct world *w)
{
    w->result[0]->result.data = (struct history_data){2, 0, 1, 1};
}

static void data_not_worked_on(struct world *w)
{
    w->result[0]->result.data = (struct history_data){2, 1, 1, 0};
}

static void data_kept(struct world *w)
{
    w->result[0]->result.data = (struct history_data){2, 0, 0, 0};
    w->result[0]->result.data_gone = 1;
}

static void told_of_what_is_away(struct world *w)
{
    w->probe->probe.info = 0;
}

static void read_what_is_away(struct world *w)
{
    w->probe->probe.system_call = 0;
}

static void served_by_one_rolled_back(struct world *w)
{
    w->swap->swap.error = -ETIMEDOUT;
    w->swap->swap.step_time_ns[8] = 0;
}

static void served_too_early(struct world *w)
{
    w->result[1]->result.service.first_version = w->result[1]->result.service.reply_version = 2;
    w->result[1]->result.service.first_generation = w->result[1]->result.service.reply_generation = 2;
}

static void served_too_late(struct world *w)
{
    w->result[2]->result.service.first_version = w->result[2]->result.service.reply_version = 1;
    w->result[2]->result.service.first_generation = w->result[2]->result.service.reply_generation = 1;
}

static void an_old_generation(struct world *w)
{
    w->swap->swap.generation = 1;
}

static void a_failure_after_the_point_of_no_return(struct world *w)
{
    w->swap->swap.error = -ETIMEDOUT;
}

static void steps_out_of_order(struct world *w)
{
    w->swap->swap.step_time_ns[5] = 1;
}

static void shares_that_do_not_add_up(struct world *w)
{
    w->swap->swap.base_ns--;
}

static void a_long_pause(struct world *w)
{
    w->swap->swap.blackout_ns = 801;
}

static void late_at_the_top(struct world *w)
{
    w->late->time_ns = 6001;
}

static void the_lowest_ahead_of_a_higher(struct world *w)
{
    w->high->worked.from_ns = 6099;
}

static void an_equal_that_jumps_the_queue(struct world *w)
{
    w->low->worked.priority = w->high->worked.priority;
    w->low->worked.from_ns = 6120;
    w->low->time_ns = 6140;
    w->low->worked.work_ns = 20;
    w->high->worked.work_ns = 80;
}

static void two_at_once(struct world *w)
{
    w->low->worked.from_ns += 50;
    w->low->time_ns += 50;
}

static void requests_before_the_notice(struct world *w)
{
    w->result[0]->result.service.first_time_ns = 3440;
    w->result[1]->result.service.first_time_ns = 3450;
}

static void a_refusal_without_cause(struct world *w)
{
    w->result[1]->kind = HISTORY_REFUSED;
    w->result[1]->refused = (struct history_refused){1, -ENOMEM, {2, 2, 0, 0}};
}

static void a_death_without_cause(struct world *w)
{
    w->ended->ended.status = -EOWNERDEAD;
}

static void a_swap_failed_without_cause(struct world *w)
{
    w->result[2]->kind = w->sent[2]->kind = HISTORY_END;
    w->swap->swap.error = -ECANCELED;
    w->swap->swap.step_time_ns[8] = 0;
}

static void a_call_against_its_contract(struct world *w)
{
    w->late->kind = HISTORY_CALL;
    memset(&w->late->call, 0, sizeof w->late->call);
    strcpy(w->late->call.name, "ant_reply");
}

static void memory_lost(struct world *w)
{
    w->host->host.blocks++;
}

static void a_thread_lost(struct world *w)
{
    w->host->host.threads++;
}

static void a_file_lost(struct world *w)
{
    w->host->host.files++;
}

static void no_service_any_more(struct world *w)
{
    w->last->last.error = -EOWNERDEAD;
}

static void a_run_that_does_not_end(struct world *w)
{
    w->late->kind = HISTORY_STUCK;
    strcpy(w->late->stuck.what, "clients");
}

static const struct {
    const char *name;
    void (*spoil)(struct world *w);
    const char *text; /* how what is found begins */
} wrongs[] = {
    {"a lost result", a_lost_result, "promise 1: request 1 of client 0 has no result"},
    {"a second result", a_second_result,
     "promise 1: request 0 of client 0 is answered, and had ended before"},
    {"a result of nothing", a_result_of_nothing,
     "promise 1: request 77 of client 0 is answered, but was never sent"},
    {"a result of another", a_result_of_another, "promise 1: request 2 of client 0 came back as 1"},
    {"served by nobody", served_by_nobody, "promise 1: request 1 of client 0 has a result, but nobody"},
    {"served three times", served_three_times, "promise 1: request 1 of client 0 was served 3 times"},
    {"served on the thread of one who did not wait", served_on_the_thread_of_one_who_did_not_wait,
     "promise 0: request 1 of client 0, which did not wait"},
    {"repeated though not repeatable", repeated_though_not_repeatable,
     "promise 1: request 1 of client 0 was served 2 times"},
    {"a count twice", a_count_twice, "promise 1: two requests have the same count"},
    {"a state that forgets", a_state_that_forgets, "promise 1: the state of function 100 has lost"},
    {"an unbalanced ledger", an_unbalanced_ledger, "promise 1: the swap to version 2 had 3 queued requests"},
    {"a page lost", a_page_lost, "promise 1: 511 of 512 pages are free"},
    {"a request left over", a_request_left_over, "promise 1: left over"},
    {"out of order", out_of_order, "promise 2: request 1 of client 0 to function 100"},
    {"pages of others", pages_of_others,
     "promise 3: request 0 of client 0 came back with 1 pages of others"},
    {"data not worked on", data_not_worked_on,
     "promise 3: request 0 of client 0 was served, but 1 of 2 pages"},
    {"data kept", data_kept, "promise 3: request 0 of client 0 came back without its data"},
    {"told of what is away", told_of_what_is_away, "promise 3: client 0 is told"},
    {"read what is away", read_what_is_away, "promise 3: client 0 can read"},
    {"served by one rolled back", served_by_one_rolled_back,
     "promise 4: request 2 of client 0 was served by version 2, which"},
    {"served too early", served_too_early, "promise 4: request 1 of client 0 was served by version 2 at"},
    {"served too late", served_too_late, "promise 4: request 2 of client 0 was served by version 1 at"},
    {"an old generation", an_old_generation, "promise 4: generation 1 of function 100 came after 1"},
    {"a failure after the point of no return", a_failure_after_the_point_of_no_return,
     "promise 4: the swap to version 2 has failed after step 8"},
    {"steps out of order", steps_out_of_order, "promise 4: the swap to version 2 came to step 5"},
    {"shares that do not add up", shares_that_do_not_add_up, "promise 5: the shares"},
    {"a long pause", a_long_pause, "promise 5: nobody served for 801 ns"},
    {"late at the top", late_at_the_top, "promise 6: the highest priority woke 1 ns late"},
    {"the lowest ahead of a higher", the_lowest_ahead_of_a_higher,
     "promise 6: priority 1 computed at 6000 ns, while 9"},
    {"an equal that jumps the queue", an_equal_that_jumps_the_queue,
     "promise 6: priority 9 computed at 6120"},
    {"two at once", two_at_once, "promise 6: two computed at once"},
    {"requests before the notice", requests_before_the_notice,
     "promise 5: request 1 of client 0 was received"},
    {"a refusal without cause", a_refusal_without_cause,
     "promise 7: request 1 of client 0 was refused without a cause"},
    {"a death without cause", a_death_without_cause, "promise 7: client 0 has ended"},
    {"a swap failed without cause", a_swap_failed_without_cause,
     "promise 7: the swap to version 2 failed without a cause"},
    {"a call against its contract", a_call_against_its_contract, "promise 7: ant_reply: 0"},
    {"memory lost", memory_lost, "promise 7: 1 blocks"},
    {"a thread lost", a_thread_lost, "promise 7: 1 threads"},
    {"a file lost", a_file_lost, "promise 7: a file"},
    {"no service any more", no_service_any_more, "promise 0: function 100 does not serve"},
    {"a run that does not end", a_run_that_does_not_end, "promise 0: clients did not end"},
};

static void each_wrong_history_is_found_out(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof wrongs / sizeof wrongs[0]; i++) {
        struct world w;
        make(&w);
        wrongs[i].spoil(&w);
        struct history_verdict verdict = judge(&w);
        if (verdict.violations == 0 || strncmp(verdict.text, wrongs[i].text, strlen(wrongs[i].text)) != 0)
            fail_msg("%s: %u violations, \"%s\"", wrongs[i].name, verdict.violations, verdict.text);
    }
}

/* One request may be in the old server's hand when the notice comes. */
static void one_request_in_hand_is_no_violation(void **state)
{
    struct world w;
    (void)state;
    make(&w);
    w.result[1]->result.service.first_time_ns = 3450;
    assert_string_equal(judge(&w).text, "");
}

static void a_server_made_by_one_who_did_not_live_to_tell_is_no_violation(void **state)
{
    struct world w;
    (void)state;
    make(&w);
    struct history_service *service = &w.result[2]->result.service;
    w.swap->swap.generation = service->first_generation = service->reply_generation = 1;
    w.low->kind = HISTORY_SWAPPING;
    w.low->time_ns = 2500;
    w.low->actor = w.swap->actor;
    w.low->swapping = (struct history_swapping){.version = 5};
    assert_string_not_equal(judge(&w).text, "");
    w.low->swapping.anew = true;
    assert_string_equal(judge(&w).text, "");
}

/* A fault counts once it was met; whether it ended well depends on what came after it. */
static void faults_are_told_apart(void **state)
{
    struct world w;
    (void)state;
    make(&w);
    w.probe->kind = HISTORY_STRIKE;
    w.probe->strike = (struct history_strike){0, HISTORY_ALLOCATION, HISTORY_PARTIES, 0};
    w.late->kind = HISTORY_STRIKE;
    w.late->strike = (struct history_strike){1, HISTORY_KILL, HISTORY_CLIENT, 0};
    w.ended->ended.status = -EOWNERDEAD;
    w.last->last.error = 0;
    struct history_verdict verdict = judge(&w);
    assert_string_equal(verdict.text, "");
    assert_int_equal(verdict.strikes, 2);
    assert_int_equal(verdict.outcome[0], HISTORY_NOT_REACHED);
    assert_int_equal(verdict.outcome[1], HISTORY_RECOVERED);
    assert_int_equal(verdict.step[1], 0);
    w.low->kind = HISTORY_HIT;
    w.low->strike.number = 0;
    w.late->time_ns = 3650; /* in step 6 of the swap */
    w.high->kind = HISTORY_SERVED;
    w.high->actor = 101;
    w.high->served = (struct history_served){0, 9, -ENOMEM};
    verdict = judge(&w);
    assert_int_equal(verdict.outcome[0], HISTORY_CLEAN_ERROR);
    assert_int_equal(verdict.step[1], 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_history_breaks_no_promise),
        cmocka_unit_test(each_wrong_history_is_found_out),
        cmocka_unit_test(one_request_in_hand_is_no_violation),
        cmocka_unit_test(a_server_made_by_one_who_did_not_live_to_tell_is_no_violation),
        cmocka_unit_test(faults_are_told_apart),
    };
    return cmocka_run_group_tests(tests, start_checker, end_checker);
}
