/* A program that runs beside this one: its standard output is read through a pipe, its standard error kept. */
#ifndef EVAL_CHILD_H
#define EVAL_CHILD_H

#include <stddef.h>
#include <sys/types.h>

struct child {
    pid_t pid;
    int fd;  /* the pipe; may be waited for with poll */
    int err; /* what it wrote to standard error */
    char *text;
    size_t bytes, room;
};

/*
 * Starts it, with signals as a shell would set them. arguments: its path first, NULL last. cpu: the only one it may use; -1: all that
 * this process may. Returns 0, or a negative errno value.
 */
int child_start(struct child *child, char *const *arguments, int cpu);

/*
 * Reads what has come; blocks if nothing has. Returns 0: there may be more. 1: it has ended; child->text is all of it, ended by
 * a 0 and the caller's to free, status what waitpid says. Else a negative errno value; the child is to be stopped then.
 */
int child_read(struct child *child, int *status);

/* Writes to our standard error what it wrote to its own. */
void child_complain(const struct child *child);

/* Ends it, and forgets what it wrote. */
void child_stop(struct child *child);

/* Runs it to its end in a folder, standard output where out says (NULL: as ours). Returns its exit status, or a negative errno value. */
int child_run(const char *folder, char *const *arguments, const char *out);

#endif
