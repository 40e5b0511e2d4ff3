/* What the errors of libant mean, in a sentence each. */
#include <ant/base.h>
#include <errno.h>
#include <string.h>

const char *ant_version(void)
{
    return ANT_VERSION;
}

const char *ant_strerror(int error)
{
    static const struct {
        int number;
        const char *text;
    } texts[] = {
        {0, "no error"},
        {EPERM, "not permitted: the caller is no process, or this is not its own"},
        {ESRCH, "no such process, or nobody serves that function"},
        {EAGAIN, "not now: the server's queue, the processes or the host's threads are used up, or a message comes first"},
        {ENOMEM, "no memory, pages or addresses left"},
        {EFAULT, "no area at that address"},
        {EBUSY, "in use: in service, the server's state, a swap of it is going on, or a process already"},
        {EEXIST, "somebody serves that function already"},
        {EINVAL, "an argument is not allowed"},
        {EDEADLK, "it would wait for ever"},
        {ELOOP, "it was passed on too often"},
        {EPROTO, "the program was built for another ABI, or calls another copy of libant"},
        {EBADMSG, "it is damaged"},
        {EIO, "input or output failed"},
        {ENOENT, "there is nothing of the kind"},
        {ENOTSUP, "not possible here: no transformer for that state, no such server, or no such mover"},
        {ETIMEDOUT, "the time limit passed"},
        {EALREADY, "its result is there, or the swap is decided, already"},
        {EINPROGRESS, "the server has it in service; its result will come"},
        {ECANCELED, "the swap was given up: the old server goes on"},
        {EINTR, "whoever asked for it was ended"},
        {EOWNERDEAD, "the process died, or ended before it was done"},
        {ESHUTDOWN, "it was asked to stop"},
        {ESTALE, "the state points into the object of the program that is replaced"},
        {ENOEXEC, "no shared object with a program for this machine, or a damaged one"},
        {ENOLINK, "the loader refuses the object: a symbol or a library is missing"},
    };
    int number = error < 0 && error != INT32_MIN ? -error : error;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (texts[i].number == number)
            return texts[i].text;
    const char *text = strerrordesc_np(number);
    return text ? text : "unknown error";
}
