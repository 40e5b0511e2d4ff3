/* What the kernel tells about the computer. */
#include "host.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <time.h>

/* "model name : X" of the first CPU; other architectures may have no such line. */
static void read_cpu(char *text, size_t bytes)
{
    char line[256];
    FILE *file = fopen("/proc/cpuinfo", "re");

    snprintf(text, bytes, "unknown");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        char *colon = strchr(line, ':');
        if (strncmp(line, "model name", strlen("model name")) == 0 && colon != NULL) {
            line[strcspn(line, "\n")] = '\0';
            snprintf(text, bytes, "%s", colon + 1 + strspn(colon + 1, " "));
            break;
        }
    }
    if (file != NULL) {
        (void)fclose(file);
    }
}

void host_describe(struct host *host)
{
    struct utsname kernel;
    cpu_set_t cpus;
    struct tm local;
    time_t now = time(NULL);

    *host = (struct host){.cpus = get_nprocs()};
    if (uname(&kernel) == 0) {
        snprintf(host->kernel, sizeof host->kernel, "%s %s %s", kernel.sysname, kernel.release,
                 kernel.machine);
    }
    read_cpu(host->cpu, sizeof host->cpu);
    host->cpus_allowed = sched_getaffinity(0, sizeof cpus, &cpus) == 0 ? CPU_COUNT(&cpus) : host->cpus;
    if (localtime_r(&now, &local) != NULL) {
        strftime(host->date, sizeof host->date, "%Y-%m-%dT%H:%M:%S%z", &local);
    }
}
