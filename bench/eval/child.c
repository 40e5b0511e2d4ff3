/* Child processes by posix_spawn: see child.h. */
#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ROOM_BYTES = 16384 };

/* The caller may have signals blocked or handled: the child shall not. */
static int attributes_init(posix_spawnattr_t *attributes)
{
    sigset_t none, all;
    int error = posix_spawnattr_init(attributes);
    if (error == 0) {
        sigemptyset(&none);
        sigfillset(&all);
        posix_spawnattr_setsigmask(attributes, &none);
        posix_spawnattr_setsigdefault(attributes, &all);
        posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    }
    return error;
}

static int spawn(pid_t *pid, char *const *arguments, const posix_spawn_file_actions_t *actions)
{
    posix_spawnattr_t attributes;
    int error = attributes_init(&attributes);
    if (error == 0) {
        error = posix_spawnp(pid, arguments[0], actions, &attributes, arguments, environ);
        posix_spawnattr_destroy(&attributes);
    }
    return error;
}

/* posix_spawn knows no CPUs, but a child inherits ours: so we are on its CPU while it is made. */
static int spawn_on(pid_t *pid, char *const *arguments, const posix_spawn_file_actions_t *actions, int cpu)
{
    cpu_set_t ours, its;
    if (cpu < 0) {
        return spawn(pid, arguments, actions);
    }
    CPU_ZERO(&its);
    CPU_SET((unsigned)cpu, &its);
    if (sched_getaffinity(0, sizeof ours, &ours) != 0 || sched_setaffinity(0, sizeof its, &its) != 0) {
        return errno;
    }
    int error = spawn(pid, arguments, actions);
    (void)sched_setaffinity(0, sizeof ours, &ours);
    return error;
}

int child_start(struct child *child, char *const *arguments, int cpu)
{
    posix_spawn_file_actions_t actions;
    int ends[2];

    *child = (struct child){.fd = -1, .err = memfd_create("stderr", MFD_CLOEXEC)};
    if (child->err < 0) {
        return -errno;
    }
    if (pipe2(ends, O_CLOEXEC) != 0) {
        int error = errno;
        child_stop(child);
        return -error;
    }
    child->fd = ends[0];
    int error = posix_spawn_file_actions_init(&actions);
    if (error == 0) {
        error = posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
        if (error == 0) {
            error = posix_spawn_file_actions_adddup2(&actions, child->err, STDERR_FILENO);
        }
        if (error == 0) {
            error = spawn_on(&child->pid, arguments, &actions, cpu);
        }
        posix_spawn_file_actions_destroy(&actions);
    }
    close(ends[1]);
    if (error != 0) {
        child->pid = 0;
        child_stop(child);
    }
    return -error;
}

int child_read(struct child *child, int *status)
{
    if (child->room - child->bytes < 2) {
        size_t room = child->room > 0 ? 2 * child->room : ROOM_BYTES;
        char *text = realloc(child->text, room);
        if (text == NULL) {
            return -ENOMEM;
        }
        child->text = text;
        child->room = room;
    }
    ssize_t bytes = read(child->fd, child->text + child->bytes, child->room - child->bytes - 1);
    if (bytes < 0) {
        return errno == EINTR ? 0 : -errno;
    }
    child->bytes += (size_t)bytes;
    child->text[child->bytes] = '\0';
    if (bytes > 0) {
        return 0;
    }
    close(child->fd);
    child->fd = -1;
    pid_t pid = child->pid;
    child->pid = 0;
    return waitpid(pid, status, 0) == pid ? 1 : -errno;
}

void child_complain(const struct child *child)
{
    char text[ROOM_BYTES];
    ssize_t bytes = pread(child->err, text, sizeof text, 0);
    if (bytes > 0) {
        (void)fwrite(text, 1, (size_t)bytes, stderr);
    }
}

void child_stop(struct child *child)
{
    if (child->pid > 0) {
        (void)kill(child->pid, SIGKILL);
        (void)waitpid(child->pid, NULL, 0);
    }
    if (child->fd >= 0) {
        close(child->fd);
    }
    if (child->err >= 0) {
        close(child->err);
    }
    free(child->text);
    *child = (struct child){.fd = -1, .err = -1};
}

int child_run(const char *folder, char *const *arguments, const char *out)
{
    posix_spawn_file_actions_t actions;
    pid_t pid;
    int status;

    int error = posix_spawn_file_actions_init(&actions);
    if (error != 0) {
        return -error;
    }
    error = posix_spawn_file_actions_addchdir_np(&actions, folder);
    if (error == 0 && out != NULL) {
        error = posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, out, O_WRONLY, 0);
    }
    if (error == 0) {
        error = spawn(&pid, arguments, &actions);
    }
    posix_spawn_file_actions_destroy(&actions);
    if (error != 0) {
        return -error;
    }
    if (waitpid(pid, &status, 0) != pid) {
        return -errno;
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : -ECANCELED;
}
