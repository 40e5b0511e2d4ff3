/*
 * Values of options of the programs in bench/ and examples/: text that is taken as what it says to the last digit, or else ends the program by
 * argp_error, in a sentence that names the option and says what is allowed.
 */
#ifndef ANT_TOOLS_OPTION_H
#define ANT_TOOLS_OPTION_H

#include <argp.h>
#include <stdint.h>

/*
 * Reads a decimal fraction with up to `places` digits behind the point, and the character `end` after it (0: that of the string).
 * value: gets it in units of the last place. Returns what follows; NULL: it is none, or more than most, which is in the same units.
 */
const char *option_decimal(const char *text, int places, uint64_t most, char end, uint64_t *value);
/* A whole number from least to most, in digits. */
uint64_t option_number(struct argp_state *state, const char *option, const char *text, uint64_t least, uint64_t most);
/* Where text is among names, which NULL ends. */
int option_choice(struct argp_state *state, const char *option, const char *text, const char *const *names);

#endif
