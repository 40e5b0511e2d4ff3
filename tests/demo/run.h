/*
 * A program run as a user runs it, but without a shell: its exit status, and stdout and stderr apart.
 *
 * PROGRAM, which CMake defines, is the path of the one that the test is about.
 */
#ifndef RUN_H
#define RUN_H

#include "fixture.h"

#include <jansson.h>
#include <math.h>

struct run {
    int status;      /* its exit status; -1: a signal ended it */
    char *out, *err; /* what it wrote, ended by a 0 */
};

/* arguments: the program's path first, NULL last. out: the file that is its stdout; NULL: run keeps what it writes. */
void run_program(struct run *run, const char *out, const char *const *arguments);
#define RUN(run, ...) run_program(run, NULL, (const char *const[]){PROGRAM, __VA_ARGS__, NULL})
void run_fini(struct run *run);

/* It ended with this status, said why on stderr, and wrote nothing to stdout. Ends the run. */
void assert_refused(struct run *run, int status);

/* Its stdout is one JSON object and nothing else. The caller owns a reference. */
json_t *one_object(const struct run *run);

/* The object has the members of a json_unpack format, of these types, and no other. */
#define assert_unpacks(object, ...)                                         \
    do {                                                                    \
        json_error_t error_;                                                \
        if (json_unpack_ex(object, &error_, JSON_STRICT, __VA_ARGS__) != 0) \
            fail_msg("%s", error_.text);                                    \
    } while (0)

/* All bytes of a file, ended by a 0; the caller frees them. Closes it. bytes may be NULL. */
char *contents(FILE *file, size_t *bytes);

#endif
