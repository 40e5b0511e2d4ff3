/* CRC-32C (Castagnoli): does the journal hold what was written? */
#ifndef CRC_H
#define CRC_H

#include <stddef.h>
#include <stdint.h>

/* Of these bytes. The first call makes the tables: it is to come from one thread alone. */
uint32_t crc32c(const void *data, size_t bytes);

#endif
