/*
 * valgrind 3.19 does not know the system call userfaultfd, without which there is no mover `strict`. The device does the same, for those who may open it; so
 * here the one is made the other. All other system calls that libant makes itself pass through; what that takes is this program's own, and
 * not counted as libant's.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NEW_USERFAULTFD                                                                            \
    _IO(0xaa, 0x00) /* USERFAULTFD_IOC_NEW, which the headers of Linux 6.1 are the first to have */

static long open_device(long flags)
{
    int device = open("/dev/userfaultfd", O_RDWR | O_CLOEXEC);

    if (device < 0) {
        return -1;
    }
    long fd = ioctl(device, NEW_USERFAULTFD, flags);
    close(device);
    return fd;
}

long syscall(long number, ...)
{
    static long (*next)(long number, ...);
    long arguments[6];
    va_list list;

    va_start(list, number);
    for (int i = 0; i < 6; i++) {
        arguments[i] = va_arg(list, long);
    }
    va_end(list);
    if (number == SYS_userfaultfd) {
        return open_device(arguments[0]);
    }
    if (next == NULL) {
        *(void **)&next = dlsym(RTLD_NEXT, "syscall");
    }
    return next(number, arguments[0], arguments[1], arguments[2], arguments[3], arguments[4],
                arguments[5]);
}
