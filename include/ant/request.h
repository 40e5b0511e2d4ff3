/*
 * Requests and results: what processes say to each other.
 *
 * A request is a control ICA of one page, and perhaps a data area. It names a function id, never a process. Every
 * request that was sent gets exactly one result: the server's, or one from the inner core that says why (rq->error).
 * Requests of one client to one function are served in the order sent, through any number of swaps.
 *
 * Who may touch a request: whoever holds it. The client holds it from ant_request_new until it sends it, and again
 * from its result on, at the same address; the server from ant_receive (or its `request` callback) until ant_reply.
 * Paper: section 2.3.
 */
#ifndef ANT_REQUEST_H
#define ANT_REQUEST_H

#include <ant/base.h>

ANT_BEGIN_DECLS

#define ANT_REQUEST_HEADER_BYTES 64u
#define ANT_PAYLOAD_BYTES (ANT_PAGE_BYTES - ANT_REQUEST_HEADER_BYTES)

/*
 * The first bytes of a control ICA. Fields are marked with who writes them; the inner core trusts none of them: what it
 * needs it has copied when the request was sent, and it restores function, operation and cookie with the result.
 */
struct ant_request {
    uint32_t function;      /* client: whom to ask; not 0 */
    uint32_t operation;     /* client: what to do; the server's own numbering */
    uint64_t cookie;        /* client: comes back with the result; the server sees it too */
    void *data;             /* both: the data area that goes along, or NULL; the core translates the address */
    uint64_t data_bytes;    /* both: how much of it means something; the core does not look */
    ant_pid peer;           /* core: for the server the client's id, for the client the server's */
    uint32_t payload_bytes; /* both: how much of payload means something; the core does not look */
    int32_t status;         /* server: ant_reply's status; 0 until then */
    int32_t error;          /* core: 0, or the error with which it answered in the server's stead */
    uint32_t flags;         /* client: ANT_REPEATABLE or 0; comes back with the result */
    uint32_t reserved[2];
    unsigned char payload[ANT_PAYLOAD_BYTES]; /* both: whatever fits */
};

/*
 * A request may be served again: if its server dies while it has it in service, the successor gets it once more, before what is
 * queued, payload and data area as the dead have left them (function, operation, cookie and flags are put right). Once: when a second server dies of it, when
 * its data area is gone, or no longer named in it, and with ANT_DEATH_FAIL (server.h), its result is -EOWNERDEAD.
 */
#define ANT_REPEATABLE 1u

enum ant_message_kind {
    ANT_REQUEST, /* a request for one of the caller's function ids; answer it with ant_reply */
    ANT_RESULT,  /* the result of an asynchronous request of the caller's; the request is its own again */
    ANT_SWAP,    /* the caller is to be replaced: ant_swap_accept (swap.h) */
    ANT_STOP,    /* the caller is to end */
};

struct ant_message {
    enum ant_message_kind kind;
    struct ant_request *request; /* ANT_REQUEST and ANT_RESULT; else NULL */
};

/*
 * Allocates a request for a function: a control ICA, its header cleared but for function, its payload not.
 *
 * function: not 0; whether somebody serves it is looked up when it is sent.
 * rq: gets the request; the caller's until ant_request_free or until it is sent.
 *
 * Errors:
 *   -EINVAL  function is 0, or rq is NULL
 *   -ENOMEM  the pool is exhausted
 *   -EPERM   the calling thread is no process
 */
ANT_API int ant_request_new(uint32_t function, struct ant_request **rq);

/*
 * Frees a request that the caller holds as its client; a data area it names stays the caller's.
 *
 * Errors:
 *   -EFAULT  rq is the address of no area
 *   -EINVAL  rq is no request, or points inside one
 *   -EPERM   rq is another process's now (sent, and its result not yet received), or belongs to the predecessor that a swap
 *            has not yet replaced; or the calling thread is no process
 *   -EBUSY   the caller is serving rq: it must be answered
 *   -ENOMEM  the host cannot move the area now; rq is still the caller's
 */
ANT_API int ant_request_free(struct ant_request *rq);

/*
 * Sends a request and waits for its result (a synchronous request).
 *
 * rq: held by the caller as its client. It and rq->data leave the caller's space. rq is back, at the same address, when the
 *   call returns anything but -EINPROGRESS; so is the data area, unless the server has kept it or replied with another: rq->data tells.
 *   Results of other requests stay queued meanwhile.
 * On 0 the server has answered: see rq->status.
 *
 * Errors, nothing sent:
 *   -EFAULT   rq, or rq->data, is the address of no area
 *   -EINVAL   rq is no request, rq->function is 0, or rq->data points inside an area or at a request
 *   -EPERM    rq or rq->data is another process's now, or belongs to the predecessor that a swap has not yet replaced; or the
 *             calling thread is no process
 *   -EBUSY    the caller is serving rq, or rq->data is its state
 *   -ESRCH    nobody serves rq->function
 *   -EAGAIN   the server's queue limit is reached
 *   -EOWNERDEAD the server has died, has no successor yet, and its options say ANT_DEATH_FAIL
 *   -EDEADLK  the caller itself serves rq->function: it would wait for itself
 *   -ENOMEM   the host cannot move the areas now
 * Errors, after it was sent; rq is the caller's again, rq->error tells the same:
 *   -EOWNERDEAD the server died, or ended without answering; rq->data is NULL if it had already given that area away, or named another
 *   -ESHUTDOWN  the server was stopped before it answered
 *   -ETIMEDOUT  the time limit passed while the request was still queued; it was withdrawn
 *   -EDEADLK    (`virtual`) nobody is ready and no timer is set; it was withdrawn
 * Error, after it was sent; rq is NOT the caller's:
 *   -EINPROGRESS the time limit passed (or, on `virtual`, nobody is ready) while the server had it in service, or had passed it on; it goes on
 *             as an asynchronous request, and its result comes by ant_receive
 *
 * Paper: section 2.3 (1) to (4), synchronous.
 */
ANT_API int ant_call(struct ant_request *rq, int64_t timeout_ns);

/*
 * Sends a request and does not wait (an asynchronous request); its one result comes by ant_receive.
 *
 * rq: as in ant_call.
 *
 * Errors, nothing sent:
 *   -EFAULT   rq, or rq->data, is the address of no area
 *   -EINVAL   rq is no request, rq->function is 0, or rq->data points inside an area or at a request
 *   -EPERM    rq or rq->data is another process's now, or belongs to the predecessor that a swap has not yet replaced; or the
 *             calling thread is no process
 *   -EBUSY    the caller is serving rq, or rq->data is its state
 *   -ESRCH    nobody serves rq->function
 *   -EAGAIN   the server's queue limit is reached
 *   -EOWNERDEAD the server has died, has no successor yet, and its options say ANT_DEATH_FAIL
 *   -ENOMEM   the host cannot move the areas now
 *
 * Paper: section 2.3, asynchronous.
 */
ANT_API int ant_send(struct ant_request *rq);

/*
 * Takes the caller's next message: a swap notice before everything, then a stop, then results, then requests.
 *
 * message: filled. A result's request->error is not 0 when the inner core answered in the server's stead:
 *   -EOWNERDEAD, -ESHUTDOWN as in ant_call.
 * A notice and a stop are not used up: they come again until ant_swap_accept, or until the process ends.
 *
 * Errors:
 *   -EINVAL    message is NULL
 *   -ETIMEDOUT nothing came within timeout_ns
 *   -EDEADLK   (`virtual`) nobody is ready and no timer is set
 *   -EPERM     the caller is a new server that has not been registered yet, its program permits direct calls (the library's loop
 *              receives for it), or the calling thread is no process
 *
 * Paper: section 2.3 (2) and (4); 2.4 (4).
 */
ANT_API int ant_receive(struct ant_message *message, int64_t timeout_ns);

/*
 * Takes all of the caller's next messages at once, as far as there is room: waits for the first as ant_receive does, and for no other. Results come before
 * requests; a swap notice or a stop comes alone. What was received is in service, as by as many calls; a watchdog's time runs for all of it.
 *
 * messages: gets up to capacity messages, at least one. capacity: 1 up. count: gets how many.
 * A server whose times are observed (ant_timing) gets one at a time.
 *
 * Errors:
 *   -EINVAL    messages or count is NULL, or capacity is 0
 *   -ETIMEDOUT nothing came within timeout_ns
 *   -EDEADLK   (`virtual`) nobody is ready and no timer is set
 *   -EPERM     as in ant_receive
 *
 * Paper: section 2.3 (2) and (4).
 */
ANT_API int ant_receive_many(struct ant_message *messages, size_t capacity, size_t *count, int64_t timeout_ns);

/*
 * Answers a request that the caller has in service. It, and the area in rq->data, leave the caller for the client.
 *
 * rq: received by the caller, in any order among several; rq->data may be the area that came, another of the caller's
 *   own, or NULL (the one that came is then the server's to keep).
 * status: the server's own; 0 by custom for success.
 * If the client is gone, request and data are freed, and that is a success.
 *
 * Errors:
 *   -EFAULT  rq, or rq->data, is the address of no area
 *   -EINVAL  rq is no request, or rq->data points inside an area or at a request
 *   -EPERM   rq is not in the caller's service (another's, or answered before), rq->data is another process's, the caller is a new
 *            server that has not been registered yet; or the calling thread is no process
 *   -EBUSY   rq->data is the caller's state
 *   -ENOMEM  the host cannot move the areas now; rq is still in service
 *
 * Paper: section 2.3 (3).
 */
ANT_API int ant_reply(struct ant_request *rq, int32_t status);

/* How often one request can be passed on: one that goes round in a circle comes to an end. */
#define ANT_FORWARDS_MAX 255u

/*
 * Passes a request that the caller has in service on to another function's server, which answers it in the caller's place: its reply goes straight to the client,
 * to whom it is the result of what he has asked (his function, operation, cookie and flags), from peer, whoever has answered.
 *
 * rq: received by the caller; as in ant_reply it and the area in rq->data (the one that came, another of the caller's own, or NULL) leave the caller, for the
 *   queue of the next server, at its end. That finds the payload as the caller has left it, the operation that the caller has put in, the client's
 *   cookie and flags, as function the one that is passed here, and the client as peer. ANT_REPEATABLE is good for the next server's death as for the first one's.
 * function: not 0; one of the caller's own is allowed: the request goes to the end of its own queue.
 * What was passed on is not withdrawn any more, as it has been in service: not by a time limit (ant_call: -EINPROGRESS), by ant_cancel (-EINPROGRESS), or by the end of
 * its client, whose result is dropped. It does not matter here whether that is gone.
 *
 * Errors; rq is still in the caller's service, as it was:
 *   -EFAULT     rq, or rq->data, is the address of no area
 *   -EINVAL     function is 0, rq is no request, or rq->data points inside an area or at a request
 *   -EPERM      rq is not in the caller's service (another's, or answered before), rq->data is another process's, the caller is a new
 *               server that has not been registered yet; or the calling thread is no process
 *   -EBUSY      rq->data is the caller's state
 *   -ESRCH      nobody serves function
 *   -EAGAIN     the queue limit of its server is reached
 *   -EOWNERDEAD its server has died, has no successor yet, and its options say ANT_DEATH_FAIL
 *   -EDEADLK    the client serves function, and waits in ant_call for this very request
 *   -ELOOP      it was passed on ANT_FORWARDS_MAX times
 *   -ENOMEM     the host cannot move the areas now
 */
ANT_API int ant_forward(struct ant_request *rq, uint32_t function);

/*
 * Withdraws a request that the caller has sent asynchronously and whose server has not yet received it; or takes a monitor back.
 *
 * rq: the address at which it was sent, or lent (monitor.h). On success it and its data area are the caller's again, and no result comes.
 *
 * Errors:
 *   -EFAULT      rq is no address of the caller's window
 *   -EINVAL      rq is not page-aligned
 *   -ESRCH       the caller has no request out that was sent from there
 *   -EINPROGRESS the server has it in service, or has passed it on: it cannot be pulled away; its result will come
 *   -EALREADY    its result is there: ant_receive
 *   -ENOMEM      the host cannot move the areas now; it stays queued
 *   -EPERM       it is the predecessor's, whom a swap has not yet replaced; or the calling thread is no process
 */
ANT_API int ant_cancel(struct ant_request *rq);

enum ant_pending_kind {
    ANT_IN_SERVICE,  /* received by the caller and not yet answered */
    ANT_OUTSTANDING, /* sent by the caller and not yet answered */
    ANT_ANSWERED,    /* sent asynchronously and answered; ant_receive will return it */
};

struct ant_pending {
    struct ant_request *request; /* in service: the request; else the address at which it is, or will be, back */
    uint64_t cookie;             /* as the client sent it */
    uint32_t function;
    uint32_t operation;
    ant_pid peer; /* in service: the client; else the server */
};

/*
 * Lists what the calling process has in service, out, or answered, oldest first. A new server asks it in `start` to learn what it
 * takes over (also what its predecessor had sent).
 *
 * items: gets up to capacity entries; may be NULL when capacity is 0.
 * count: gets how many there are, also when that is more than capacity.
 *
 * Errors:
 *   -EINVAL  count is NULL, items is NULL and capacity is not 0, or kind is none
 *   -EPERM   the calling thread is no process
 */
ANT_API int ant_pending(enum ant_pending_kind kind, struct ant_pending *items, size_t capacity,
                        size_t *count);

ANT_END_DECLS

#endif
