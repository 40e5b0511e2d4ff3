/* INFO, COMMAND and CONFIG: what people and their tools ask. */
#include "store.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { INFO_BYTES = 4096 };

struct text {
    size_t bytes;
    char at[INFO_BYTES];
};

__attribute__((format(printf, 2, 3))) static void add(struct text *text, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    /* clang-tidy 14 does not see va_start. NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized) */
    int bytes = vsnprintf(text->at + text->bytes, sizeof text->at - text->bytes, format, arguments);
    va_end(arguments);
    if (bytes > 0 && (size_t)bytes < sizeof text->at - text->bytes) {
        text->bytes += (size_t)bytes;
    }
}

#define U(number) ((unsigned long long)(number))

static void add_memory(struct text *text, const struct execution *e)
{
    struct ant_heap_info heap = {0};
    struct ant_ica_stats pool = {0};
    (void)ant_heap_info(e->core->heap, &heap);
    (void)ant_ica_stats(&pool);
    add(text, "\r\n# Memory\r\n");
    add(text, "used_memory:%llu\r\n", U((pool.page_count - pool.free_pages) * ANT_PAGE_BYTES));
    add(text, "maxmemory:%llu\r\n", U(pool.page_count * ANT_PAGE_BYTES));
    add(text, "heap_areas:%llu\r\nheap_bytes:%llu\r\n", U(heap.areas), U(heap.bytes));
    add(text, "heap_used:%llu\r\nheap_free:%llu\r\n", U(heap.used_bytes), U(heap.free_bytes));
}

/* One reply, whatever section was asked for: it is short. */
void command_info(struct execution *e)
{
    const struct kvd_figures *figures = &e->batch->figures;
    const struct store_core *core = e->core;
    struct text text = {0};
    add(&text, "# Server\r\nkvd_version:%s\r\n", ant_version());
    add(&text, "process_id:%u\r\ntcp_port:%u\r\n", figures->process, figures->port);
    add(&text, "uptime_in_seconds:%llu\r\n", U((e->now_ms - figures->start_ms) / 1000));
    add(&text, "\r\n# Store\r\nstore_version:%u\r\n", e->self->program->version);
    add(&text, "state_version:%u\r\n", e->self->program->state_version);
    add(&text, "generation:%u\r\n", e->self->generation);
    add(&text, "swaps:%llu\r\n", U(figures->swaps));
    add(&text, "swaps_rolled_back:%llu\r\n", U(figures->swaps_rolled_back));
    add(&text, "last_blackout_us:%.1f\r\n", (double)figures->last_blackout_ns / 1000);
    add(&text, "longest_blackout_us:%.1f\r\n", (double)figures->longest_blackout_ns / 1000);
    add(&text, "\r\n# Clients\r\nconnected_clients:%llu\r\n", U(figures->connections));
    add_memory(&text, e);
    add(&text, "\r\n# Persistence\r\nloading:0\r\naof_enabled:%d\r\n", e->batch->journalled);
    add(&text, "aof_last_write_status:%s\r\n", e->batch->journal_failing ? "err" : "ok");
    add(&text, "\r\n# Stats\r\ntotal_connections_received:%llu\r\n", U(figures->connections_accepted));
    add(&text, "rejected_connections:%llu\r\n", U(figures->connections_refused));
    add(&text, "closed_connections:%llu\r\n", U(figures->connections_closed));
    add(&text, "total_batches:%llu\r\n", U(figures->batches));
    add(&text, "total_commands_processed:%llu\r\n", U(core->commands));
    add(&text, "expired_keys:%llu\r\n", U(core->expired));
    add(&text, "keyspace_hits:%llu\r\n", U(core->hits));
    add(&text, "keyspace_misses:%llu\r\n", U(core->misses));
    add(&text, "\r\n# Keyspace\r\n");
    if (core->items > 0) {
        add(&text, "db0:keys=%llu,expires=%llu\r\n", U(core->items), U(core->timed));
    }
    reply_bulk(e, text.at, text.bytes);
}

/* COMMAND [COUNT | DOCS]: there are no texts, which clients bear with. */
void command_command(struct execution *e)
{
    if (e->argc == 1) {
        reply_number(e, '*', (int64_t)store_command_count);
        for (size_t i = 0; i < store_command_count; i++) {
            const struct command *command = &store_commands[i];
            reply_number(e, '*', 3);
            reply_bulk(e, command->name, strlen(command->name));
            reply_number(e, ':', command->arity);
            reply_text(e, command->writes ? "*1\r\n+write\r\n" : "*1\r\n+readonly\r\n");
        }
    } else if (argument_is(e, 1, "COUNT") && e->argc == 2) {
        reply_number(e, ':', (int64_t)store_command_count);
    } else if (argument_is(e, 1, "DOCS")) {
        reply_number(e, '*', 0);
    } else {
        reply_text(e, "-ERR unknown subcommand. COMMAND knows COUNT and DOCS\r\n");
    }
}

/* CONFIG GET save | appendonly, as redis-benchmark asks. */
void command_config(struct execution *e)
{
    if (!argument_is(e, 1, "GET") || e->argc != 3) {
        reply_text(e, "-ERR unknown subcommand. CONFIG knows GET with one parameter\r\n");
        return;
    }
    const char *value = argument_is(e, 2, "save")         ? ""
                        : argument_is(e, 2, "appendonly") ? (e->batch->journalled ? "yes" : "no")
                                                          : NULL;
    reply_number(e, '*', value != NULL ? 2 : 0);
    if (value != NULL) {
        reply_bulk(e, argument(e, 2), e->args[2].bytes);
        reply_bulk(e, value, strlen(value));
    }
}
