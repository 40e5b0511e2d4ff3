/* The log: lines on stderr, from errors to debug, as config.log or ANT_LOG choose. */
#ifndef ANTK_LOG_H
#define ANTK_LOG_H

#include <ant/core.h>

struct antk_log {
    enum ant_log_level level; /* never DEFAULT */
};

/* One line, "ant: " before it; written at once, so that lines of several threads do not mix. */
void antk_log(const struct antk_log *log, enum ant_log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
