/* Cost profiles by name or from a file: `none`, `ant-paper`, or JSON as docs/evaluation.md describes it. */
#ifndef PAPER_PROFILE_H
#define PAPER_PROFILE_H

#include <ant/costs.h>

#include <stddef.h>

#define PAPER_PROFILE_NAME_BYTES 64

/*
 * Finds a profile. name: of a built-in one, or the path of a file (a built-in name comes first; ./ant-paper is a file).
 *
 * own_name: gets what the profile calls itself. costs: filled. error: gets a sentence, naming the file and the place in it, if the
 * profile cannot be had.
 * Returns 0, or -EINVAL.
 */
int paper_profile_find(const char *name, char own_name[PAPER_PROFILE_NAME_BYTES], struct ant_costs *costs,
                       char *error, size_t error_bytes);

#endif
