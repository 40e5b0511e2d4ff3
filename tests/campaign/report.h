/* What a campaign prints. */
#ifndef REPORT_H
#define REPORT_H

#include "worker.h"

/* blamed: violations by kind of fault. */
void report_print(const struct totals *t, const uint64_t *blamed, double wall_s);

#endif
