/*
 * What every header of libant needs: linkage, constants, process ids, errors.
 *
 * Conventions of the whole interface
 * - A call acts for the process that makes it; there is no handle to pass around. From a thread that is no process
 *   of a core every call returns -EPERM, unless its contract says otherwise.
 * - A call returns 0, or a negative errno value; then nothing has changed, and no output has been written, unless the
 *   contract of that error says otherwise. Outputs are written only on success.
 * - Times are nanoseconds. A time (`_time_ns`, uint64_t) counts from the boot of the core; a time limit
 *   (`timeout_ns`, int64_t) counts from the call: ANT_FOREVER for none, 0 for "do not wait".
 */
#ifndef ANT_BASE_H
#define ANT_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define ANT_API __attribute__((visibility("default")))
#define ANT_NORETURN __attribute__((noreturn))
#else
#define ANT_API
#define ANT_NORETURN
#endif

#ifdef __cplusplus
#define ANT_BEGIN_DECLS extern "C" {
#define ANT_END_DECLS }
#else
#define ANT_BEGIN_DECLS
#define ANT_END_DECLS
#endif

#define ANT_VERSION_MAJOR 0
#define ANT_VERSION_MINOR 1
#define ANT_VERSION_PATCH 0
#define ANT_VERSION "0.1.0"

/* The binary interface between a core and the programs that run on it; a program carries the one it was built with. */
#define ANT_ABI 5u

/* The page of the emulated machine, in bytes: the unit of every ICA. */
#define ANT_PAGE_BYTES 4096u

/* No time limit. Any negative time limit means the same. */
#define ANT_FOREVER INT64_C(-1)

#define ANT_NS_PER_US UINT64_C(1000)
#define ANT_NS_PER_MS UINT64_C(1000000)
#define ANT_NS_PER_S UINT64_C(1000000000)

ANT_BEGIN_DECLS

/*
 * Names a process of a core: an index and a generation, so that the id of a process that has ended is never taken for
 * the process that has its place now. A server keeps its id through every swap. 0 names no process.
 */
typedef uint64_t ant_pid;

/*
 * Says in a sentence what an error of libant means.
 *
 * error: what a call returned (negative), or its positive errno value; any value is allowed.
 * Any thread, also one that is no process. Never blocks. The text is constant; nobody frees it.
 */
ANT_API const char *ant_strerror(int error);

/*
 * The version of the library that is running, as "major.minor.patch"; ANT_VERSION is the one compiled against.
 *
 * Any thread, also one that is no process. Never blocks. The text is constant; nobody frees it.
 */
ANT_API const char *ant_version(void);

ANT_END_DECLS

#endif
