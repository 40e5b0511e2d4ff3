/* What the end of a process (ipc_end.c) needs of a request's ordinary way (ipc.c). */
#ifndef ANTK_IPC_H
#define ANTK_IPC_H

#include "core/core.h"

void antk_set_state(struct antk_record *record, enum antk_request_state state, uint32_t server);
/*
 * Answers a request in the service of an endpoint, by its server (error 0) or by the inner core. -ENOMEM: nothing has
 * changed. What the client had asked is put right in the page: the server may have written anything there.
 */
int antk_answer(struct antk_endpoint *ep, uint32_t frame, uint32_t data, int32_t status, int error);
/*
 * Brings a request that is still queued, as this tag says, back to its client's window; it is CARRIED then, and still
 * listed as out. -EINPROGRESS: it is not queued any more. -ENOMEM: it is still queued.
 */
int antk_withdraw(struct antk_endpoint *client, uint32_t frame, uint64_t tag);
/* Frees a request in the endpoint's window, and its data area. */
void antk_drop(struct antk_endpoint *ep, uint32_t frame, uint32_t data);

#endif
