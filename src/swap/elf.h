/*
 * ELF: what must be known of a shared object before it is loaded, read from a copy of its file in memory.
 *
 * Nothing in the file is believed: every offset, size and address is looked at before it is used. What is looked at is what the loader follows; what the code and the relocations hold is not.
 */
#ifndef ANTK_ELF_H
#define ANTK_ELF_H

#include <stddef.h>
#include <stdint.h>

struct antk_elf {
    uintptr_t low, high; /* of its segments, as addresses in the file */
    uint32_t abi;        /* that its note tells */
};

/* bytes: aligned like a page. -ENOEXEC: *why says what is wrong with it, in words that never change. */
int antk_elf_read(const void *bytes, size_t size, struct antk_elf *elf, const char **why);

#endif
