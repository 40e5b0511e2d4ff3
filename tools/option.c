/* Values of options: see option.h. */
#include "option.h"

#include <stdio.h>
#include <string.h>

enum { MAX_TEXT_BYTES = 256 };

/* Appends the digits at *text to *value, at most `limit` of them, while it stays within most. Returns how many there were, -1: too much. */
static int digits(const char **text, int limit, uint64_t most, uint64_t *value)
{
    int count = 0;

    for (; **text >= '0' && **text <= '9'; (*text)++, count++) {
        uint64_t digit = (uint64_t)(**text - '0');
        if (count == limit || *value > (most - digit) / 10) {
            return -1;
        }
        *value = *value * 10 + digit;
    }
    return count;
}

const char *option_decimal(const char *text, int places, uint64_t most, char end, uint64_t *value)
{
    int behind = 0;

    *value = 0;
    if (digits(&text, INT32_MAX, most, value) < 1) {
        return NULL;
    }
    if (places > 0 && *text == '.') {
        text++;
        behind = digits(&text, places, most, value);
        if (behind < 1) {
            return NULL;
        }
    }
    for (; behind < places; behind++) {
        *value *= 10;
    }
    return *value <= most && *text == end ? text + 1 : NULL;
}

uint64_t option_number(struct argp_state *state, const char *option, const char *text,
                       uint64_t least, uint64_t most)
{
    uint64_t value;

    if (option_decimal(text, 0, most, '\0', &value) == NULL || value < least) {
        argp_error(state, "%s: '%s' is no whole number from %llu to %llu", option, text,
                   (unsigned long long)least, (unsigned long long)most);
    }
    return value;
}

int option_choice(struct argp_state *state, const char *option, const char *text, const char *const *names)
{
    char allowed[MAX_TEXT_BYTES] = "";
    size_t length = 0;

    for (int i = 0; names[i] != NULL; i++) {
        if (strcmp(text, names[i]) == 0) {
            return i;
        }
        length += (size_t)snprintf(allowed + length, sizeof allowed - length, "%s%s",
                                   i > 0 ? ", " : "", names[i]);
    }
    argp_error(state, "%s: there is no '%s', only %s", option, text, allowed);
    return 0;
}
