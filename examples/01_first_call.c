/*
 * 01. A first call: a server, a request, its result.
 *
 * A core is an operating system inside this program. ant_boot makes the calling thread its first process. A server is a
 * further process, made from a program: a table of callbacks. It is known under a *function id*; clients name the
 * function and never the process behind it, which is why that process can be replaced one day without their noticing
 * (04_counter_swap.c).
 *
 * A request is one page: a header, and a payload of up to ANT_PAYLOAD_BYTES whose meaning is the server's affair. It is
 * not copied to the server and back. The page itself moves, and only one process has it at a time.
 *
 * ctest: machines=virtual,real,other
 */
#include "example.h"

#include <errno.h>
#include <string.h>

enum { FN_GREETER = 1 }; /* function ids: any numbers but 0 */
enum { GREET = 1 };      /* what one can ask of a greeter: its own numbering */

/* Runs on the server's process, once for every request. Until ant_reply the request is the server's. */
static void greeter_request(struct ant_server *self, struct ant_request *rq)
{
    char name[32];

    /* A server looks at every request as an operating system does at a system call: it may be nonsense. */
    if (rq->operation != GREET) {
        must("ant_reply", ant_reply(rq, -ENOSYS));
        return;
    }
    if (rq->payload_bytes >= sizeof name) {
        must("ant_reply", ant_reply(rq, -EMSGSIZE));
        return;
    }
    memcpy(name, rq->payload, rq->payload_bytes);
    name[rq->payload_bytes] = '\0';

    int length = snprintf((char *)rq->payload, sizeof rq->payload, "Hello, %s. Yours, %s", name,
                          self->program->name);
    rq->payload_bytes = (uint32_t)length + 1;
    must("ant_reply", ant_reply(rq, 0)); /* from here on rq is the client's again, and must not be touched */
}

static const struct ant_program greeter = {
    .abi = ANT_ABI,
    .version = 1,
    .name = "greeter",
    .request = greeter_request,
};

int main(void)
{
    struct ant_request *rq;

    must("ant_boot", ant_boot(NULL)); /* NULL: all defaults. ANT_MACHINE and ANT_MOVER in the environment choose, too */
    say_machine();

    must("ant_serve", ant_serve(FN_GREETER, &greeter, NULL, NULL));

    must("ant_request_new", ant_request_new(FN_GREETER, &rq));
    rq->operation = GREET;
    rq->payload_bytes = sizeof "AnT" - 1;
    memcpy(rq->payload, "AnT", rq->payload_bytes);
    must("ant_call", ant_call(rq, ANT_FOREVER)); /* sends it and waits: a synchronous request */
    printf("The server says: %s\n", (const char *)rq->payload);

    /* There are two kinds of failure. The server may refuse: the call itself went well, and rq->status says what it said. */
    rq->operation = GREET + 41;
    must("ant_call", ant_call(rq, ANT_FOREVER));
    printf("An operation it does not know: status %s\n", rq->status == -ENOSYS ? "-ENOSYS" : "?");

    /* Or the inner core has nobody to give it to: then the call fails, and the request never left. */
    rq->function = FN_GREETER + 1;
    int error = ant_call(rq, ANT_FOREVER);
    printf("A function that nobody serves: ant_call returns %s\n", error == -ESRCH ? "-ESRCH" : "?");

    must("ant_request_free", ant_request_free(rq));
    must("ant_shutdown", ant_shutdown(NULL)); /* ends the server, and the thread is an ordinary one again */
    return EXIT_SUCCESS;
}
