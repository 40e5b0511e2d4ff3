/*
 * The segment tree of free runs; what it promises is in runs.h.
 *
 * Nodes lie in preorder: a node over `span` units has its left child, over the first half of its words, right behind it,
 * and its right child behind the nodes of the left, of which there are one less than twice its words. So any count, not only
 * powers of two, needs exactly one node less than twice its words. A leaf covers one word; the last one perhaps not all of
 * it. Depth is at most 15 for 1 Mi units, 23 for 1 TiB of pages.
 *
 * Invariant: what a node, or a leaf's word, says is true if none of its ancestors (for the word: nor the leaf) is wholly
 * free or wholly taken.
 */
#include "ica/runs.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#define WORD 64u

static uint32_t words_of(uint32_t span)
{
    return (span + WORD - 1) / WORD;
}
static uint32_t half_of(uint32_t span)
{
    return words_of(span) / 2 * WORD;
}
static uint32_t left_of(uint32_t node)
{
    return node + 1;
}
static uint32_t right_of(uint32_t node, uint32_t span)
{
    return node + 2 * (half_of(span) / WORD);
}

/* --- Runs of ones in a word --- */

/* The lowest so many bits; length: 1 to 64. */
static uint64_t ones(uint32_t length)
{
    return ~UINT64_C(0) >> (WORD - length);
}

/* Where so many ones begin; length: 1 to 64. */
static uint64_t starts_of(uint64_t word, uint32_t length)
{
    for (uint32_t known = 1, more; known < length; known += more) {
        more = known < length - known ? known : length - known;
        word &= word >> more;
    }
    return word;
}

/* How many ones follow each other at most, in a word that is not all ones. */
static uint32_t longest_of(uint64_t word)
{
    uint64_t of_power[6] = {word}; /* where runs of 1, 2, 4 ... 32 begin */
    for (uint32_t i = 1; i < 6; i++)
        of_power[i] = of_power[i - 1] & of_power[i - 1] >> (1u << (i - 1));
    uint64_t starts = ~UINT64_C(0);
    uint32_t length = 0;
    for (uint32_t i = 6; i-- > 0;) { /* where a run of length begins, does one of 2 to the i follow it? */
        uint64_t longer = starts & of_power[i] >> length;
        if (longer != 0) {
            starts = longer;
            length += 1u << i;
        }
    }
    return length;
}

/* --- The tree --- */

static void fill(struct antk_run_node *node, uint32_t span, bool free)
{
    uint32_t units = free ? span : 0;
    *node = (struct antk_run_node){units, units, units};
}

int antk_runs_init(struct antk_runs *runs, uint32_t count)
{
    /* Zeroed pages stay untouched until the tree grows into them. */
    uint32_t words = words_of(count);
    *runs = (struct antk_runs){
        .nodes = calloc(2 * (size_t)words - 1, sizeof(*runs->nodes)),
        .words = calloc(words, sizeof(*runs->words)),
        .count = count,
    };
    if (runs->nodes == NULL || runs->words == NULL) {
        antk_runs_fini(runs);
        return -ENOMEM;
    }
    fill(runs->nodes, count, true);
    return 0;
}

void antk_runs_fini(struct antk_runs *runs)
{
    free(runs->nodes);
    free(runs->words);
    *runs = (struct antk_runs){0};
}

uint32_t antk_runs_lowest(const struct antk_runs *runs, uint32_t length)
{
    uint32_t node = 0, first = 0, span = runs->count;
    if (runs->nodes[0].best < length)
        return ANTK_NO_RUN;
    while (runs->nodes[node].best < span) {
        if (span <= WORD)
            return first + (uint32_t)__builtin_ctzll(starts_of(runs->words[first / WORD], length));
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
        if (span <= WORD)
            return first + WORD - 1 -
                   (uint32_t)__builtin_clzll(starts_of(runs->words[first / WORD], length));
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

/* The same as mark for a leaf that is to become mixed, or was: count units from this one of the leaf's on. */
static void mark_word(struct antk_run_node *leaf, uint64_t *word, uint32_t span, uint32_t unit,
                      uint32_t count, bool free)
{
    uint64_t bits = ones(count) << unit;
    if (leaf->best == 0 || leaf->best == span)
        *word = leaf->best == 0 ? 0 : ones(span);
    *word = free ? *word | bits : *word & ~bits;
    if (*word == 0 || *word == ones(span)) {
        fill(leaf, span, free);
        return;
    }
    leaf->prefix = (uint32_t)__builtin_ctzll(~*word);
    leaf->suffix = (uint32_t)__builtin_clzll(~(*word << (WORD - span)));
    leaf->best = longest_of(*word);
}

/* Makes the units in [from, to) of the node that covers [first, first + span) free or taken. */
static void mark(struct antk_runs *runs, uint32_t node, uint32_t first, uint32_t span,
                 uint32_t from, uint32_t to, bool free)
{
    struct antk_run_node *nodes = runs->nodes, *self = &nodes[node];
    if (from <= first && first + span <= to) {
        fill(self, span, free);
        return;
    }
    if (span <= WORD) {
        uint32_t low = from > first ? from - first : 0;
        uint32_t high = to < first + span ? to - first : span;
        mark_word(self, &runs->words[first / WORD], span, low, high - low, free);
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
        mark(runs, left_of(node), first, half, from, to, free);
    if (to > middle)
        mark(runs, right_of(node, span), middle, span - half, from, to, free);

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
        mark(runs, 0, 0, runs->count, first, first + length, free);
}

void antk_runs_take(struct antk_runs *runs, uint32_t first, uint32_t length)
{
    mark_run(runs, first, length, false);
}

void antk_runs_give(struct antk_runs *runs, uint32_t first, uint32_t length)
{
    mark_run(runs, first, length, true);
}
