/* ctest: no-core */
/*
 * The reader of shared objects: what is cut short or damaged where it looks is refused, and nothing makes it read outside the file: behind the bytes lies a page that nobody may
 * touch. LOAD_ELF_ROUNDS in the environment: how many damages.
 */
#include "fixture.h"
#include "objects.h"
#include "swap/elf.h"

#include <fcntl.h>
#include <link.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct objects objects; /* of the objects, which are not loaded here */

static unsigned char *file;
static size_t size;

static int read_object(void **state)
{
    (void)state;
    struct stat status;
    int fd = open(OBJECTS "count_v1.so", O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0 && fstat(fd, &status) == 0);
    size = (size_t)status.st_size;
    file = malloc(size);
    assert_non_null(file);
    assert_int_equal(read(fd, file, size), size);
    close(fd);
    return 0;
}

static int free_object(void **state)
{
    (void)state;
    free(file);
    return 0;
}

/* What the reader says of so much of the file, which ends where the mapping does, or soon before. */
static int look_at(const unsigned char *bytes, size_t length, struct antk_elf *elf)
{
    static unsigned char *window;
    const size_t page = ANT_PAGE_BYTES, room = (size + page) / page * page;
    if (!window) {
        window = mmap(NULL, room + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        assert_true(window != MAP_FAILED && mprotect(window + room, page, PROT_NONE) == 0);
    }
    unsigned char *from = window + (room - length) / 16 * 16; /* aligned, if not like a page */
    const char *why = NULL;
    memcpy(from, bytes, length);
    int rc = antk_elf_read(from, length, elf, &why);
    assert_true(rc == 0 || (rc == -ENOEXEC && why));
    return rc;
}

static void a_whole_one_is_read(void **state)
{
    (void)state;
    struct antk_elf elf = {0};
    assert_int_equal(look_at(file, size, &elf), 0);
    assert_int_equal(elf.abi, ANT_ABI);
    assert_int_equal(elf.low, 0);
    assert_true(elf.high > elf.low && elf.high % 8 == 0 && elf.high < 16 * size);
}

/* The end of what the segments hold: section headers and names that nobody loads may be missing. */
static size_t end_of_segments(void)
{
    const ElfW(Ehdr) *header = (const void *)file;
    const ElfW(Phdr) *segments = (const void *)(file + header->e_phoff);
    size_t end = 0;
    for (unsigned i = 0; i < header->e_phnum; i++)
        if (segments[i].p_type == PT_LOAD && segments[i].p_offset + segments[i].p_filesz > end)
            end = segments[i].p_offset + segments[i].p_filesz;
    return end;
}

static void cut_short_it_is_refused_at_any_length(void **state)
{
    (void)state;
    struct antk_elf elf;
    size_t end = end_of_segments();
    for (size_t length = 0; length <= size; length += length < 4096 || length + 64 > end ? 1 : 61)
        assert_int_equal(look_at(file, length, &elf), length < end ? -ENOEXEC : 0);
}

static uint64_t draw(uint64_t *seed, uint64_t below)
{
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (*seed >> 33) % below;
}

/* Where the reader looks: header, segments, notes; and the dynamic section. */
static void damage(unsigned char *bytes, uint64_t *seed)
{
    static const uint64_t values[] = {0,      1,          8,          0x7f,     0xfff,
                                      0x1000, UINT32_MAX, UINT64_MAX, INT64_MAX};
    const ElfW(Ehdr) *header = (const void *)file;
    const ElfW(Phdr) *segments = (const void *)(file + header->e_phoff);
    size_t from = 0, length = header->e_phoff + header->e_phnum * sizeof *segments;
    unsigned i = (unsigned)draw(seed, header->e_phnum);
    if (segments[i].p_type == PT_NOTE || segments[i].p_type == PT_DYNAMIC) {
        from = segments[i].p_offset;
        length = segments[i].p_filesz;
    }
    size_t at = from + draw(seed, length);
    uint64_t value = values[draw(seed, sizeof values / sizeof *values)] + draw(seed, 3) - 1;
    switch (draw(seed, 3)) {
    case 0:
        bytes[at] = (unsigned char)draw(seed, 256);
        break;
    case 1:
        bytes[at] ^= (unsigned char)(1u << draw(seed, 8));
        break;
    default:
        at -= at % sizeof value;
        memcpy(bytes + at, &value, sizeof value);
    }
}

static void damaged_it_is_refused_or_read_within_its_bounds(void **state)
{
    (void)state;
    const char *wanted = getenv("LOAD_ELF_ROUNDS");
    unsigned long refused = 0, rounds = wanted ? strtoul(wanted, NULL, 10) : 5000;
    unsigned char *bytes = malloc(size);
    uint64_t seed = 1;
    assert_non_null(bytes);
    for (unsigned long round = 0; round < rounds; round++) {
        struct antk_elf elf;
        memcpy(bytes, file, size);
        for (uint64_t damages = 1 + draw(&seed, 4); damages > 0; damages--)
            damage(bytes, &seed);
        refused += look_at(bytes, size - (draw(&seed, 4) == 0 ? draw(&seed, size) : 0), &elf) != 0;
    }
    assert_true(refused > rounds / 4 && refused < rounds);
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_one_is_read),
        cmocka_unit_test(cut_short_it_is_refused_at_any_length),
        cmocka_unit_test(damaged_it_is_refused_or_read_within_its_bounds),
    };
    return cmocka_run_group_tests(tests, read_object, free_object);
}
