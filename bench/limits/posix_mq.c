/* Two POSIX message queues, one each way. */
#include "subject.h"

#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { MAX_BYTES = 64 };

struct posix_mq {
    mqd_t there, back;
    pthread_t thread;
    char data[MAX_BYTES];
};

static mqd_t open_queue(const char *which)
{
    char name[64];
    struct mq_attr attributes = {.mq_maxmsg = 1, .mq_msgsize = MAX_BYTES};

    snprintf(name, sizeof name, "/libant-speed-%d-%s", (int)getpid(), which);
    mqd_t queue = mq_open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600, &attributes);
    if (queue != (mqd_t)-1) {
        mq_unlink(name);
    }
    return queue;
}

/* A message without bytes ends it. */
static void *server(void *argument)
{
    struct posix_mq *self = argument;
    char data[MAX_BYTES];

    for (;;) {
        ssize_t got = mq_receive(self->there, data, sizeof data, NULL);
        limit_must(got >= 0, "mq_receive");
        if (got == 0) {
            return NULL;
        }
        data_write(data, (size_t)got, data_read(data, (size_t)got));
        limit_must(mq_send(self->back, data, (size_t)got, 0) == 0, "mq_send");
    }
}

static void *create(const struct subject *subject, const struct setting *setting)
{
    struct posix_mq *self = limit_new(sizeof *self);

    (void)subject;
    self->there = open_queue("there");
    if (self->there == (mqd_t)-1) {
        free(self);
        return NULL;
    }
    self->back = open_queue("back");
    limit_must(self->back != (mqd_t)-1, "mq_open");
    limit_partner(&self->thread, setting, server, self);
    return self;
}

static void sample(void *argument, uint64_t *values)
{
    struct posix_mq *self = argument;
    uint64_t begin_ns = now_ns();

    data_write(self->data, MAX_BYTES, begin_ns);
    limit_must(mq_send(self->there, self->data, MAX_BYTES, 0) == 0, "mq_send");
    limit_must(mq_receive(self->back, self->data, MAX_BYTES, NULL) >= 0, "mq_receive");
    data_read(self->data, MAX_BYTES);
    values[0] = now_ns() - begin_ns;
}

static void destroy(void *argument)
{
    struct posix_mq *self = argument;

    mq_send(self->there, self->data, 0, 0);
    pthread_join(self->thread, NULL);
    mq_close(self->there);
    mq_close(self->back);
    free(self);
}

const struct subject limit_posix_mq_64 = {
    .names = {"posix_mq_64"}, .bytes = MAX_BYTES, .create = create, .sample = sample, .destroy = destroy};
