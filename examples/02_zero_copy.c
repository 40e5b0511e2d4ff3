/*
 * 02. Zero copy: a data area is handed to a server, and comes back.
 *
 * What does not fit into a request goes along in a *data area* (the paper's ICA): as many contiguous pages as you like.
 * Sending the request takes the pages out of the sender's space and puts them into the receiver's. Nothing is copied,
 * whatever the size, and nobody else can look at them or scribble over them any more.
 *
 * The price is a rule: once an area has left, a pointer to it is *stale*. With the mover `strict` an access through it
 * faults at once, as an access to unmapped memory does (a message on stderr names the process, the area, and who has
 * it now). This example therefore does not try; it asks the inner core instead, which answers with an error.
 *
 * The server here is a cloakroom. PUT leaves an area there, TAKE brings it back; in between it is the server's own.
 *
 * ctest: machines=virtual,real movers=strict,strict-mremap,flat,copy
 */
#include "example.h"

#include <errno.h>
#include <stdlib.h>

enum { FN_CLOAKROOM = 1 };
enum { PUT = 1, TAKE = 2 };

enum { NUMBERS = 250000 };
enum { PAGES = (NUMBERS * sizeof(uint32_t) + ANT_PAGE_BYTES - 1) / ANT_PAGE_BYTES };

static void cloakroom_request(struct ant_server *self, struct ant_request *rq)
{
    switch (rq->operation) {
    case PUT:
        if (rq->data == NULL || self->context != NULL) {
            must("ant_reply", ant_reply(rq, -EINVAL));
            return;
        }
        /* A reply hands back whatever rq->data names. NULL: the area that came stays here. */
        self->context = rq->data;
        rq->data = NULL;
        break;
    case TAKE: {
        /* The very pages that the client filled: the server works where they are. (It trusts the client about their
         * number, for brevity; ant_ica_info would tell it for sure.) */
        uint32_t *numbers = self->context;
        for (size_t i = 0; numbers != NULL && i < NUMBERS; i++) {
            numbers[i]++;
        }
        rq->data = numbers;
        self->context = NULL;
        break;
    }
    default:
        must("ant_reply", ant_reply(rq, -ENOSYS));
        return;
    }
    must("ant_reply", ant_reply(rq, 0));
}

static const struct ant_program cloakroom = {
    .abi = ANT_ABI,
    .version = 1,
    .name = "cloakroom",
    .request = cloakroom_request,
};

static const char *name_of(int error)
{
    switch (error) {
    case 0:
        return "0";
    case -EPERM:
        return "-EPERM (not yours)";
    case -EFAULT:
        return "-EFAULT (no area)";
    case -EINVAL:
        return "-EINVAL (not the beginning of one)";
    default:
        return ant_strerror(error);
    }
}

int main(void)
{
    struct ant_request *rq;
    struct ant_ica_info info;
    void *area;

    must("ant_boot", ant_boot(NULL));
    say_machine();
    must("ant_serve", ant_serve(FN_CLOAKROOM, &cloakroom, NULL, NULL));
    must("ant_request_new", ant_request_new(FN_CLOAKROOM, &rq));

    must("ant_ica_alloc", ant_ica_alloc(PAGES, &area));
    uint32_t *numbers = area;
    for (uint32_t i = 0; i < NUMBERS; i++) {
        numbers[i] = i;
    }
    must("ant_ica_info", ant_ica_info(area, &info));
    printf("An area of %zu pages, filled with the numbers from 0 to %d.\n", info.pages, NUMBERS - 1);

    rq->operation = PUT;
    rq->data = area;
    rq->data_bytes = NUMBERS * sizeof *numbers;
    must("ant_call", ant_call(rq, ANT_FOREVER));
    /* `area` and `numbers` are stale now: reading numbers[0] here would fault. */
    printf("The server has it. Meanwhile, for the client:\n");
    printf("  ant_ica_info:  %s\n", name_of(ant_ica_info(area, &info)));
    printf("  ant_ica_free:  %s\n", name_of(ant_ica_free(area)));
    rq->data = area;
    printf("  send it again: %s\n", name_of(ant_call(rq, ANT_FOREVER)));

    rq->operation = TAKE;
    rq->data = NULL;
    must("ant_call", ant_call(rq, ANT_FOREVER));
    /* An area has the same place in every process's window, so it comes back to where it was: old pointers are good again. */
    printf("Back at %s address, from %u to %u.\n", rq->data == area ? "the same" : "another",
           numbers[0], numbers[NUMBERS - 1]);

    printf("  free its middle: %s\n", name_of(ant_ica_free(numbers + ANT_PAGE_BYTES)));
    printf("  free it:         %s\n", name_of(ant_ica_free(area)));
    printf("  free it again:   %s\n", name_of(ant_ica_free(area)));

    must("ant_request_free", ant_request_free(rq));
    must("ant_shutdown", ant_shutdown(NULL));
    return EXIT_SUCCESS;
}
