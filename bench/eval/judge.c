/*
 * The verdicts.
 *
 * The virtual clock is exact, so it is judged to the microsecond. On the real clock calls and wake-ups take time, every WAIT is
 * late by some of it, and 50 swaps at random come near a supremum, seldom to it.
 */
#include "judge.h"

#include <math.h>

static const double exact_ms = 0.001;
static const double calls_ms =
    0.3; /* real clock: the calls and wake-ups on the way, which take none in the model */
static const double waits_share =
    0.01; /* ... and how much later, as a share of the time, the WAITs in it may end */
static const double short_of_ms =
    7; /* how far 50 random swaps stay from a supremum, at most, of 40 seeds on the virtual clock (E = 1, R = 20, n = 5) */

double judge_value(const struct stated *stated)
{
    return isnan(stated->extreme_ms) ? stated->measured_ms : stated->extreme_ms;
}

double judge_tolerance_ms(double stated_ms, const struct result *result)
{
    double jitter_ms = isnan(result->jitter_max_us) ? 0 : result->jitter_max_us / 1000;
    return calls_ms + waits_share * stated_ms + jitter_ms;
}

/* How far a value of the real clock may lie on either side. */
static bool is_within(enum relation relation, double difference_ms, double tolerance_ms)
{
    double below_ms = tolerance_ms + (relation == RELATION_MOST ? short_of_ms : 0);
    double above_ms = tolerance_ms + (relation == RELATION_LEAST ? short_of_ms : 0);
    return -below_ms <= difference_ms && difference_ms <= above_ms;
}

static enum verdict verdict_of(const struct stated *it, double last_digit_ms,
                               const struct point *point, bool real)
{
    double difference_ms = judge_value(it) - it->stated_ms;
    double tolerance_ms = real ? judge_tolerance_ms(it->stated_ms, &point->runs[RUN_PAPER]) : exact_ms;
    enum relation relation = it->statement->relation;

    if (relation == RELATION_GROWS) {
        return difference_ms > 0 ? VERDICT_HOLDS : VERDICT_DIFFERS;
    }
    if (relation == RELATION_EXCEEDS) {
        return difference_ms > tolerance_ms ? VERDICT_HOLDS : VERDICT_DIFFERS;
    }
    if (fabs(difference_ms) <= exact_ms) {
        return VERDICT_EQUAL;
    }
    if (fabs(difference_ms) <= last_digit_ms / 2) {
        return VERDICT_ROUNDS;
    }
    return real && is_within(relation, difference_ms, tolerance_ms) ? VERDICT_WITHIN : VERDICT_DIFFERS;
}

static const char *why_of(const struct stated *it, const struct options *options)
{
    enum relation relation = it->statement->relation;
    double difference_ms = judge_value(it) - it->stated_ms;

    if (it->verdict != VERDICT_WITHIN && it->verdict != VERDICT_DIFFERS) {
        return NULL;
    }
    if (!options_are_the_papers(options)) {
        return "this is a trial, with other numbers of swaps or requests than the paper's";
    }
    if (!options->real) {
        return "it should not: the virtual clock is exact";
    }
    if (it->exec_ms == 15 || it->result_ms == 15) {
        return "15 ms of work beside a WAIT of 15 ms: some microseconds of jitter decide which of them ends first";
    }
    if (relation == RELATION_MOST && difference_ms < 0) {
        return "50 random swaps seldom hit a supremum";
    }
    if (relation == RELATION_LEAST && difference_ms > 0) {
        return "50 random swaps may all have met a busy server";
    }
    if (relation == RELATION_GROWS) {
        return "the mean and median of 50 random swaps vary";
    }
    return "calls, wake-ups and the end of each WAIT take time that the model does not have; or the processor was taken away (see jitter)";
}

void judge(struct stated *stated, double last_digit_ms, const struct point *point,
           const struct options *options)
{
    bool missing = point == NULL || isnan(judge_value(stated)) || isnan(stated->stated_ms);
    stated->verdict =
        missing ? VERDICT_NOT_RUN : verdict_of(stated, last_digit_ms, point, options->real);
    stated->why = missing ? NULL : why_of(stated, options);
}

bool stated_is_met(const struct stated *stated)
{
    return stated->verdict != VERDICT_NOT_RUN && stated->verdict != VERDICT_DIFFERS;
}

const char *stated_verdict_name(enum verdict verdict)
{
    static const char *const names[] = {
        [VERDICT_NOT_RUN] = "not run", [VERDICT_EQUAL] = "equal", [VERDICT_ROUNDS] = "rounds to it",
        [VERDICT_WITHIN] = "within",   [VERDICT_HOLDS] = "holds", [VERDICT_DIFFERS] = "differs",
    };
    return names[verdict];
}

const char *stated_relation_name(enum relation relation)
{
    static const char *const names[] = {
        [RELATION_EQUALS] = "equals",          [RELATION_LEAST] = "infimum",
        [RELATION_MOST] = "supremum",          [RELATION_EXCEEDS] = "more than",
        [RELATION_GROWS] = "more than before",
    };
    return names[relation];
}
