/* What is in the data areas: a pattern of the client's, which the server writes over, page by page, with its own. */
#include "run.h"

#define WORDS (ANT_PAGE_BYTES / sizeof(uint64_t))

static uint64_t pattern(uint64_t cookie, uint32_t page, bool done)
{
    return plan_mix(cookie * 4 + page * 2 + (done ? 1 : 0));
}

static void write_page(uint64_t *words, uint64_t value)
{
    words[0] = value;
    words[WORDS / 2] = value;
    words[WORDS - 1] = value;
}

void data_fill(void *data, uint32_t pages, uint64_t cookie)
{
    for (uint32_t i = 0; i < pages; i++)
        write_page((uint64_t *)data + i * WORDS, pattern(cookie, i, false));
}

void data_work(void *data, uint32_t pages, uint64_t cookie)
{
    for (uint32_t i = 0; i < pages; i++)
        write_page((uint64_t *)data + i * WORDS, pattern(cookie, i, true));
}

void data_wipe(void *data, uint32_t pages)
{
    for (uint32_t i = 0; i < pages; i++)
        write_page((uint64_t *)data + i * WORDS, 0);
}

static bool holds(const uint64_t *words, uint64_t value)
{
    return words[0] == value && words[WORDS / 2] == value && words[WORDS - 1] == value;
}

void data_look(const void *data, uint32_t pages, uint64_t cookie, struct history_data *seen)
{
    for (uint32_t i = 0; i < pages; i++) {
        const uint64_t *words = (const uint64_t *)data + i * WORDS;
        if (holds(words, pattern(cookie, i, false)))
            seen->same_pages++;
        else if (holds(words, pattern(cookie, i, true)))
            seen->done_pages++;
        else
            seen->foreign_pages++;
    }
}

bool data_clear(const void *data, uint32_t pages)
{
    for (uint32_t i = 0; i < pages; i++)
        if (!holds((const uint64_t *)data + i * WORDS, 0))
            return false;
    return true;
}
