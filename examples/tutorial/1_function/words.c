/*
 * Step 1: an ordinary program. It answers each line with how many words there are in it, and how many there have been in all.
 *
 * ctest: no-core
 */
#include "loop.h"

static unsigned long lines, words;

static unsigned words_in(const char *text)
{
    unsigned count = 0;
    for (const char *at = text; *at; at++)
        count += *at != ' ' && (at == text || at[-1] == ' ');
    return count;
}

static void answer(char *text, size_t bytes)
{
    unsigned count = words_in(text);
    lines++;
    words += count;
    snprintf(text, bytes, "words: %u, in all %lu in %lu lines", count, words, lines);
}

int main(void)
{
    struct lines input = {.bytes = 0};
    char line[LINE_BYTES];
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    loop_add(epoll, STDIN_FILENO);
    setvbuf(stdout, NULL, _IOLBF, 0);

    while (loop_next(epoll) == STDIN_FILENO && lines_read(&input, STDIN_FILENO)) {
        while (lines_next(&input, line)) {
            answer(line, sizeof line);
            puts(line);
        }
    }
    return EXIT_SUCCESS;
}
