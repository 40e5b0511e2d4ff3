/* What tests use that does not lie in their own program. */
#ifndef ELSEWHERE_H
#define ELSEWHERE_H

#include <ant/ant.h>

int elsewhere_transform(struct ant_server *self, const void *old, size_t old_bytes, void **state);

#endif
