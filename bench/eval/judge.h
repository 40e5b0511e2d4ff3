/* How near a measured value has to come to the one that the paper states. */
#ifndef EVAL_JUDGE_H
#define EVAL_JUDGE_H

#include "stated.h"

/* The value that is judged: the extreme of all runs where there are more than the paper's, else the paper's. */
double judge_value(const struct stated *stated);

/* Fills in verdict and why. last_digit_ms: of the number that the paper states. point: NULL if it was not run. */
void judge(struct stated *stated, double last_digit_ms, const struct point *point, const struct options *options);

/* By how much a value may differ on the real clock, whatever the swaps. */
double judge_tolerance_ms(double stated_ms, const struct result *result);

#endif
