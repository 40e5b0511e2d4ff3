/* The table's rows, in order: what is measured, in a file for each family. */
#include "group.h"

extern const struct group group_calls_flat, group_calls_equal, group_direct_equal,
    group_direct_boost, group_calls_strict, group_calls_busy, group_calls_mremap, group_async,
    group_alloc_flat, group_alloc_strict, group_swap, group_swap_warm, group_crowd, group_cross,
    group_pairs, group_memory;

const struct group *const groups[] = {
    &group_calls_flat,
    &group_calls_equal,
    &group_direct_equal,
    &group_direct_boost,
    &group_calls_strict,
    &group_calls_busy,
    &group_calls_mremap,
    &group_async,
    &group_alloc_flat,
    &group_alloc_strict,
    &group_swap,
    &group_swap_warm,
    &group_crowd,
    &group_cross,
    &group_pairs,
    &group_memory,
    NULL,
};
