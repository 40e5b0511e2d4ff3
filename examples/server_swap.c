/*
 * The demo: files are served while their server is replaced.
 *
 *        clients  ---- READ block n, with an area --->  file server  ---- the same area --->  disk driver
 *   SHA-256, ledger                                     version 1, 2, 1, ...                  pread(2)
 *                                                            ^
 *                                     requester: ant_swap, hundreds of times, once to a version that does not start
 *
 * Clients read a real file, block by block, through an OS server and a driver. What they read travels in areas that are
 * handed on, not copied: the disk reads straight into the client's own. This thread, the first process of the core, has
 * the server replaced over and over, in turn by a version that keeps a cache in its state and by one that does not. It
 * measures response times without swaps first. At the end each client must have got exactly one answer for each of its
 * requests, in the order sent, and the SHA-256 of what it read must be the file's every time.
 *
 * Where to look: server_swap/file_server_v1.c and _v2.c are what a user of libant writes; client.c is the one who checks;
 * protocol.h is what they say to each other.
 *
 * ctest: machines=virtual,real,other movers=auto,strict-mremap,copy
 */
#include "server_swap/demo.h"
#include "server_swap/file_server.h"
#include "server_swap/protocol.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

/* --- Times of the run -------------------------------------------------------------------------------------------- */

static const uint64_t warm_up_ns = 100 * ANT_NS_PER_MS;
static const uint64_t calm_ns = 500 * ANT_NS_PER_MS;

/* On the virtual machine computing takes no time unless it is said how much: */
static const uint64_t virtual_hash_ns_per_kib = 1250;
static const uint64_t virtual_server_work_ns = 5 * ANT_NS_PER_US;

/* --- The file, read directly -------------------------------------------------------------------------------------- */

static int file_error(const struct demo *demo, const char *why)
{
    fprintf(stderr, "server_swap: cannot read %s: %s\n", demo->options.file, why);
    return -1;
}

static int file_open_and_hash(struct demo *demo)
{
    struct stat status;
    struct sha256_ctx sha256;
    static uint8_t buffer[1 << 16];
    ssize_t got;

    demo->fd = open(demo->options.file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (demo->fd < 0 || fstat(demo->fd, &status) != 0) {
        return file_error(demo, strerror(errno));
    }
    if (!S_ISREG(status.st_mode)) {
        return file_error(demo, S_ISDIR(status.st_mode) ? "it is a directory" : "it is no regular file");
    }
    sha256_init(&sha256);
    while ((got = read(demo->fd, buffer, sizeof buffer)) > 0) {
        sha256_update(&sha256, (size_t)got, buffer);
        demo->file_bytes += (uint64_t)got;
    }
    if (got < 0) {
        return file_error(demo, strerror(errno));
    }
    sha256_digest(&sha256, sizeof demo->sha256, demo->sha256);
    return 0;
}

/* --- The core and those who live in it ---------------------------------------------------------------------------- */

/* Up to here the whole pool is populated at boot, so that no allocation has to wait for Linux to find memory. */
static const size_t most_prefault_bytes = (size_t)256 << 20;

/* Room for every client's window, the server's requests to the disk, and the cache; the rest is to spare. */
static size_t pool_bytes(const struct options *options)
{
    size_t least = (size_t)64 << 20;
    size_t huge = 512; /* pages; areas from half of that on are rounded up to it */
    size_t pages = pages_of(options->block_bytes);
    size_t blocks = options->clients * (size_t)WINDOW + CACHE_BLOCKS;
    pages = pages >= huge / 2 ? huge : pages;
    size_t bytes = (blocks * (pages + 2) + 4 * huge) * ANT_PAGE_BYTES * 5 / 4;
    return bytes > least ? bytes : least;
}

static int boot(struct demo *demo)
{
    struct ant_config config = {
        .machine = demo->options.machine,
        .mover = demo->options.mover,
        .seed = demo->options.seed,
        .priority = PRIORITY_REQUESTER,
        .pool_bytes = pool_bytes(&demo->options),
        .max_processes = demo->options.clients + 16,
        .prefault = pool_bytes(&demo->options) <= most_prefault_bytes,
    };
    struct ant_info info;
    struct utsname kernel;

    int error = ant_boot(&config);
    if (error != 0) {
        fprintf(stderr, "server_swap: the core does not boot: %s\n", ant_strerror(error));
        return error;
    }
    (void)ant_info(&info); /* cannot fail: this is a process now */
    demo->is_fifo = info.machine == ANT_MACHINE_FIFO;
    demo->is_virtual = info.machine == ANT_MACHINE_VIRTUAL;
    snprintf(demo->machine, sizeof demo->machine, "%s", info.machine_name);
    snprintf(demo->machine_reason, sizeof demo->machine_reason, "%s", info.machine_reason);
    snprintf(demo->mover, sizeof demo->mover, "%s", info.mover_name);
    snprintf(demo->mover_reason, sizeof demo->mover_reason, "%s", info.mover_reason);
    if (uname(&kernel) == 0) {
        snprintf(demo->kernel, sizeof demo->kernel, "%.*s", (int)sizeof demo->kernel - 1, kernel.release);
    }
    return 0;
}

static bool start_servers(struct demo *demo)
{
    const struct ant_server_options disk_options = {.priority = PRIORITY_DISK};
    const struct ant_server_options server_options = {.priority = PRIORITY_SERVER};

    demo->disk = (struct disk){
        .fd = demo->fd,
        .file_bytes = demo->file_bytes,
        .block_bytes = (uint32_t)demo->options.block_bytes,
        .wait_ns = demo->options.disk_us * ANT_NS_PER_US,
    };
    disk_insert(&demo->disk);
    file_server_work_ns = demo->is_virtual ? virtual_server_work_ns : 0;
    return !demo_failed(demo, "starting the disk driver",
                        ant_serve(FN_DISK, &disk_driver, &disk_options, &demo->disk_pid)) &&
           !demo_failed(demo, "starting the file server",
                        ant_serve(FN_FILE, &file_server_v1, &server_options, &demo->server_pid));
}

static bool start_clients(struct demo *demo)
{
    for (unsigned i = 0; i < demo->options.clients; i++) {
        struct client *client = &demo->clients[i];
        snprintf(client->name, sizeof client->name, "client %u", i + 1);
        client->phase = &demo->phase;
        client->waits = i % 2 == 0;
        client->area_pages = pages_of(demo->options.block_bytes);
        client->work_ns =
            demo->is_virtual ? virtual_hash_ns_per_kib * demo->options.block_bytes / 1024 : 0;
        client->expected_sha256 = demo->sha256;

        const struct ant_process_options options = {.name = client->name, .priority = PRIORITY_CLIENT};
        int error = ant_process_create(&options, client_main, client, &demo->client_pids[i]);
        if (demo_failed(demo, "starting a client", error)) {
            return false;
        }
    }
    return true;
}

/* --- The run ------------------------------------------------------------------------------------------------------ */

static void run(struct demo *demo)
{
    bool ready = start_servers(demo) && start_clients(demo);
    if (ready) {
        progress_show(demo, "warming up", true);
        (void)ant_sleep(ant_now() + warm_up_ns);
        atomic_store(&demo->phase, PHASE_CALM);
        progress_show(demo, "measuring without swaps", true);
        (void)ant_sleep(ant_now() + calm_ns);
        if (demo->options.swaps > 0) {
            atomic_store(&demo->phase, PHASE_SWAPPING);
        }
        requester_swap_all(demo);
    }
    atomic_store(&demo->phase, PHASE_LAST);
    progress_show(demo, "the clients finish", true);
    for (unsigned i = 0; i < demo->options.clients && demo->client_pids[i] != 0; i++) {
        demo_failed(demo, "waiting for a client", ant_wait(demo->client_pids[i], ANT_FOREVER, NULL));
    }
    if (ready) { /* everybody else first, so that the core's last report must find nothing left */
        demo_failed(demo, "stopping the file server",
                    ant_stop(demo->server_pid, (int64_t)ANT_NS_PER_S, NULL));
        demo_failed(demo, "stopping the disk driver",
                    ant_stop(demo->disk_pid, (int64_t)ANT_NS_PER_S, NULL));
    }
    demo_failed(demo, "ant_shutdown", ant_shutdown(&demo->shutdown));
    progress_end();
}

/* Returns 0 if all is well. */
static int report(const struct demo *demo)
{
    struct totals totals;
    int error = 0;
    totals_init(&totals, demo);
    if (demo->options.json) {
        error = report_json(demo, &totals);
    } else {
        report_end(demo, &totals);
    }
    unsigned bad = verdict(demo, &totals);
    if (!demo->options.json) {
        printf(bad == 0 ? "All is well, in %.1f s.\n" : "Not all is well, after %.1f s.\n", demo->seconds);
    }
    totals_fini(&totals);
    if (fflush(stdout) != 0 || ferror(stdout) != 0 || error != 0) {
        fprintf(stderr, "server_swap: the report could not be written\n");
        error = -EIO;
    }
    return error != 0 || bad > 0 ? -1 : 0;
}

int main(int argc, char **argv)
{
    static struct demo demo;
    double begin_s = demo_wall_s();

    options_parse(&demo.options, argc, argv);
    if (file_open_and_hash(&demo) != 0) {
        return EXIT_FAILURE;
    }
    demo.clients = calloc(demo.options.clients, sizeof *demo.clients);
    demo.client_pids = calloc(demo.options.clients, sizeof *demo.client_pids);
    demo.reports = calloc(demo.options.swaps + 1, sizeof *demo.reports);
    if (demo.clients == NULL || demo.client_pids == NULL || demo.reports == NULL) {
        fprintf(stderr, "server_swap: no memory\n");
        return EXIT_FAILURE;
    }
    if (boot(&demo) != 0) {
        return EXIT_FAILURE;
    }
    if (!demo.options.json) {
        report_begin(&demo);
    }
    run(&demo);
    demo.seconds = demo_wall_s() - begin_s;
    int error = report(&demo);

    for (unsigned i = 0; i < demo.options.clients; i++) {
        client_fini(&demo.clients[i]);
    }
    free(demo.reports);
    free(demo.client_pids);
    free(demo.clients);
    (void)close(demo.fd);
    return error != 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
