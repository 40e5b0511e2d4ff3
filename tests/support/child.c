/* Children of fork: see child.h. */
#include "child.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern void __gcov_dump(void) __attribute__((weak));

/* stderr goes to a file, not a pipe: nobody has to read while the child runs. */
void child_run(struct child *child, void (*body)(void *arg), void *arg)
{
    assert_true(ant_self() == 0);
    memset(child, 0, sizeof *child);
    int file = memfd_create("stderr", MFD_CLOEXEC);
    assert_true(file >= 0);
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        dup2(file, STDERR_FILENO);
        setenv("CMOCKA_TEST_ABORT", "1", 1); /* an assertion must not go on to the parent's next test */
        body(arg);
        fflush(stderr);
        if (__gcov_dump)
            __gcov_dump();
        _exit(expect_failures() ? 1 : 0);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    child->exit_status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    child->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    off_t all = lseek(file, 0, SEEK_END), room = (off_t)sizeof child->errors - 1;
    ssize_t bytes = pread(file, child->errors, (size_t)room, all > room ? all - room : 0); /* its last words */
    assert_true(bytes >= 0);
    child->errors[bytes] = 0;
    close(file);
}

void child_assert_success(const struct child *child)
{
    if (child->exit_status != 0)
        fail_msg("the child ended with status %d, signal %d, saying:\n%s", child->exit_status,
                 child->signal, child->errors);
}

void child_must_succeed(void (*body)(void *arg), void *arg)
{
    struct child child;
    child_run(&child, body, arg);
    child_assert_success(&child);
}

/* --- For the body -------------------------------------------------------------------------------------------------- */

void child_become_nobody(void)
{
    struct rlimit none = {0, 0};
    expect(setrlimit(RLIMIT_RTPRIO, &none) == 0);
    if (geteuid() == 0) {
        expect(setgroups(0, NULL) == 0);
        expect(setresgid(65534, 65534, 65534) == 0);
        expect(setresuid(65534, 65534, 65534) == 0);
    }
}

static void install(struct sock_filter *filter, size_t count)
{
    struct sock_fprog program = {.len = (unsigned short)count, .filter = filter};
    expect(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    expect(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) == 0);
}

void child_forbid(long number, int error)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)number, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ((uint32_t)error & SECCOMP_RET_DATA)),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    install(filter, sizeof filter / sizeof *filter);
}

void child_forbid_userfaultfd(void)
{
    struct sock_filter filter[] = {
        /* the request is the second argument; little endian: its low half comes first */
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_ioctl, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[1])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)_IO(0xaa, 0x00), 0, 1), /* USERFAULTFD_IOC_NEW */
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EACCES),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    child_forbid(SYS_userfaultfd, ENOSYS);
    install(filter, sizeof filter / sizeof *filter);
}

void child_forbid_threads(void)
{
    child_forbid(SYS_clone3, EAGAIN);
    child_forbid(SYS_clone, EAGAIN);
}

/* The kernel counts address space; so nothing more can be mapped, and what malloc still has is taken. */
static struct taken {
    struct taken *next;
} * taken;

void child_exhaust_memory(void)
{
    struct rlimit limit;
    expect(getrlimit(RLIMIT_AS, &limit) == 0);
    limit.rlim_cur = 1;
    expect(setrlimit(RLIMIT_AS, &limit) == 0);
    for (size_t bytes = (size_t)1 << 20; bytes >= 16; bytes /= 2) {
        for (struct taken *one; (one = malloc(bytes)); taken = one)
            one->next = taken;
    }
}

void child_refill_memory(void)
{
    struct rlimit limit;
    expect(getrlimit(RLIMIT_AS, &limit) == 0);
    limit.rlim_cur = limit.rlim_max;
    expect(setrlimit(RLIMIT_AS, &limit) == 0);
    while (taken) {
        struct taken *one = taken;
        taken = one->next;
        free(one);
    }
}

/* Neighbours with other rights do not merge: one mapping each. */
#define MAPS_MAX ((size_t)4 << 20)
static void **maps;
static size_t map_count;

void child_exhaust_maps(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    maps = mmap(NULL, MAPS_MAX * sizeof *maps, PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    expect(maps != MAP_FAILED);
    for (map_count = 0; map_count < MAPS_MAX; map_count++) {
        int rights = map_count % 2 ? PROT_NONE : PROT_READ;
        maps[map_count] = mmap(NULL, page, rights, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (maps[map_count] == MAP_FAILED)
            break;
    }
    expect(map_count < MAPS_MAX);
}

void child_release_maps(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    while (map_count > 0)
        munmap(maps[--map_count], page);
    munmap(maps, MAPS_MAX * sizeof *maps);
}
