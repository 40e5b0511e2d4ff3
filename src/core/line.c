/* Lines: see line.h. */
#include "core/line.h"
#include "core/core.h"

#include <string.h>
#include <unistd.h>

void antk_line_add(struct antk_line *line, const char *text)
{
    size_t length = strlen(text), room = sizeof line->text - line->length;
    if (length > room)
        length = room;
    memcpy(line->text + line->length, text, length);
    line->length += length;
}

void antk_line_add_number(struct antk_line *line, unsigned long long number, unsigned base)
{
    char digits[24];
    size_t at = sizeof digits;
    digits[--at] = 0;
    do {
        digits[--at] = "0123456789abcdef"[number % base];
        number /= base;
    } while (number);
    antk_line_add(line, digits + at);
}

void antk_line_add_address(struct antk_line *line, const void *address)
{
    antk_line_add(line, "0x");
    antk_line_add_number(line, (unsigned long long)(uintptr_t)address, 16);
}

void antk_line_add_process(struct antk_line *line, const struct antk_endpoint *process)
{
    antk_line_add(line, "process ");
    antk_line_add_number(line, process->index, 10);
    antk_line_add(line, " (");
    antk_line_add(line, process->name);
    antk_line_add(line, ")");
}

void antk_line_write(const struct antk_line *line)
{
    ssize_t written = write(STDERR_FILENO, line->text, line->length);
    (void)written; /* nobody to tell */
}
