/* The disk driver: really reads the file, straight into the data area that comes with the request. */
#ifndef DISK_H
#define DISK_H

#include <ant/ant.h>

struct disk {
    int fd; /* of the file */
    uint64_t file_bytes;
    uint32_t block_bytes;
    uint64_t wait_ns; /* how long a read takes at least */
};

/* Puts the disk in, before the driver is started; both must stay until it has ended. */
void disk_insert(const struct disk *disk);

extern const struct ant_program disk_driver;

#endif
