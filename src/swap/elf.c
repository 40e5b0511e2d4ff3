/* ELF: see elf.h. The order of the checks is that of the functions, from the bottom up. */
#include "swap/elf.h"

#include <ant/base.h>
#include <errno.h>
#include <link.h>
#include <stdbool.h>
#include <string.h>

#define NOTE_OWNER "libant" /* as ANT_PROGRAM_EXPORT (load.h) writes it */
#define NOTE_TYPE 1
#define MAX_SEGMENTS 256u
#define MAX_SPAN ((uintptr_t)1 << 40) /* of addresses */

/* Our own: the object must be for the same machine. */
extern const ElfW(Ehdr) __ehdr_start __attribute__((visibility("hidden")));

struct file {
    const unsigned char *bytes;
    size_t size;
    const ElfW(Phdr) * segments;
    unsigned count;
    const char *why;
};

static bool wrong(struct file *file, const char *why)
{
    file->why = why;
    return false;
}

static bool holds(const struct file *file, uint64_t offset, uint64_t bytes)
{
    return offset <= file->size && bytes <= file->size - offset;
}

static const ElfW(Phdr) * segment_of(const struct file *file, uint32_t type)
{
    for (unsigned i = 0; i < file->count; i++)
        if (file->segments[i].p_type == type)
            return &file->segments[i];
    return NULL;
}

/* ---- the header ---- */

static bool read_header(struct file *file)
{
    const ElfW(Ehdr) *header = (const void *)file->bytes;
    if (file->size < sizeof *header || memcmp(header->e_ident, ELFMAG, SELFMAG) != 0)
        return wrong(file, "it is no ELF file");
    if (header->e_ident[EI_CLASS] != __ehdr_start.e_ident[EI_CLASS] ||
        header->e_ident[EI_DATA] != __ehdr_start.e_ident[EI_DATA] ||
        header->e_machine != __ehdr_start.e_machine)
        return wrong(file, "it is for another machine");
    if (header->e_ident[EI_VERSION] != EV_CURRENT || header->e_version != EV_CURRENT ||
        header->e_phentsize != sizeof(ElfW(Phdr)) || header->e_phoff % _Alignof(ElfW(Phdr)) != 0 ||
        header->e_phnum > MAX_SEGMENTS ||
        !holds(file, header->e_phoff, header->e_phnum * sizeof(ElfW(Phdr))))
        return wrong(file, "its header is damaged, or it is cut short");
    if (header->e_type != ET_DYN)
        return wrong(file, "it is no shared object");
    file->segments = (const void *)(file->bytes + header->e_phoff);
    file->count = header->e_phnum;
    return true;
}

/* ---- its segments ---- */

static bool segment_ok(const struct file *file, const ElfW(Phdr) * segment)
{
    return holds(file, segment->p_offset, segment->p_filesz) && segment->p_filesz <= segment->p_memsz &&
           segment->p_vaddr < MAX_SPAN && segment->p_memsz < MAX_SPAN &&
           segment->p_align >= ANT_PAGE_BYTES && (segment->p_align & (segment->p_align - 1)) == 0 &&
           (segment->p_vaddr - segment->p_offset) % segment->p_align == 0;
}

/* In the order of their addresses, as the loader assumes. */
static bool read_segments(struct file *file, struct antk_elf *elf)
{
    bool some = false;
    for (unsigned i = 0; i < file->count; i++) {
        const ElfW(Phdr) *segment = &file->segments[i];
        if (segment->p_type != PT_LOAD)
            continue;
        if (!segment_ok(file, segment) || (some && segment->p_vaddr < elf->high))
            return wrong(file, "its segments are damaged, or it is cut short");
        if (!some)
            elf->low = segment->p_vaddr;
        elf->high = segment->p_vaddr + segment->p_memsz;
        some = true;
    }
    return some || wrong(file, "it has no segments to load");
}

/* ---- what the loader follows ---- */

/* Are these addresses within one segment, in the part that the file has? */
static bool maps(const struct file *file, uintptr_t address, uintptr_t bytes)
{
    for (unsigned i = 0; i < file->count; i++) {
        const ElfW(Phdr) *segment = &file->segments[i];
        if (segment->p_type == PT_LOAD && address >= segment->p_vaddr &&
            address - segment->p_vaddr <= segment->p_filesz &&
            bytes <= segment->p_filesz - (address - segment->p_vaddr))
            return true;
    }
    return false;
}

static const ElfW(Dyn) * entry_of(const ElfW(Dyn) * entries, int64_t tag)
{
    while (entries->d_tag != DT_NULL && entries->d_tag != tag)
        entries++;
    return entries->d_tag == tag ? entries : NULL;
}

/* A table's address, and the tag of its length; DT_NULL: it is at least a word. */
static const struct {
    int64_t address, bytes;
} tables[] = {
    {DT_STRTAB, DT_STRSZ},
    {DT_SYMTAB, DT_NULL},
    {DT_RELA, DT_RELASZ},
    {DT_REL, DT_RELSZ},
    {DT_JMPREL, DT_PLTRELSZ},
    {DT_INIT_ARRAY, DT_INIT_ARRAYSZ},
    {DT_FINI_ARRAY, DT_FINI_ARRAYSZ},
    {DT_INIT, DT_NULL},
    {DT_FINI, DT_NULL},
    {DT_HASH, DT_NULL},
    {DT_GNU_HASH, DT_NULL},
    {DT_VERSYM, DT_NULL},
    {DT_VERNEED, DT_NULL},
    {DT_VERDEF, DT_NULL},
};

static bool table_ok(const struct file *file, const ElfW(Dyn) * entries, size_t i)
{
    const ElfW(Dyn) *table = entry_of(entries, tables[i].address);
    const ElfW(Dyn) *length = tables[i].bytes == DT_NULL ? NULL : entry_of(entries, tables[i].bytes);
    if (!table)
        return true;
    if (tables[i].bytes != DT_NULL && !length)
        return false;
    return maps(file, table->d_un.d_ptr, length ? length->d_un.d_val : 1);
}

/* A name that the loader will look up: of a library, or its own. */
static bool names_ok(const ElfW(Dyn) * entries)
{
    const ElfW(Dyn) *bytes = entry_of(entries, DT_STRSZ);
    for (const ElfW(Dyn) *entry = entries; entry->d_tag != DT_NULL; entry++) {
        bool names = entry->d_tag == DT_NEEDED || entry->d_tag == DT_SONAME ||
                     entry->d_tag == DT_RPATH || entry->d_tag == DT_RUNPATH;
        if (names && entry->d_un.d_val >= bytes->d_un.d_val)
            return false;
    }
    return true;
}

static bool read_dynamic(struct file *file)
{
    static const char damaged[] = "its dynamic section is damaged";
    const ElfW(Phdr) *segment = segment_of(file, PT_DYNAMIC);
    if (!segment || segment->p_offset % _Alignof(ElfW(Dyn)) != 0 ||
        !holds(file, segment->p_offset, segment->p_filesz) ||
        !maps(file, segment->p_vaddr, segment->p_filesz))
        return wrong(file, damaged);
    const ElfW(Dyn) *entries = (const void *)(file->bytes + segment->p_offset);
    size_t count = segment->p_filesz / sizeof *entries, ended = 0;
    while (ended < count && entries[ended].d_tag != DT_NULL)
        ended++;
    if (ended == count || !entry_of(entries, DT_STRTAB) || !entry_of(entries, DT_SYMTAB))
        return wrong(file, damaged);
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
        if (!table_ok(file, entries, i))
            return wrong(file, damaged);
    return names_ok(entries) || wrong(file, damaged);
}

/* ---- its notes ---- */

/* In a piece of the file: is ours there? Notes and their parts are padded to 4 bytes, or, in segments aligned so, to 8. */
static bool find_note(const unsigned char *bytes, size_t size, size_t align, uint32_t *abi)
{
    size_t at = 0;
    while (at <= size && size - at >= sizeof(ElfW(Nhdr))) {
        ElfW(Nhdr) note;
        memcpy(&note, bytes + at, sizeof note);
        at += sizeof note;
        size_t owner = at, value = owner + ((size_t)note.n_namesz + align - 1) / align * align;
        if (note.n_namesz > size - owner || value > size || note.n_descsz > size - value)
            return false;
        if (note.n_type == NOTE_TYPE && note.n_namesz == sizeof NOTE_OWNER &&
            note.n_descsz == sizeof *abi && memcmp(bytes + owner, NOTE_OWNER, sizeof NOTE_OWNER) == 0) {
            memcpy(abi, bytes + value, sizeof *abi);
            return true;
        }
        at = value + ((size_t)note.n_descsz + align - 1) / align * align;
    }
    return false;
}

static bool read_notes(struct file *file, struct antk_elf *elf)
{
    for (unsigned i = 0; i < file->count; i++) {
        const ElfW(Phdr) *segment = &file->segments[i];
        if (segment->p_type == PT_NOTE && holds(file, segment->p_offset, segment->p_filesz) &&
            find_note(file->bytes + segment->p_offset, segment->p_filesz,
                      segment->p_align == 8 ? 8 : 4, &elf->abi))
            return true;
    }
    return wrong(file, "it exports no program (ANT_PROGRAM_EXPORT)");
}

int antk_elf_read(const void *bytes, size_t size, struct antk_elf *elf, const char **why)
{
    struct file file = {.bytes = bytes, .size = size};
    if (read_header(&file) && read_segments(&file, elf) && read_dynamic(&file) && read_notes(&file, elf))
        return 0;
    *why = file.why;
    return -ENOEXEC;
}
