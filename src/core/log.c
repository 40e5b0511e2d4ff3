/* The log: see log.h. */
#include "core/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

void antk_log(const struct antk_log *log, enum ant_log_level level, const char *format, ...)
{
    if (level > log->level)
        return;
    char line[640] = "ant: ";
    va_list arguments;
    va_start(arguments, format);
    /* clang-tidy 14 does not see va_start. NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized) */
    int length = vsnprintf(line + 5, sizeof line - 6, format, arguments);
    va_end(arguments);
    if (length < 0)
        return;
    size_t bytes = (size_t)length < sizeof line - 7 ? (size_t)length + 5 : sizeof line - 2;
    line[bytes++] = '\n';
    ssize_t written = write(STDERR_FILENO, line, bytes);
    (void)written; /* nobody to tell */
}
