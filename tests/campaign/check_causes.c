/*
 * Promise 7, from the other side: an error that nobody caused is one too many. And what came of each fault: whether, until the
 * next one, something ended in an error, and at which step of a swap it struck.
 */
#include "check.h"

struct causes {
    bool struck[HISTORY_FAULTS];
    bool forced; /* a swap was told to end its old server */
    bool client_struck[HISTORY_CLIENTS][HISTORY_FAULTS];
};

static bool any(const struct causes *k, uint32_t faults)
{
    for (uint32_t f = 0; f < HISTORY_FAULTS; f++)
        if (k->struck[f] && (faults >> f & 1))
            return true;
    return false;
}

#define BIT(fault) (1u << (fault))
#define DEATHS (BIT(HISTORY_EXIT) | BIT(HISTORY_CRASH) | BIT(HISTORY_HANG) | BIT(HISTORY_KILL))
#define HOST                                                                                       \
    (BIT(HISTORY_ALLOCATION) | BIT(HISTORY_MAPPING) | BIT(HISTORY_MOVE) | BIT(HISTORY_POOL))

static bool explained(struct check *c, const struct causes *k, int error)
{
    switch (-error) {
    case 0:
    case ETIMEDOUT:
        return true;
    case ENOMEM:
        return c->begin->small || any(k, HOST);
    case EAGAIN:
        return c->begin->limited || any(k, BIT(HISTORY_THREAD));
    case ESRCH:
        return any(k, BIT(HISTORY_STOP) | BIT(HISTORY_EXIT));
    case EOWNERDEAD:
        return k->forced || any(k, DEATHS);
    case ESHUTDOWN:
        return any(k, BIT(HISTORY_STOP));
    default:
        return false;
    }
}

static bool swap_explained(struct check *c, const struct causes *k, const struct history_swap *s)
{
    switch (-s->error) {
    case EBUSY:
    case ENOTSUP:
        return true;
    case EIO:
    case EINVAL:
        return any(k, BIT(HISTORY_START_ERROR) | BIT(HISTORY_TRANSFORM_ERROR));
    case ECANCELED:
        return any(k, BIT(HISTORY_CANCEL));
    case EINTR:
        return s->returned == 1 && any(k, DEATHS);
    default:
        return explained(c, k, s->error);
    }
}

static void check_client_end(struct check *c, const struct causes *k, const struct history_record *r)
{
    const bool *struck = k->client_struck[r->actor % HISTORY_CLIENTS];
    bool known = r->ended.status == 0 ||
                 (r->ended.status == -EOWNERDEAD && (struck[HISTORY_KILL] || struck[HISTORY_CRASH])) ||
                 (r->ended.status == -ESHUTDOWN && struck[HISTORY_STOP]) ||
                 (r->ended.status == 7 && struck[HISTORY_EXIT]);
    if (!known)
        check_violation(c, 7, "client %u has ended with %d, and nothing had been done to it",
                        r->actor, r->ended.status);
}

void check_causes(struct check *c)
{
    struct causes k;
    memset(&k, 0, sizeof k);
    for (uint32_t i = 0; i < c->count; i++) {
        const struct history_record *r = c->records[i];
        switch ((enum history_kind)r->kind) {
        case HISTORY_STRIKE:
            if (r->strike.fault < HISTORY_FAULTS) {
                k.struck[r->strike.fault] = true;
                if (r->strike.party == HISTORY_CLIENT)
                    k.client_struck[r->strike.victim % HISTORY_CLIENTS][r->strike.fault] = true;
            }
            break;
        case HISTORY_SWAPPING:
            k.forced = k.forced || r->swapping.force;
            break;
        case HISTORY_REFUSED:
            if (r->refused.error == -ETIMEDOUT || !explained(c, &k, r->refused.error))
                check_violation(c, 7, "request %u of client %u was refused without a cause: %d",
                                r->refused.number, r->actor, r->refused.error);
            break;
        case HISTORY_WITHDRAWN:
            if (!explained(c, &k, r->refused.error))
                check_violation(c, 7, "request %u of client %u was withdrawn: %d",
                                r->refused.number, r->actor, r->refused.error);
            break;
        case HISTORY_RESULT:
            if (r->result.error == -ETIMEDOUT || !explained(c, &k, r->result.error) ||
                r->result.status < 0)
                check_violation(c, 7, "request %u of client %u failed without a cause: %d, status %d",
                                r->result.number, r->actor, r->result.error, r->result.status);
            break;
        case HISTORY_SWAP:
            if (!swap_explained(c, &k, &r->swap))
                check_violation(c, 7, "the swap to version %u failed without a cause: %d",
                                r->swap.version, r->swap.error);
            break;
        case HISTORY_ENDED:
            if (r->ended.party == HISTORY_CLIENT)
                check_client_end(c, &k, r);
            break;
        default:
            break;
        }
    }
}

/* ---- what came of them ---- */

static bool is_error(const struct history_record *r)
{
    switch ((enum history_kind)r->kind) {
    case HISTORY_REFUSED:
    case HISTORY_WITHDRAWN:
        return r->refused.error != 0;
    case HISTORY_RESULT:
        return r->result.error != 0 || r->result.status != 0;
    case HISTORY_SWAP:
        return r->swap.error != 0;
    case HISTORY_SERVED:
        return r->served.error != 0;
    case HISTORY_LAST:
        return r->last.error != 0 || r->last.status != 0;
    default:
        return false;
    }
}

/* The step that a swap was at; 0: none was going on. One of the victim's own function is looked for first. */
static uint8_t step_at(struct check *c, uint64_t time_ns, uint32_t function)
{
    uint8_t found = 0;
    for (uint32_t i = 0; i < c->count; i++) {
        const struct history_swap *s = &c->records[i]->swap;
        if (c->records[i]->kind != HISTORY_SWAP || s->step_time_ns[1] == 0 ||
            s->step_time_ns[1] > time_ns || c->records[i]->time_ns < time_ns ||
            (found != 0 && c->records[i]->actor != function))
            continue;
        for (uint8_t step = 1; step <= 12; step++)
            if (s->step_time_ns[step] != 0 && s->step_time_ns[step] <= time_ns)
                found = step;
    }
    return found;
}

static bool lies_in_wait(uint32_t fault)
{
    return fault == HISTORY_ALLOCATION || fault == HISTORY_MAPPING || fault == HISTORY_MOVE ||
           fault == HISTORY_THREAD;
}

static void learn_strike(struct check *c, const struct history_record *r)
{
    struct history_verdict *v = &c->verdict;
    const struct history_strike *s = &r->strike;
    if (s->number != v->strikes || s->number >= HISTORY_STRIKES || s->fault > HISTORY_FAULTS ||
        s->party > HISTORY_PARTIES) {
        check_violation(c, 0, "a strike is out of turn");
        return;
    }
    uint32_t function = s->party == HISTORY_CLIENT ? 0 : s->victim + CHECK_FUNCTION_FIRST;
    v->fault[s->number] = (uint8_t)s->fault;
    v->party[s->number] = (uint8_t)s->party;
    v->step[s->number] = s->party == HISTORY_PARTIES ? 0 : step_at(c, r->time_ns, function);
    v->outcome[s->number] = lies_in_wait(s->fault) || s->fault == HISTORY_FAULTS ? HISTORY_NOT_REACHED
                                                                                 : HISTORY_RECOVERED;
    v->strikes++;
}

void check_outcomes(struct check *c)
{
    struct history_verdict *v = &c->verdict;
    uint32_t latest = HISTORY_STRIKES;
    for (uint32_t i = 0; i < c->count; i++) {
        const struct history_record *r = c->records[i];
        if (r->kind == HISTORY_STRIKE) {
            learn_strike(c, r);
            if (!lies_in_wait(r->strike.fault) && r->strike.fault < HISTORY_FAULTS)
                latest = r->strike.number;
        } else if (r->kind == HISTORY_HIT && r->strike.number < v->strikes) {
            latest = r->strike.number;
            v->outcome[latest] = HISTORY_RECOVERED;
        } else if (latest < HISTORY_STRIKES && is_error(r)) {
            v->outcome[latest] = HISTORY_CLEAN_ERROR;
        }
    }
}
