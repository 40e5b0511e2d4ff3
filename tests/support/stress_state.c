/*
 * The state of the model's server, in two layouts that have nothing in common but what they mean. A layout knows itself
 * by its magic number, which lies in another place in each.
 */
#include "stress_inside.h"

#include <errno.h>

#define LAYOUT_ONE_MAGIC UINT64_C(0x1111aaaa1111aaaa)
#define LAYOUT_TWO_MAGIC UINT64_C(0x2222bbbb2222bbbb)

struct layout_one {
    uint64_t magic;
    void *annex; /* another area of the server's; the pointer stays valid through every swap */
    uint64_t tickets;
    uint64_t served[MODEL_FUNCTIONS];
    uint64_t last[MODEL_CLIENTS_MAX][MODEL_FUNCTIONS];
    struct kept kept[KEPT_MAX];
};

struct layout_two {
    uint64_t kept_ticket[KEPT_MAX];
    uint64_t kept_cookie[KEPT_MAX];
    struct ant_request *kept_rq[KEPT_MAX];
    uint64_t last[MODEL_FUNCTIONS][MODEL_CLIENTS_MAX];
    uint32_t served_low[MODEL_FUNCTIONS], served_high[MODEL_FUNCTIONS];
    uint64_t tickets;
    void *annex;
    uint64_t magic;
};

size_t layout_bytes(uint32_t layout)
{
    return layout == 1 ? sizeof(struct layout_one) : sizeof(struct layout_two);
}

size_t pages_of(size_t bytes)
{
    return (bytes + ANT_PAGE_BYTES - 1) / ANT_PAGE_BYTES;
}

bool layout_is(uint32_t layout, const void *state)
{
    return state != NULL && (layout == 1 ? ((const struct layout_one *)state)->magic == LAYOUT_ONE_MAGIC
                             : layout == 2 ? ((const struct layout_two *)state)->magic == LAYOUT_TWO_MAGIC
                                           : false);
}

uint64_t *last_at(uint32_t layout, void *state, uint32_t client, uint32_t function)
{
    return layout == 1 ? &((struct layout_one *)state)->last[client][function]
                       : &((struct layout_two *)state)->last[function][client];
}

uint64_t *tickets_at(uint32_t layout, void *state)
{
    return layout == 1 ? &((struct layout_one *)state)->tickets : &((struct layout_two *)state)->tickets;
}

void *annex_at(uint32_t layout, const void *state)
{
    return layout == 1 ? ((const struct layout_one *)state)->annex
                       : ((const struct layout_two *)state)->annex;
}

uint64_t served_at(uint32_t layout, const void *state, uint32_t function)
{
    const struct layout_two *two = state;

    return layout == 1 ? ((const struct layout_one *)state)->served[function]
                       : two->served_low[function] | (uint64_t)two->served_high[function] << 32;
}

void served_set(uint32_t layout, void *state, uint32_t function, uint64_t served)
{
    if (layout == 1) {
        ((struct layout_one *)state)->served[function] = served;
    } else {
        struct layout_two *two = state;
        two->served_low[function] = (uint32_t)served;
        two->served_high[function] = (uint32_t)(served >> 32);
    }
}

struct kept kept_at(uint32_t layout, const void *state, uint32_t slot)
{
    const struct layout_two *two = state;

    return layout == 1
               ? ((const struct layout_one *)state)->kept[slot]
               : (struct kept){two->kept_rq[slot], two->kept_cookie[slot], two->kept_ticket[slot]};
}

void kept_set(uint32_t layout, void *state, uint32_t slot, struct kept kept)
{
    if (layout == 1) {
        ((struct layout_one *)state)->kept[slot] = kept;
    } else {
        struct layout_two *two = state;
        two->kept_rq[slot] = kept.rq;
        two->kept_cookie[slot] = kept.cookie;
        two->kept_ticket[slot] = kept.ticket;
    }
}

uint32_t kept_count(uint32_t layout, const void *state)
{
    uint32_t count = 0;

    for (uint32_t slot = 0; slot < KEPT_MAX; slot++) {
        count += kept_at(layout, state, slot).rq != NULL;
    }
    return count;
}

void layout_begin(uint32_t layout, void *state, void *annex)
{
    memset(state, 0, layout_bytes(layout));
    if (layout == 1) {
        ((struct layout_one *)state)->annex = annex;
        ((struct layout_one *)state)->magic = LAYOUT_ONE_MAGIC;
    } else {
        ((struct layout_two *)state)->annex = annex;
        ((struct layout_two *)state)->magic = LAYOUT_TWO_MAGIC;
    }
}

int layout_convert(uint32_t from, uint32_t to, const void *old_state, size_t old_bytes, void **new_state)
{
    if (!STRESS_CHECK(layout_is(from, old_state),
                      "the transformer was given a state that is not of layout %u", from) ||
        !STRESS_CHECK(old_bytes == pages_of(layout_bytes(from)) * ANT_PAGE_BYTES,
                      "old state of %zu bytes", old_bytes)) {
        return -EINVAL;
    }
    void *state;
    int error = ant_ica_alloc(pages_of(layout_bytes(to)), &state);
    if (error != 0) {
        return error;
    }
    layout_begin(to, state, annex_at(from, old_state));
    *tickets_at(to, state) = from == 1 ? ((const struct layout_one *)old_state)->tickets
                                       : ((const struct layout_two *)old_state)->tickets;
    for (uint32_t f = 0; f < MODEL_FUNCTIONS; f++) {
        served_set(to, state, f, served_at(from, old_state, f));
        for (uint32_t c = 0; c < MODEL_CLIENTS_MAX; c++) {
            *last_at(to, state, c, f) = from == 1
                                            ? ((const struct layout_one *)old_state)->last[c][f]
                                            : ((const struct layout_two *)old_state)->last[f][c];
        }
    }
    for (uint32_t slot = 0; slot < KEPT_MAX; slot++) {
        kept_set(to, state, slot, kept_at(from, old_state, slot));
    }
    *new_state = state;
    return 0;
}
