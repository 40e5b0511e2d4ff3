/*
 * kvd's reader of RESP: what it takes, what it refuses, and that it does not matter in which pieces the bytes come.
 *
 * ctest: no-core
 */
#include "resp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* after those that it needs */
#include <cmocka.h>

/* Scans a text that is all there. */
static enum resp_outcome scan(struct resp_scan *scan, const char *text, size_t bytes)
{
    *scan = (struct resp_scan){0};
    return resp_scan(scan, text, bytes);
}

static void assert_arguments(const char *text, size_t bytes, size_t count, const char *const *expected)
{
    struct resp_scan s;
    struct resp_span spans[64];
    assert_int_equal(scan(&s, text, bytes), RESP_COMPLETE);
    assert_int_equal(s.at, bytes);
    assert_int_equal(s.argc, count);
    resp_spans(&s, text, spans);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(spans[i].bytes, strlen(expected[i]));
        assert_memory_equal(text + spans[i].offset, expected[i], spans[i].bytes);
    }
}

static void arrays_and_lines_give_their_arguments(void **unused)
{
    (void)unused;
    static const char set[] = "*3\r\n$3\r\nSET\r\n$0\r\n\r\n$4\r\na\r\nb\r\n";
    assert_arguments(set, sizeof set - 1, 3, (const char *const[]){"SET", "", "a\r\nb"});
    static const char line[] = "  SET \t k   v\r\n";
    assert_arguments(line, sizeof line - 1, 3, (const char *const[]){"SET", "k", "v"});
    static const char bare[] = "PING\n";
    assert_arguments(bare, sizeof bare - 1, 1, (const char *const[]){"PING"});
    static const char *const empty[] = {"\r\n", "\n", "   \r\n", "*0\r\n", "*-1\r\n"};
    for (size_t i = 0; i < sizeof empty / sizeof empty[0]; i++) {
        assert_arguments(empty[i], strlen(empty[i]), 0, NULL);
    }
}

static void more_arguments_than_are_remembered_are_found_again(void **unused)
{
    (void)unused;
    char array[1024], line[1024], words[40][8];
    const char *expected[40];
    size_t array_bytes = (size_t)sprintf(array, "*40\r\n"), line_bytes = 0;
    for (int i = 0; i < 40; i++) {
        int length = sprintf(words[i], "w%d", i);
        expected[i] = words[i];
        array_bytes += (size_t)sprintf(array + array_bytes, "$%d\r\n%s\r\n", length, words[i]);
        line_bytes += (size_t)sprintf(line + line_bytes, "%s%s", words[i], i < 39 ? " " : "\r\n");
    }
    assert_arguments(array, array_bytes, 40, expected);
    assert_arguments(line, line_bytes, 40, expected);
}

static void what_is_no_resp_or_too_large_is_refused(void **unused)
{
    (void)unused;
    static const struct {
        const char *text, *error;
    } cases[] = {
        {"*1000000000\r\n", "invalid multibulk length"},
        {"*32769\r\n", "invalid multibulk length"},
        {"*9999999999999999999999", "invalid multibulk length"},
        {"*x\r\n", "invalid multibulk length"},
        {"*\r\n", "invalid multibulk length"},
        {"*1x", "invalid multibulk length"},
        {"*1\rx", "invalid multibulk length"},
        {"*1\r\n:5\r\n", "expected '$'"},
        {"*1\r\n\r\n", "expected '$'"},
        {"*1\r\n$-1\r\n", "invalid bulk length"},
        {"*1\r\n$1048577\r\n", "invalid bulk length"},
        {"*1\r\n$99999999999999999999\r\n", "invalid bulk length"},
        {"*1\r\n$3\r\nabcde", "expected CRLF"},
        {"SET \"a b\" c\r\n", "quotes"},
    };
    struct resp_scan s;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(scan(&s, cases[i].text, strlen(cases[i].text)), RESP_ERROR);
        assert_non_null(strstr(s.error, cases[i].error));
    }
}

static void the_limits_are_where_they_are_said_to_be(void **unused)
{
    (void)unused;
    struct resp_scan s;
    char *text = malloc(2 * RESP_MAX_COMMAND_BYTES);
    assert_non_null(text);
    memset(text, 'x', 2 * RESP_MAX_COMMAND_BYTES);
    assert_int_equal(scan(&s, text, RESP_MAX_INLINE_BYTES - 1), RESP_MORE);
    assert_int_equal(scan(&s, text, RESP_MAX_INLINE_BYTES), RESP_ERROR);

    size_t head = (size_t)sprintf(text, "*1\r\n$%d\r\n", RESP_MAX_BULK_BYTES);
    memset(text + head, 'x', RESP_MAX_BULK_BYTES);
    memcpy(text + head + RESP_MAX_BULK_BYTES, "\r\n", 2);
    assert_int_equal(scan(&s, text, head + RESP_MAX_BULK_BYTES + 2), RESP_COMPLETE);

    /* Two arguments that are allowed, but not together. */
    size_t at = (size_t)sprintf(text, "*2\r\n$%d\r\n", RESP_MAX_BULK_BYTES);
    memset(text + at, 'x', RESP_MAX_BULK_BYTES);
    at += RESP_MAX_BULK_BYTES;
    at += (size_t)sprintf(text + at, "\r\n$70000\r\n");
    assert_int_equal(scan(&s, text, at), RESP_ERROR);
    assert_non_null(strstr(s.error, "too big command"));
    free(text);
}

/* --- Random streams, in random pieces ------------------------------------------------------------------------------------ */

static uint64_t draw(uint64_t *random, uint64_t below)
{
    uint64_t z = *random += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return (z ^ z >> 31) % below;
}

/* A stream of commands, some of them damaged. */
static size_t make_stream(uint64_t *random, char *text)
{
    size_t bytes = 0;
    for (uint64_t commands = 1 + draw(random, 6); commands > 0; commands--) {
        if (draw(random, 4) == 0) {
            bytes += (size_t)sprintf(text + bytes, "GET key%d  x\r\n", (int)draw(random, 100));
            continue;
        }
        uint64_t count = draw(random, 24);
        bytes += (size_t)sprintf(text + bytes, "*%d\r\n", (int)count);
        for (; count > 0; count--) {
            uint64_t length = draw(random, 40);
            bytes += (size_t)sprintf(text + bytes, "$%d\r\n", (int)length);
            for (; length > 0; length--) {
                text[bytes++] = (char)draw(random, 256);
            }
            bytes += (size_t)sprintf(text + bytes, "\r\n");
        }
    }
    for (uint64_t damages = draw(random, 3); damages > 0; damages--) {
        static const char evil[] = "*$-\r\n09:\0 ";
        text[draw(random, bytes)] = evil[draw(random, sizeof evil - 1)];
    }
    return bytes;
}

/* Everything that a reader of the stream would see, as one number: the places of all commands and arguments, and the end. step: 0: all at once. */
static uint64_t read_stream(const char *text, size_t bytes, uint64_t *random, size_t most_step)
{
    static struct resp_span spans[RESP_MAX_ARGS];
    struct resp_scan s = {0};
    uint64_t seen = 0;
    size_t begin = 0, end = most_step == 0 ? bytes : 0;
    for (;;) {
        /* A copy of its own, so that AddressSanitizer sees whoever reads beyond the end. */
        size_t there = end - begin;
        char *copy = malloc(there + 1);
        assert_non_null(copy);
        memcpy(copy, text + begin, there);
        copy = realloc(copy, there == 0 ? 1 : there);
        assert_non_null(copy);
        enum resp_outcome outcome = resp_scan(&s, copy, there);
        if (outcome == RESP_COMPLETE) {
            assert_in_range(s.at, 1, there);
            resp_spans(&s, copy, spans);
            seen = seen * 31 + s.at;
            for (uint32_t i = 0; i < s.argc; i++) {
                assert_true(spans[i].offset + spans[i].bytes <= s.at);
                seen = (seen * 31 + spans[i].offset) * 31 + spans[i].bytes;
            }
            begin += s.at;
            s = (struct resp_scan){0};
        }
        free(copy);
        if (outcome == RESP_ERROR) {
            return seen * 31 + 1;
        }
        if (outcome == RESP_MORE) {
            if (end == bytes) {
                return seen * 31 + 2;
            }
            size_t step = 1 + draw(random, most_step);
            end = bytes - end < step ? bytes : end + step;
        }
    }
}

static void any_stream_in_any_pieces_reads_the_same(void **unused)
{
    (void)unused;
    static char text[1 << 16];
    uint64_t random = 1;
    for (int i = 0; i < 500; i++) {
        size_t bytes = make_stream(&random, text);
        uint64_t whole = read_stream(text, bytes, &random, 0);
        assert_int_equal(read_stream(text, bytes, &random, 1), whole);
        assert_int_equal(read_stream(text, bytes, &random, 50), whole);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arrays_and_lines_give_their_arguments),
        cmocka_unit_test(more_arguments_than_are_remembered_are_found_again),
        cmocka_unit_test(what_is_no_resp_or_too_large_is_refused),
        cmocka_unit_test(the_limits_are_where_they_are_said_to_be),
        cmocka_unit_test(any_stream_in_any_pieces_reads_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
