/*
 * Copying 1 MiB there and back, in memory that is there already; and clearing pages that another thread has just written,
 * which is what a page costs that changes its owner.
 */
#include "subject.h"

#include <semaphore.h>
#include <stdlib.h>
#include <string.h>

enum { PAGE_BYTES = 4096, CLEARED = 100 };

struct memory {
    size_t bytes; /* of one operation */
    size_t count; /* operations of a sample */
    char *from, *to;
    size_t mapped;
};

static void *new_memory(const struct subject *subject)
{
    struct memory *self = limit_new(sizeof *self);

    self->bytes = subject->bytes;
    self->count = subject->batch != 0 ? subject->batch : 1;
    self->mapped = self->bytes * self->count;
    self->from = limit_pages(self->mapped);
    return self;
}

static void free_memory(struct memory *self)
{
    limit_free_pages(self->from, self->mapped);
    if (self->to != NULL) {
        limit_free_pages(self->to, self->mapped);
    }
    free(self);
}

/* --- Copying ------------------------------------------------------------------------------------------------------------ */

static void *create_copy(const struct subject *subject, const struct setting *setting)
{
    struct memory *self = new_memory(subject);

    (void)setting;
    self->to = limit_pages(self->mapped);
    return self;
}

static void sample_copy(void *argument, uint64_t *values)
{
    struct memory *self = argument;
    uint64_t begin_ns = now_ns();

    memcpy(self->to, self->from, self->bytes);
    __asm__ volatile("" ::: "memory"); /* it is read by somebody */
    memcpy(self->from, self->to, self->bytes);
    __asm__ volatile("" ::: "memory");
    values[0] = now_ns() - begin_ns;
}

static void destroy_copy(void *argument)
{
    free_memory(argument);
}

const struct subject limit_memcpy_1m = {.names = {"memcpy_1m"},
                                        .bytes = (size_t)1 << 20,
                                        .create = create_copy,
                                        .sample = sample_copy,
                                        .destroy = destroy_copy};

/* --- Clearing ------------------------------------------------------------------------------------------------------------ */

struct clear {
    struct memory *memory;
    sem_t write, written;
    bool end;
    pthread_t thread;
};

/* Whose bytes lie in the pages. */
static void *writer(void *argument)
{
    struct clear *self = argument;

    for (;;) {
        while (sem_wait(&self->write) != 0) {
        }
        if (self->end) {
            return NULL;
        }
        memset(self->memory->from, 1, self->memory->mapped);
        sem_post(&self->written);
    }
}

static void *create_clear(const struct subject *subject, const struct setting *setting)
{
    struct clear *self = limit_new(sizeof *self);

    self->memory = new_memory(subject);
    limit_must(sem_init(&self->write, 0, 0) == 0 && sem_init(&self->written, 0, 0) == 0, "sem_init");
    limit_partner(&self->thread, setting, writer, self);
    return self;
}

static void sample_clear(void *argument, uint64_t *values)
{
    struct clear *self = argument;
    struct memory *memory = self->memory;

    sem_post(&self->write);
    while (sem_wait(&self->written) != 0) {
    }
    uint64_t begin_ns = now_ns();
    for (size_t i = 0; i < memory->count; i++) {
        memset(memory->from + i * memory->bytes, 0, memory->bytes);
        __asm__ volatile("" ::: "memory");
    }
    values[0] = now_ns() - begin_ns;
}

static void destroy_clear(void *argument)
{
    struct clear *self = argument;

    self->end = true;
    sem_post(&self->write);
    pthread_join(self->thread, NULL);
    sem_destroy(&self->write);
    sem_destroy(&self->written);
    free_memory(self->memory);
    free(self);
}

#define CLEAR .create = create_clear, .sample = sample_clear, .destroy = destroy_clear
const struct subject limit_clear_1 = {
    .names = {"clear_1"}, .bytes = PAGE_BYTES, .batch = CLEARED, .rarity = 5, CLEAR};
const struct subject limit_clear_256 = {
    .names = {"clear_256"}, .bytes = (size_t)256 * PAGE_BYTES, .rarity = 10, CLEAR};
