/* The payload of a client's request: what the client writes, and what the server says of itself. */
#ifndef BODY_H
#define BODY_H

#include "history.h"

#include <ant/request.h>

struct body {
    uint64_t cookie; /* as in the header: a client and a number */
    uint32_t pages;  /* of its data area */
    uint32_t unused;
    struct history_service service;
};

_Static_assert(sizeof(struct body) <= ANT_PAYLOAD_BYTES, "it fits");

#define COOKIE(client, number) (((uint64_t)(client) + 1) << 32 | (number))

static inline struct body *body_of(struct ant_request *rq)
{
    return (struct body *)(void *)rq->payload;
}

#endif
