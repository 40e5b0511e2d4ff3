/*
 * The segment tree of free runs; what it promises is in runs.h.
 *
 * Nodes lie in preorder: a node over `span` units has its left child, over the first half, right behind it, and its
 * right child behind the 2 * half - 1 nodes of the left. So any count, not only powers of two, needs exactly
 * 2 * count - 1 nodes. Depth is at most 21 for 1 Mi units, 29 for 1 TiB of pages.
 *
 * Invariant: the words of a node are true if none of its ancestors is wholly free or wholly taken.
 */
#include "ica/runs.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

static uint32_t half_of(uint32_t span)
{
    return span / 2;
}
static uint32_t left_of(uint32_t node)
{
    return node + 1;
}
static uint32_t right_of(uint32_t node, uint32_t span)
{
    return node + 2 * half_of(span);
}

int antk_runs_init(struct antk_runs *runs, uint32_t count)
{
    /* Zeroed pages stay untouched until the tree grows into them. */
    struct antk_run_node *nodes = calloc(2 * (size_t)count - 1, sizeof(*nodes));
    if (nodes == NULL)
        return -ENOMEM;
    nodes[0] = (struct antk_run_node){count, count, count};
    *runs = (struct antk_runs){.nodes = nodes, .count = count};
    return 0;
}

void antk_runs_fini(struct antk_runs *runs)
{
    free(runs->nodes);
    runs->nodes = NULL;
}

uint32_t antk_runs_lowest(const struct antk_runs *runs, uint32_t length)
{
    uint32_t node = 0, first = 0, span = runs->count;
    if (runs->nodes[0].best < length)
        return ANTK_NO_RUN;
    while (runs->nodes[node].best < span) {
        uint32_t half = half_of(span);
        const struct antk_run_node *left = &runs->nodes[left_of(node)];
        const struct antk_run_node *right = &runs->nodes[right_of(node, span)];
        if (left->best >= length) {
            node = left_of(node);
            span = half;
        } else if (left->suffix + right->prefix >= length) {
            return first + half - left->suffix;
        } else {
            node = right_of(node, span);
            first += half;
            span -= half;
        }
    }
    return first;
}

uint32_t antk_runs_highest(const struct antk_runs *runs, uint32_t length)
{
    uint32_t node = 0, first = 0, span = runs->count;
    if (runs->nodes[0].best < length)
        return ANTK_NO_RUN;
    while (runs->nodes[node].best < span) {
        uint32_t half = half_of(span);
        const struct antk_run_node *left = &runs->nodes[left_of(node)];
        const struct antk_run_node *right = &runs->nodes[right_of(node, span)];
        if (right->best >= length) {
            node = right_of(node, span);
            first += half;
            span -= half;
        } else if (left->suffix + right->prefix >= length) {
            return first + half + right->prefix - length;
        } else {
            node = left_of(node);
            span = half;
        }
    }
    return first + span - length;
}

static void fill(struct antk_run_node *node, uint32_t span, bool free)
{
    uint32_t units = free ? span : 0;
    *node = (struct antk_run_node){units, units, units};
}

/* Makes the units in [from, to) of the node that covers [first, first + span) free or taken. */
static void mark(struct antk_run_node *nodes, uint32_t node, uint32_t first, uint32_t span,
                 uint32_t from, uint32_t to, bool free)
{
    struct antk_run_node *self = &nodes[node];
    if (from <= first && first + span <= to) {
        fill(self, span, free);
        return;
    }

    uint32_t half = half_of(span), middle = first + half;
    struct antk_run_node *left = &nodes[left_of(node)], *right = &nodes[right_of(node, span)];
    if (self->best == 0 || self->best == span) {
        bool was_free = self->best == span;
        fill(left, half, was_free);
        fill(right, span - half, was_free);
    }
    if (from < middle)
        mark(nodes, left_of(node), first, half, from, to, free);
    if (to > middle)
        mark(nodes, right_of(node, span), middle, span - half, from, to, free);

    uint32_t across = left->suffix + right->prefix;
    uint32_t best = left->best > right->best ? left->best : right->best;
    self->prefix = left->prefix == half ? half + right->prefix : left->prefix;
    self->suffix = right->suffix == span - half ? span - half + left->suffix : right->suffix;
    self->best = across > best ? across : best;
}

static void mark_run(struct antk_runs *runs, uint32_t first, uint32_t length, bool free)
{
    assert(first <= runs->count && length <= runs->count - first);
    if (length > 0)
        mark(runs->nodes, 0, 0, runs->count, first, first + length, free);
}

void antk_runs_take(struct antk_runs *runs, uint32_t first, uint32_t length)
{
    mark_run(runs, first, length, false);
}

void antk_runs_give(struct antk_runs *runs, uint32_t first, uint32_t length)
{
    mark_run(runs, first, length, true);
}
