/* A core's configuration. */
#ifndef ANTK_CONFIG_H
#define ANTK_CONFIG_H

#include "core/process.h"

#include <ant/core.h>

/*
 * Fills in every default, the environment's choices first. -EINVAL: a value is not allowed; *wrong is the name of the field, or NULL
 * if it is the environment's, which has been told then.
 */
int antk_config_fill(const struct ant_config *given, struct ant_config *config, const char **wrong);

#endif
