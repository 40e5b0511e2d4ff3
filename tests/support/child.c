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
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* The exit status of a child that is not to be traced here. */
#define NOT_TRACED 77

extern void __gcov_dump(void) __attribute__((weak));

/* stderr goes to a file, not a pipe: nobody has to read while the child runs. */
static pid_t begin(struct child *child, int *file, bool traced, void (*body)(void *arg), void *arg)
{
    assert_true(ant_self() == 0);
    memset(child, 0, sizeof *child);
    *file = memfd_create("stderr", MFD_CLOEXEC);
    assert_true(*file >= 0);
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        dup2(*file, STDERR_FILENO);
        setenv("CMOCKA_TEST_ABORT", "1", 1); /* an assertion must not go on to the parent's next test */
        if (traced && (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0 || raise(SIGSTOP) != 0))
            _exit(NOT_TRACED);
        body(arg);
        fflush(stderr);
        if (__gcov_dump)
            __gcov_dump();
        _exit(expect_failures() ? 1 : 0);
    }
    return pid;
}

static void end(struct child *child, int file, int status)
{
    child->exit_status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    child->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    off_t all = lseek(file, 0, SEEK_END), room = (off_t)sizeof child->errors - 1;
    ssize_t bytes = pread(file, child->errors, (size_t)room, all > room ? all - room : 0); /* its last words */
    assert_true(bytes >= 0);
    child->errors[bytes] = 0;
    close(file);
}

void child_run(struct child *child, void (*body)(void *arg), void *arg)
{
    int file, status;
    pid_t pid = begin(child, &file, false, body, arg);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    end(child, file, status);
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

/* --- System calls ---------------------------------------------------------------------------------------------------- */

/* A mark is a system call that does nothing, and whose first argument is this. */
#define MARK UINT64_C(0x616e746d)

void child_section(unsigned section)
{
    prctl((int)MARK, (unsigned long)section, 0, 0, 0);
}

/* A thread of the child's has stopped at the beginning or the end of a system call. */
static void tell(pid_t thread, struct child_call *call, child_call_seen *seen, void *context)
{
    struct __ptrace_syscall_info info;
    if (ptrace(PTRACE_GET_SYSCALL_INFO, thread, sizeof info, &info) <= 0 ||
        info.op != PTRACE_SYSCALL_INFO_ENTRY)
        return;
    call->thread = thread;
    call->number = (long)info.entry.nr;
    memcpy(call->arguments, info.entry.args, sizeof call->arguments);
    if (call->number == SYS_prctl && call->arguments[0] == MARK)
        call->section = (unsigned)call->arguments[1];
    else if (call->section != 0)
        seen(context, call);
}

/* Returns how the child ended. Stops by signals are passed on, but for the one with which each new thread begins. */
static int follow(pid_t pid, child_call_seen *seen, void *context)
{
    struct child_call call = {0};
    for (;;) {
        int status;
        pid_t thread = waitpid(-1, &status, __WALL);
        assert_true(thread > 0);
        if (thread == pid && !WIFSTOPPED(status))
            return status;
        if (!WIFSTOPPED(status))
            continue;
        int signal = WSTOPSIG(status);
        bool own = signal == SIGSTOP || signal == SIGTRAP || signal == (SIGTRAP | 0x80);
        if (signal == (SIGTRAP | 0x80))
            tell(thread, &call, seen, context);
        ptrace(PTRACE_SYSCALL, thread, NULL, own ? 0L : (long)signal);
    }
}

bool child_run_traced(struct child *child, void (*body)(void *arg), void *arg,
                      child_call_seen *seen, void *context)
{
    int file, status;
    pid_t pid = begin(child, &file, true, body, arg);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    bool traced = WIFSTOPPED(status);
    if (traced) {
        long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_EXITKILL;
        assert_int_equal(ptrace(PTRACE_SETOPTIONS, pid, NULL, options), 0);
        assert_int_equal(ptrace(PTRACE_SYSCALL, pid, NULL, 0L), 0);
        status = follow(pid, seen, context);
    }
    end(child, file, status);
    return traced;
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
