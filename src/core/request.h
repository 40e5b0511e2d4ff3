/*
 * What the inner core knows of a request, and the queues that requests stand in.
 *
 * There is one record per frame of the pool, valid where a control ICA begins; so a request needs no memory beyond its page, and
 * nothing in the page is trusted. A record is in at most one queue of its server or client (link QUEUE) and, from
 * when it is sent until it is answered, in its client's list of what is out (link OUT).
 *
 * The tag says where a request is. It changes only
 *   HELD -> QUEUED            by the client, under the server's lock
 *   QUEUED -> SERVICE, HELD   by the server, or by the client that withdraws it, under the server's lock
 *   SERVICE -> RESULT, DONE   by whoever answers, under the client's lock
 *   SERVICE -> QUEUED         when the server has died, and it may be served again; or, at another, when it is passed on
 *   HELD -> LENT              a monitor; by its process, under its lock
 *   LENT -> RESULT, HELD      by whoever has something to tell, or by the process that takes it back, under its lock
 *   RESULT, DONE -> HELD      by the client
 * Pages that are between two windows, or about to be freed, say CARRIED: nobody else may touch them.
 * It also holds the server and a number that grows with each sending of this frame (a data area, too), so that whoever remembers a
 * tag can tell under the server's lock whether that very request is still queued there.
 */
#ifndef ANTK_REQUEST_H
#define ANTK_REQUEST_H

#include <ant/request.h>
#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>

enum antk_request_state {
    ANTK_PLAIN,   /* no request: a data area, a state, or free */
    ANTK_CARRIED, /* out of everybody's reach: between windows; a data area not yet received; a dead state or result to be freed */
    ANTK_HELD,    /* the client's own */
    ANTK_QUEUED,  /* in the server's request queue */
    ANTK_SERVICE, /* received by the server */
    ANTK_RESULT,  /* in the client's result queue */
    ANTK_DONE,    /* answered; the client that waits for it will take it */
    ANTK_LENT,    /* a monitor, in its process's own window; in its queue of monitors */
};

static inline uint64_t antk_tag(enum antk_request_state state, uint32_t server, uint32_t number)
{
    return (uint64_t)number << 32 | (uint64_t)server << 8 | (uint64_t)state;
}
static inline enum antk_request_state antk_tag_state(uint64_t tag)
{
    return (enum antk_request_state)(tag & 0xff);
}
static inline uint32_t antk_tag_server(uint64_t tag)
{
    return (uint32_t)(tag >> 8) & 0xffffff;
}

enum antk_link_kind {
    ANTK_LINK_QUEUE,
    ANTK_LINK_OUT,
    ANTK_LINKS
};

struct antk_link {
    uint32_t next, prev; /* frames; ANTK_NO_FRAME at the ends */
};

/*
 * All that a request's way touches, in one cache line: a call between two CPUs carries that line to and fro. What is seldom
 * looked at is in the request's sending.
 */
struct antk_record {
    _Alignas(64) _Atomic uint64_t tag;
    uint64_t cookie;        /* these are written before it is queued, and then only read */
    _Atomic ant_pid client; /* who sent it last; compared by ant_cancel for any frame */
    uint32_t function, operation;
    uint32_t flags;                    /* as the client set them */
    _Atomic uint32_t incarnation;      /* of the client's body that sent it; compared by ant_cancel for any frame */
    uint32_t data;                     /* frame of the area that goes along, or ANTK_NO_FRAME; the answer may change it */
    uint32_t waiter : 31;              /* client's lock: index + 1 of the body that waits for it; 0: asynchronous */
    bool swallowed : 1;                /* client's lock: its result is to be dropped, and it is not in the list of what is out */
    struct antk_link link[ANTK_LINKS]; /* guarded by the lock of the endpoint whose queue it is */
};
static_assert(sizeof(struct antk_record) == 64, "a record is a cache line");

#define ANTK_WAITER_MAX 0x7fffffffu

/* The rest of a record, of a table of its own: where it went. Some of it is a data area's. */
struct antk_sending {
    ant_pid server;             /* client's lock: whom it was sent to, or passed on to; a monitor: whom it asks about, 0 for everybody */
    _Atomic uint32_t sent_with; /* of a data area: the frame of the request that it was last sent with, + 1; 0: it was not since it was allocated */
    union {
        struct {
            bool repeated;    /* it has been queued again after its server died */
            uint8_t forwards; /* how often it was passed on; above 0: */
        };
        uint32_t lending; /* of a monitor, which has no server that could die of it: the number of it */
    };
    uint32_t function, operation; /* what its present server is asked, by whoever has passed it on */
};

/* A queue of requests, first-in first-out, guarded by its endpoint's lock. arrived and left count up for ever. */
struct antk_queue {
    uint32_t head, tail;
    uint32_t count;
    uint32_t arrived, left;
    enum antk_link_kind kind;
};

static inline void antk_queue_init(struct antk_queue *queue, enum antk_link_kind kind)
{
    *queue = (struct antk_queue){.head = UINT32_MAX, .tail = UINT32_MAX, .kind = kind};
}

static inline void antk_queue_push(struct antk_record *records, struct antk_queue *queue, uint32_t frame)
{
    struct antk_link *link = &records[frame].link[queue->kind];
    link->next = UINT32_MAX;
    link->prev = queue->tail;
    *(queue->tail != UINT32_MAX ? &records[queue->tail].link[queue->kind].next : &queue->head) = frame;
    queue->tail = frame;
    queue->count++;
    queue->arrived++;
}

static inline void antk_queue_push_front(struct antk_record *records, struct antk_queue *queue,
                                         uint32_t frame)
{
    struct antk_link *link = &records[frame].link[queue->kind];
    link->prev = UINT32_MAX;
    link->next = queue->head;
    *(queue->head != UINT32_MAX ? &records[queue->head].link[queue->kind].prev : &queue->tail) = frame;
    queue->head = frame;
    queue->count++;
    queue->arrived++;
}

static inline void antk_queue_unlink(struct antk_record *records, struct antk_queue *queue, uint32_t frame)
{
    struct antk_link *link = &records[frame].link[queue->kind];
    *(link->prev != UINT32_MAX ? &records[link->prev].link[queue->kind].next : &queue->head) = link->next;
    *(link->next != UINT32_MAX ? &records[link->next].link[queue->kind].prev : &queue->tail) = link->prev;
    queue->count--;
    queue->left++;
}

/* Undoes the last unlinking: where it stood nothing has changed since. */
static inline void antk_queue_relink(struct antk_record *records, struct antk_queue *queue, uint32_t frame)
{
    const struct antk_link *link = &records[frame].link[queue->kind];
    *(link->prev != UINT32_MAX ? &records[link->prev].link[queue->kind].next : &queue->head) = frame;
    *(link->next != UINT32_MAX ? &records[link->next].link[queue->kind].prev : &queue->tail) = frame;
    queue->count++;
    queue->arrived++;
}

/* For assertions: is it a list in both directions, as long as it says? */
static inline bool antk_queue_intact(const struct antk_record *records, const struct antk_queue *queue)
{
    uint32_t length = 0, last = UINT32_MAX;
    for (uint32_t frame = queue->head; frame != UINT32_MAX && length <= queue->count; length++) {
        const struct antk_link *link = &records[frame].link[queue->kind];
        if (link->prev != last)
            return false;
        last = frame;
        frame = link->next;
    }
    return length == queue->count && last == queue->tail && queue->count == queue->arrived - queue->left;
}

#endif
