/*
 * The client that behaves badly, in every way that it knows; and a witness, a connection that behaves well all the time, and must never
 * notice.
 *
 * Needs a server started with --max-connections 100 --buffers 8. Prints how many attacks the server has borne. Exit status: 0 if it answered
 * each as it should, and the witness was served throughout.
 */
#include "client.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MOST_CONNECTIONS = 100, MIB = 1 << 20, PIPELINE = 10000, FUZZED = 300, STUCK_MS = 50 };

static uint16_t port;
static struct client witness;
static unsigned attacks, bad;
static const char *now;

static void fail(const char *what)
{
    fprintf(stderr, "kvd_hostile: %s: %s\n", now, what);
    bad++;
}

/* --- The witness ---------------------------------------------------------------------------------------------------------- */

static void ask_witness(void)
{
    static unsigned long long serial;
    char value[32];
    struct reply reply;
    int length = snprintf(value, sizeof value, "%llu", ++serial);
    client_put_head(&witness, 3);
    client_put_bulk(&witness, "SET", 3);
    client_put_bulk(&witness, "witness", 7);
    client_put_bulk(&witness, value, (size_t)length);
    client_put(&witness, "GET witness\r\n", 13);
    bool served = client_send(&witness) && client_read(&witness, &reply) && reply.type == '+' &&
                  client_read(&witness, &reply) && reply.type == '$' &&
                  reply.length == (size_t)length && memcmp(reply.bytes, value, (size_t)length) == 0;
    if (!served) {
        fprintf(stderr, "kvd_hostile: %s: the witness is not served\n", now);
        exit(1);
    }
}

static void begin(const char *name)
{
    now = name;
    attacks++;
}

/* --- What connections do -------------------------------------------------------------------------------------------------- */

static struct client open_client(void)
{
    struct client client;
    if (!client_open(&client, port)) {
        fprintf(stderr, "kvd_hostile: %s: cannot connect: %s\n", now, strerror(errno));
        exit(1);
    }
    return client;
}

/* Sends what it can; a server that has closed is no surprise. */
static void throw(struct client * client, const void *bytes, size_t count)
{
    client_put(client, bytes, count);
    (void)client_send(client);
}

static void throw_text(struct client *client, const char *text)
{
    throw(client, text, strlen(text));
}

static void leave_rudely(struct client *client)
{
    const struct linger linger = {.l_onoff = 1};
    (void)setsockopt(client->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger); /* a reset instead of an end */
    client_close(client);
}

static bool is_error(const struct reply *reply, const char *part)
{
    return reply->type == '-' && memmem(reply->bytes, reply->length, part, strlen(part)) != NULL;
}

/* The next answer must be an error with this in it. */
static void expect_error(struct client *client, const char *part)
{
    struct reply reply;
    if (!client_read(client, &reply) || !is_error(&reply, part)) {
        fail("it is not refused as it should be");
    }
}

static void expect_text(struct client *client, const char *text)
{
    struct reply reply;
    if (!client_read(client, &reply) || reply.length != strlen(text) ||
        memcmp(reply.bytes, text, reply.length) != 0) {
        fail("another answer was due");
    }
}

static void expect_end(struct client *client)
{
    struct reply reply;
    if (client_read(client, &reply)) {
        fail("the connection should have been closed");
    }
}

/* --- No RESP -------------------------------------------------------------------------------------------------------------- */

static void no_resp_is_refused_and_closed(void)
{
    static const struct {
        const char *text, *error;
    } cases[] = {
        {"*1000000000\r\n", "invalid multibulk length"},
        {"*-x\r\n", "invalid multibulk length"},
        {"*1\r\n$-1\r\n", "invalid bulk length"},
        {"*1\r\n$1048577\r\n", "invalid bulk length"},
        {"*1\r\n$99999999999999999999\r\n", "invalid bulk length"},
        {"*2\r\n$3\r\nGET\r\n:1\r\n", "expected '$'"},
        {"*1\r\n$4\r\nPINGxx\r\n", "expected CRLF"},
        {"*32769\r\n", "invalid multibulk length"},
        {"SET \"a\" b\r\n", "quotes"},
        {"POST / HTTP/1.1\r\nHost: localhost\r\n\r\nFLUSHALL\r\n", "no web server"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        begin(cases[i].text);
        struct client client = open_client();
        throw_text(&client, "PING\r\n"); /* what came before is answered before */
        throw_text(&client, cases[i].text);
        expect_text(&client, "PONG");
        expect_error(&client, cases[i].error);
        expect_end(&client);
        client_close(&client);
        ask_witness();
    }
}

static void a_line_without_end_is_refused(void)
{
    begin("a line of 64 KiB without an end");
    static char line[1 << 16];
    struct client client = open_client();
    memset(line, 'x', sizeof line);
    throw(&client, line, sizeof line);
    expect_error(&client, "too big inline request");
    client_close(&client);
    ask_witness();
}

/* --- Odd, but allowed ----------------------------------------------------------------------------------------------------- */

static void what_is_odd_but_allowed_is_served(void)
{
    begin("empty arrays and lines");
    struct client client = open_client();
    throw_text(&client, "*0\r\n*-1\r\n\r\n\n   \r\nPING\r\n");
    expect_text(&client, "PONG");

    begin("NUL, CR and LF in keys and values");
    static const char set[] = "*3\r\n$3\r\nSET\r\n$5\r\n\0\r\n\0k\r\n$4\r\n\0\r\n\0\r\n";
    static const char get[] = "*2\r\n$3\r\nGET\r\n$5\r\n\0\r\n\0k\r\n*2\r\n$3\r\nGET\r\n$1\r\n\0\r\n";
    struct reply reply;
    throw(&client, set, sizeof set - 1);
    throw(&client, get, sizeof get - 1);
    expect_text(&client, "OK");
    if (!client_read(&client, &reply) || reply.length != 4 || memcmp(reply.bytes, "\0\r\n\0", 4) != 0) {
        fail("it is not what was set");
    }
    if (!client_read(&client, &reply) || reply.type != '_') {
        fail("a key that is its beginning is there, too");
    }

    begin("an empty key, an empty name of a command");
    throw_text(&client,
               "*3\r\n$3\r\nSET\r\n$0\r\n\r\n$0\r\n\r\n*1\r\n$0\r\n\r\n*2\r\n$3\r\nGET\r\n$0\r\n\r\n");
    expect_text(&client, "OK");
    expect_error(&client, "unknown command ''");
    expect_text(&client, "");

    begin("a command with line ends in its name");
    throw_text(&client, "*2\r\n$7\r\nA\r\n+OK\r\r\n$3\r\n\r\nx\r\n");
    expect_error(&client, "unknown command 'A  +OK '");
    client_close(&client);
    ask_witness();
}

static void byte_by_byte(void)
{
    begin("a byte at a time");
    static const char commands[] = "*3\r\n$3\r\nSET\r\n$4\r\nslow\r\n$5\r\nvalue\r\nGET slow\r\n";
    struct client client = open_client();
    for (size_t i = 0; i < sizeof commands - 1; i++) {
        throw(&client, commands + i, 1);
        if (i % 8 == 0) {
            ask_witness(); /* who is served meanwhile */
        }
    }
    expect_text(&client, "OK");
    expect_text(&client, "value");
    client_close(&client);
}

static void half_closed(void)
{
    begin("a client that sends no more, but reads");
    struct client client = open_client();
    throw_text(&client, "PING\r\nECHO hello\r\n*2\r\n$3\r\nGET\r\n$10\r\nnot");
    (void)shutdown(client.fd, SHUT_WR);
    expect_text(&client, "PONG");
    expect_text(&client, "hello");
    expect_end(&client);
    client_close(&client);

    begin("a swap that is refused, between other commands");
    client = open_client();
    throw_text(&client,
               "SET order 1\r\nKVD.SWAP nosuchversion\r\nINCR order\r\nKVD.SWAP\r\nINCR order\r\n");
    expect_text(&client, "OK");
    expect_error(&client, "it cannot be opened");
    expect_text(&client, "2");
    expect_error(&client, "wrong number of arguments");
    expect_text(&client, "3");
    client_close(&client);

    begin("QUIT, and more behind it");
    client = open_client();
    throw_text(&client, "QUIT\r\nSET after quit\r\n");
    expect_text(&client, "OK");
    expect_end(&client);
    client_close(&client);
    ask_witness();
}

/* --- Much ----------------------------------------------------------------------------------------------------------------- */

static void many_commands_at_once(void)
{
    begin("10,000 commands at once");
    struct client client = open_client();
    for (int i = 0; i < PIPELINE; i++) {
        client_put(&client, "INCR pipelined\r\n", 16);
    }
    (void)client_send(&client);
    struct reply reply;
    for (int i = 1; i <= PIPELINE; i++) {
        if (!client_read(&client, &reply) || reply.type != ':' || reply.number != i) {
            fail("an answer is missing, or not in its place");
            break;
        }
        if (i % 1000 == 0) {
            ask_witness();
        }
    }
    client_close(&client);

    begin("10,000 commands at once, and gone");
    client = open_client();
    for (int i = 0; i < PIPELINE; i++) {
        client_put(&client, "INCR pipelined\r\n", 16);
    }
    (void)client_send(&client);
    leave_rudely(&client);
    ask_witness();

    begin("as many arguments as there may be");
    client = open_client();
    client_put_head(&client, 1 << 15);
    client_put_bulk(&client, "EXISTS", 6);
    for (int i = 1; i < 1 << 15; i++) {
        client_put_bulk(&client, "witness", 7);
    }
    (void)client_send(&client);
    if (!client_read(&client, &reply) || reply.type != ':' || reply.number != (1 << 15) - 1) {
        fail("they are not counted");
    }
    client_close(&client);
}

static void large_values(void)
{
    static char value[MIB];
    struct client client = open_client();
    begin("a value of 1 MiB, twice");
    for (size_t i = 0; i < sizeof value; i++) {
        value[i] = (char)(i * 2654435761u >> 7);
    }
    for (int i = 0; i < 2; i++) {
        client_put_head(&client, 3);
        client_put_bulk(&client, "SET", 3);
        client_put_bulk(&client, i == 0 ? "large" : "larga", 5);
        client_put_bulk(&client, value, sizeof value);
        (void)client_send(&client);
        expect_text(&client, "OK");
    }
    throw_text(&client, "GET large\r\nGET larga\r\nGET large\r\n"); /* not all of it has room in one batch */
    struct reply reply;
    for (int i = 0; i < 3; i++) {
        if (!client_read(&client, &reply) || reply.length != sizeof value ||
            memcmp(reply.bytes, value, sizeof value) != 0) {
            fail("it is not what was set");
        }
    }
    begin("a reply that is too long");
    throw_text(&client, "MGET large larga\r\nPING\r\n");
    expect_error(&client, "too long");
    expect_text(&client, "PONG");
    throw_text(&client, "DEL larga\r\n");
    (void)client_read(&client, &reply);
    client_close(&client);
    ask_witness();
}

/* Without waiting; false: the server takes no more now, or has closed. */
static bool try_to_throw(struct client *client, const char *bytes, size_t count)
{
    struct pollfd pollfd = {.fd = client->fd, .events = POLLOUT};
    return poll(&pollfd, 1, STUCK_MS) == 1 && (pollfd.revents & POLLOUT) != 0 &&
           send(client->fd, bytes, count, MSG_NOSIGNAL | MSG_DONTWAIT) > 0;
}

static void those_who_do_not_read(void)
{
    begin("clients that ask for 1 MiB again and again, and do not read");
    struct client clients[16];
    char commands[11 * 100];
    for (int i = 0; i < 100; i++) {
        memcpy(commands + (size_t)i * 11, "GET large\r\n", 11);
    }
    for (int i = 0; i < 16; i++) {
        clients[i] = open_client();
        for (int n = 0; n < 1000 && try_to_throw(&clients[i], commands, sizeof commands); n++) {
            ask_witness();
        }
    }
    ask_witness();
    for (int i = 0; i < 16; i++) {
        leave_rudely(&clients[i]);
    }
    ask_witness();
}

/* Has the server closed it? */
static bool is_closed(struct client *client)
{
    char byte;
    ssize_t got = recv(client->fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK);
    return got == 0 || (got < 0 && errno != EAGAIN);
}

/* 20 MiB in all; the server was told to take 8 at most. */
static void those_who_do_not_finish(void)
{
    begin("many clients that begin a large command and do not finish it");
    enum { CLIENTS = MOST_CONNECTIONS / 2 };
    static char part[400 << 10];
    struct client clients[CLIENTS];
    int closed = 0;
    memset(part, 'x', sizeof part);
    memcpy(part, "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1048576\r\n", 31);
    for (int i = 0; i < CLIENTS; i++) {
        clients[i] = open_client();
        throw(&clients[i], part, sizeof part);
        ask_witness();
    }
    while (closed < CLIENTS / 2) { /* for ever, if the server does not do it */
        closed = 0;
        for (int i = 0; i < CLIENTS; i++) {
            closed += is_closed(&clients[i]);
        }
        ask_witness();
    }
    for (int i = 0; i < CLIENTS; i++) {
        client_close(&clients[i]);
    }
    ask_witness();
}

/* As long as the server has not noticed that others are gone. */
static struct client open_when_there_is_room(void)
{
    struct reply reply;
    for (;;) {
        struct client client = open_client();
        throw_text(&client, "PING\r\n");
        if (client_read(&client, &reply) && reply.type == '+') {
            return client;
        }
        client_close(&client);
    }
}

static void too_many_connections(void)
{
    begin("more connections than there may be");
    struct client clients[MOST_CONNECTIONS - 1], one;
    for (int i = 0; i < MOST_CONNECTIONS - 1; i++) {
        clients[i] = open_when_there_is_room();
    }
    one = open_client();
    expect_error(&one, "max number of clients");
    expect_end(&one);
    client_close(&one);
    ask_witness();
    for (int i = 0; i < MOST_CONNECTIONS - 1; i++) {
        client_close(&clients[i]);
    }
    one = open_when_there_is_room();
    client_close(&one);

    begin("connections that come and go");
    for (int i = 0; i < 500; i++) {
        one = open_when_there_is_room();
        if (i % 2 == 0) {
            client_close(&one);
        } else {
            throw_text(&one, "*2\r\n$3\r\nGET\r\n");
            leave_rudely(&one);
        }
    }
    ask_witness();
}

/* --- Anything ------------------------------------------------------------------------------------------------------------- */

static void anything(uint64_t seed)
{
    static const char *const parts[] = {"*",
                                        "$",
                                        "3",
                                        "\r\n",
                                        "-1",
                                        "SET",
                                        "GET",
                                        "\0",
                                        "0",
                                        "MGET",
                                        " ",
                                        "1048576",
                                        "fuzzed",
                                        "INCR",
                                        "*3\r\n$3\r\nSET\r\n",
                                        "$3\r\nabc\r\n",
                                        "\n",
                                        "\"",
                                        "EX",
                                        "KVD.SWAP",
                                        "EXPIRE fuzzed 1\r\n"};
    begin("anything");
    uint64_t random = seed;
    for (int i = 0; i < FUZZED; i++) {
        struct client client = open_when_there_is_room();
        char byte;
        for (uint64_t n = 1 + client_draw(&random, 60); n > 0; n--) {
            const char *part = parts[client_draw(&random, sizeof parts / sizeof parts[0])];
            if (client_draw(&random, 4) == 0) {
                byte = (char)client_draw(&random, 256);
                client_put(&client, &byte, 1);
            } else {
                client_put(&client, part, part[0] == '\0' ? 1 : strlen(part));
            }
        }
        (void)client_send(&client);
        if (client_draw(&random, 2) == 0) {
            (void)shutdown(client.fd, SHUT_WR);
            while (recv(client.fd, &byte, 1, 0) == 1) { /* all of it, to the end */
            }
            client_close(&client);
        } else {
            leave_rudely(&client);
        }
        if (i % 10 == 0) {
            ask_witness();
        }
    }
    ask_witness();
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: kvd_hostile PORT SEED\n");
        return 2;
    }
    port = (uint16_t)atoi(argv[1]);
    now = "the beginning";
    witness = open_client();
    ask_witness();
    no_resp_is_refused_and_closed();
    a_line_without_end_is_refused();
    what_is_odd_but_allowed_is_served();
    byte_by_byte();
    half_closed();
    many_commands_at_once();
    large_values();
    those_who_do_not_read();
    those_who_do_not_finish();
    too_many_connections();
    anything(strtoull(argv[2], NULL, 10));
    client_close(&witness);
    printf("attacks=%u bad=%u\n", attacks, bad);
    return bad > 0;
}
