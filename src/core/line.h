/* Lines that signal handlers write: put together without stdio, written at once. What does not fit is cut. */
#ifndef ANTK_LINE_H
#define ANTK_LINE_H

#include <stddef.h>

struct antk_endpoint;

struct antk_line {
    char text[400];
    size_t length; /* 0 at first */
};

void antk_line_add(struct antk_line *line, const char *text);
void antk_line_add_number(struct antk_line *line, unsigned long long number, unsigned base);
void antk_line_add_address(struct antk_line *line, const void *address);
/* "process 5 (store)" */
void antk_line_add_process(struct antk_line *line, const struct antk_endpoint *process);
void antk_line_write(const struct antk_line *line);

#endif
