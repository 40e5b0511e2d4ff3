/*
 * The journal: a driver of one file, to which what the store has changed is appended before the clients get their answers; and which
 * is replayed into a store that starts afresh.
 *
 * The file is a head of 8 bytes and frames, one for each batch: struct kvd_frame and records. What is behind the last frame that is whole, as after
 * a crash in the middle of a write, is cut off, and kept in FILE.cut.
 *
 * Writing may fail (the disk is full). Then the frame is kept here, and written before anything else when it can be; until then the network
 * is told so with each answer, and the store refuses changes. So the file lags behind the store by one batch at most, whose clients have been told.
 *
 * The state is here, in the driver's own memory: this is no program that is ever swapped.
 */
#include "kvd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#define FRAME_MAGIC UINT32_C(0x4a44564b) /* "KVDJ" */

enum {
    HEAD_BYTES = 8,
    SYNC_TIMER = 1,
    FRAME_MOST_BYTES = sizeof(struct kvd_frame) + KVD_RECORDS_ROOM
};

static const char head[HEAD_BYTES + 1] = "kvd-j-1\n";

static struct {
    const struct options *options;
    int fd;
    uint64_t end;      /* of what is good: where the next frame goes */
    bool unsynced;     /* something has been written that has not been asked to be on the disk */
    bool syncing;      /* FN_SYNC is at it */
    size_t kept_bytes; /* of a frame that could not be written; 0: none */
    char *kept;
} journal = {.fd = -1};

/* --- The file ----------------------------------------------------------------------------------------------------------- */

static int complain(const char *what, int error)
{
    fprintf(stderr, "kvd: journal %s: %s: %s\n", journal.options->journal, what, strerror(error));
    return -1;
}

/* All of it, or a negative errno value. */
static int write_at(int fd, const void *bytes, size_t count, uint64_t at)
{
    const char *from = bytes;
    while (count > 0) {
        ssize_t written = pwrite(fd, from, count, (off_t)at);
        if (written < 0 && errno != EINTR) {
            return -errno;
        }
        if (written > 0) {
            from += written;
            count -= (size_t)written;
            at += (uint64_t)written;
        }
    }
    return 0;
}

/* As much as there is; a negative errno value. */
static ssize_t read_at(int fd, void *bytes, size_t count, uint64_t at)
{
    size_t got = 0;
    while (got < count) {
        ssize_t more = pread(fd, (char *)bytes + got, count - got, (off_t)(at + got));
        if (more < 0 && errno != EINTR) {
            return -errno;
        }
        if (more == 0) {
            break;
        }
        got += more > 0 ? (size_t)more : 0;
    }
    return (ssize_t)got;
}

int journal_open(const struct options *options)
{
    char there[HEAD_BYTES];
    journal.options = options;
    journal.kept = malloc(FRAME_MOST_BYTES);
    if (journal.kept == NULL) {
        return complain("cannot be opened", ENOMEM);
    }
    journal.fd = open(options->journal, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (journal.fd < 0) {
        return complain("cannot be opened", errno);
    }
    if (flock(journal.fd, LOCK_EX | LOCK_NB) != 0) {
        return complain("another process has it", errno);
    }
    ssize_t got = read_at(journal.fd, there, sizeof there, 0);
    if (got < 0) {
        return complain("cannot be read", (int)-got);
    }
    if (memcmp(there, head, (size_t)got) != 0) {
        fprintf(stderr, "kvd: %s is no journal of kvd's; it is left as it is\n", options->journal);
        return -1;
    }
    int error = write_at(journal.fd, head, HEAD_BYTES, 0); /* also where a crash has left a part of it */
    return error != 0 ? complain("cannot be written", -error) : 0;
}

void journal_close(void)
{
    if (journal.fd >= 0) {
        if (journal.options->fsync != FSYNC_NEVER && fdatasync(journal.fd) != 0) {
            (void)complain("cannot be written", errno);
        }
        (void)close(journal.fd);
    }
    free(journal.kept);
}

/* --- Appending ---------------------------------------------------------------------------------------------------------- */

/* At the end; the end moves only when all of it is there, and on the disk if that is asked for. */
static int append(const void *frame, size_t bytes)
{
    int error = write_at(journal.fd, frame, bytes, journal.end);
    if (error == 0 && journal.options->fsync == FSYNC_ALWAYS && fdatasync(journal.fd) != 0) {
        error = -errno;
    }
    if (error == 0) {
        journal.end += bytes;
        journal.unsynced = true;
    }
    return error;
}

/* What could not be written before. */
static int append_kept(void)
{
    if (journal.kept_bytes == 0) {
        return 0;
    }
    int error = append(journal.kept, journal.kept_bytes);
    if (error == 0) {
        journal.kept_bytes = 0;
        fprintf(stderr, "kvd: journal %s: can be written again\n", journal.options->journal);
    }
    return error;
}

/* frame->bytes of records follow it. */
static void seal(struct kvd_frame *frame)
{
    frame->magic = FRAME_MAGIC;
    frame->reserved = 0;
    frame->crc = (uint32_t)crc32(0, (const unsigned char *)(frame + 1), frame->bytes);
}

static int append_batch(struct kvd_batch *batch)
{
    int error = append_kept();
    if (error != 0 || batch->record_bytes == 0) {
        return error;
    }
    batch->frame.bytes = batch->record_bytes;
    seal(&batch->frame);
    size_t bytes = sizeof batch->frame + batch->record_bytes;
    error = append(&batch->frame, bytes);
    if (error != 0) {
        memcpy(journal.kept, &batch->frame, bytes);
        journal.kept_bytes = bytes;
        (void)complain("cannot be written", -error);
    }
    return error;
}

/* Of what has expired: what is lost of it will expire again. */
static int append_records(struct kvd_records *records)
{
    seal(&records->frame);
    return journal.kept_bytes > 0
               ? -EAGAIN
               : append(&records->frame, sizeof records->frame + records->frame.bytes);
}

/* --- Replaying ---------------------------------------------------------------------------------------------------------- */

/* Reads the frame at `at` behind what `records` has. 1: it is there; 0: there is none, or no whole one; a negative errno value. */
static int read_frame(struct kvd_records *records, uint64_t at, struct kvd_frame *frame)
{
    ssize_t got = read_at(journal.fd, frame, sizeof *frame, at);
    if (got != (ssize_t)sizeof *frame || frame->magic != FRAME_MAGIC || frame->bytes > KVD_RECORDS_ROOM) {
        return got < 0 ? (int)got : 0;
    }
    char *to = records->records + records->frame.bytes;
    got = read_at(journal.fd, to, frame->bytes, at + sizeof *frame);
    if (got != (ssize_t)frame->bytes) {
        return got < 0 ? (int)got : 0;
    }
    return crc32(0, (const unsigned char *)to, frame->bytes) == frame->crc;
}

/* Asks the store; the request and its area are back afterwards. */
static int ask_store(struct ant_request *rq, enum store_operation operation, void *data)
{
    rq->operation = operation;
    rq->data = data;
    int error = ant_call(rq, ANT_FOREVER);
    return error != 0 ? error : rq->status;
}

/* Sends frames to the store, many at once, until there are no more; journal.end is behind the last. room: of records. */
static int replay_frames(struct ant_request *rq, struct kvd_records *records, size_t room)
{
    struct kvd_frame frame;
    int there = 1, error = 0;
    journal.end = HEAD_BYTES;
    while (there == 1 && error == 0) {
        records->frame.bytes = 0;
        while (records->frame.bytes + KVD_RECORDS_ROOM <= room &&
               (there = read_frame(records, journal.end, &frame)) == 1) {
            records->frame.bytes += frame.bytes;
            journal.end += sizeof frame + frame.bytes;
        }
        if (records->frame.bytes > 0) {
            error = ask_store(rq, STORE_LOAD, records);
        }
    }
    return error != 0 ? error : there;
}

/* Keeps in FILE.cut what is behind the last whole frame, and cuts it off. */
static int cut(uint64_t file_bytes)
{
    char name[4096];
    static char block[1 << 16];
    uint64_t rest = file_bytes - journal.end;
    if ((size_t)snprintf(name, sizeof name, "%s.cut", journal.options->journal) >= sizeof name) {
        return -ENAMETOOLONG;
    }
    fprintf(stderr,
            "kvd: journal %s: its last %llu bytes are no whole frame; they are cut off, and kept in %s\n",
            journal.options->journal, (unsigned long long)rest, name);
    int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    int error = fd < 0 ? -errno : 0;
    for (uint64_t at = 0; at < rest && error == 0;) {
        ssize_t got = read_at(journal.fd, block, sizeof block, journal.end + at);
        error = got <= 0 ? -EIO : write_at(fd, block, (size_t)got, at);
        at += got > 0 ? (uint64_t)got : 0;
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    if (error == 0 && ftruncate(journal.fd, (off_t)journal.end) != 0) {
        error = -errno;
    }
    return error;
}

static int replay(void)
{
    static const size_t pages = KVD_BATCH_PAGES;
    struct ant_request *rq;
    struct stat status;
    void *area;
    journal.kept_bytes = 0; /* whose clients were told that it is not in the journal */
    int error = ant_request_new(FN_STORE, &rq);
    if (error != 0) {
        return error;
    }
    error = ant_ica_alloc(pages, &area);
    if (error == 0) {
        error = replay_frames(rq, area, pages * ANT_PAGE_BYTES - sizeof(struct kvd_records));
        if (rq->error == 0) { /* else the dead store has kept it */
            (void)ant_ica_free(area);
        }
    }
    if (error == 0 && fstat(journal.fd, &status) == 0 && (uint64_t)status.st_size > journal.end) {
        error = cut((uint64_t)status.st_size);
    }
    if (error == 0) {
        error = ask_store(rq, STORE_LOADED, NULL);
    }
    (void)ant_request_free(rq);
    return error;
}

/* --- The driver ---------------------------------------------------------------------------------------------------------- */

static int start(struct ant_server *self)
{
    (void)self;
    return journal.options->fsync == FSYNC_EVERY_SECOND
               ? ant_timer_set(SYNC_TIMER, ant_now() + ANT_NS_PER_S, ANT_NS_PER_S)
               : 0;
}

static void request(struct ant_server *self, struct ant_request *rq)
{
    int status = 0;
    (void)self;
    switch (rq->operation) {
    case JOURNAL_BATCH:
        ((struct kvd_batch *)rq->data)->journal_error = append_batch(rq->data);
        break;
    case JOURNAL_RECORDS:
        status = append_records(rq->data);
        break;
    case JOURNAL_REPLAY:
        status = replay();
        break;
    default:
        status = -EINVAL;
        break;
    }
    (void)ant_reply(rq, status);
}

/* fdatasync may take long: another process does it, and appending goes on. */
static void timer(struct ant_server *self, uint32_t id, uint64_t expirations)
{
    struct ant_request *rq;
    (void)self;
    (void)id;
    (void)expirations;
    if (!journal.unsynced || journal.syncing || ant_request_new(FN_SYNC, &rq) != 0) {
        return;
    }
    if (ant_send(rq) != 0) {
        (void)ant_request_free(rq);
        return;
    }
    journal.syncing = true;
    journal.unsynced = false;
}

static void result(struct ant_server *self, struct ant_request *rq)
{
    int error = rq->error != 0 ? rq->error : rq->status;
    (void)self;
    journal.syncing = false;
    if (error != 0) {
        journal.unsynced = true;
        (void)complain("fdatasync", -error);
    }
    (void)ant_request_free(rq);
}

const struct ant_program journal_program = {
    .abi = ANT_ABI,
    .version = 1,
    .name = "journal",
    .start = start,
    .request = request,
    .result = result,
    .timer = timer,
};

static void sync_request(struct ant_server *self, struct ant_request *rq)
{
    (void)self;
    (void)ant_reply(rq, fdatasync(journal.fd) == 0 ? 0 : -errno);
}

const struct ant_program sync_program = {
    .abi = ANT_ABI,
    .version = 1,
    .name = "sync",
    .request = sync_request,
};
