/* The computer that the sweep ran on, and when. */
#ifndef EVAL_HOST_H
#define EVAL_HOST_H

struct host {
    char kernel[208]; /* as uname says it, without the computer's name */
    char cpu[128];    /* its model */
    int cpus, cpus_allowed;
    char date[40]; /* ISO 8601, with the time zone */
};

void host_describe(struct host *host);

#endif
