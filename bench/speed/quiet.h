/*
 * Is the machine quiet? What runs on both CPUs at once leaves no room for anybody else, so a thread of another program that wants a
 * processor shows in its figures, even below real-time threads. The figures stay; but they come with the word.
 */
#ifndef SPEED_QUIET_H
#define SPEED_QUIET_H

struct quiet {
    unsigned looks, disturbed;
};

/* Lets all that the calling process has woken come to rest, then looks who is ready beside itself. Where it is called others of this program are to wait. */
void quiet_look(struct quiet *quiet);
/* Says so on standard error if more than a few of the looks found somebody. name: of the subject that was measured. */
void quiet_tell(const struct quiet *quiet, const char *name);

#endif
