/* CRC-32C, eight bytes at a time: table n tells what a byte does to the checksum n bytes later. */
#include "crc.h"

#include <string.h>

static uint32_t table[8][256];

static void make_tables(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t crc = i;
        for (int bit = 0; bit < 8; bit++) {
            crc = crc >> 1 ^ (crc & 1 ? UINT32_C(0x82f63b78) : 0);
        }
        table[0][i] = crc;
    }
    for (int n = 1; n < 8; n++) {
        for (int i = 0; i < 256; i++) {
            table[n][i] = table[n - 1][i] >> 8 ^ table[0][table[n - 1][i] & 255];
        }
    }
}

uint32_t crc32c(const void *data, size_t bytes)
{
    const unsigned char *at = data;
    uint32_t crc = ~UINT32_C(0);
    if (table[0][1] == 0) {
        make_tables();
    }
    for (; bytes >= 8; bytes -= 8, at += 8) {
        uint32_t low, high;
        memcpy(&low, at, 4);
        memcpy(&high, at + 4, 4);
        low ^= crc;
        crc = table[7][low & 255] ^ table[6][low >> 8 & 255] ^ table[5][low >> 16 & 255] ^
              table[4][low >> 24] ^ table[3][high & 255] ^ table[2][high >> 8 & 255] ^
              table[1][high >> 16 & 255] ^ table[0][high >> 24];
    }
    for (; bytes > 0; bytes--, at++) {
        crc = crc >> 8 ^ table[0][(crc ^ *at) & 255];
    }
    return ~crc;
}
