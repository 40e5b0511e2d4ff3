/* A core's configuration. */
#ifndef ANTK_CONFIG_H
#define ANTK_CONFIG_H

#include "core/process.h"

#include <ant/core.h>

/* Fills in every default, the environment's choices first. -EINVAL: a value is not allowed. */
int antk_config_fill(const struct ant_config *given, struct ant_config *config);

#endif
