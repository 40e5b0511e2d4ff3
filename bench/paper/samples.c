/* Every sample as a line of CSV, its times in ms to the nanosecond. Columns that a kind has not are empty. */
#include "report.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

/* A column and the comma before it. */
static void print_ms(FILE *file, uint64_t ns)
{
    fprintf(file, ",%" PRIu64 ".%06" PRIu64, ns / ANT_NS_PER_MS, ns % ANT_NS_PER_MS);
}

static void print_responses(FILE *file, const char *kind, const struct paper_run *run)
{
    for (size_t i = 0; i < run->response_count; i++) {
        const struct paper_response *it = &run->responses[i];
        fprintf(file, "%s,%u,%u", kind, it->client, it->number);
        print_ms(file, it->sent_ns);
        print_ms(file, it->got_ns - it->sent_ns);
        fputs(",,,,\n", file);
    }
}

static void print_swaps(FILE *file, const struct paper_run *run)
{
    for (size_t i = 0; i < run->swap_count; i++) {
        const struct ant_swap_report *it = &run->swaps[i];
        fprintf(file, "swap,,%zu", i);
        print_ms(file, it->step_time_ns[ANT_SWAP_REQUEST]);
        print_ms(file, it->swap_ns);
        print_ms(file, it->base_ns);
        print_ms(file, it->request_work_ns);
        print_ms(file, it->result_work_ns);
        print_ms(file, it->higher_priority_ns);
        fputc('\n', file);
    }
    for (size_t i = 0; i < run->swap_count; i++) {
        const struct ant_swap_report *it = &run->swaps[i];
        fprintf(file, "blackout,,%zu", i);
        print_ms(file, it->step_time_ns[ANT_SWAP_WAKE_REQUESTER]);
        print_ms(file, it->blackout_ns);
        fputs(",,,,\n", file);
    }
}

int report_samples(const struct evaluation *evaluation, int fd)
{
    FILE *file = fdopen(fd, "w");

    if (file == NULL) {
        int error = -errno;
        (void)close(fd);
        return error;
    }
    fputs("kind,client,number,begin_ms,value_ms,base_ms,request_work_ms,result_work_ms,higher_priority_ms\n",
          file);
    print_responses(file, "response_without_swaps", &evaluation->calm);
    print_responses(file, "response", &evaluation->busy);
    print_swaps(file, &evaluation->busy);
    bool written = fflush(file) == 0 && ferror(file) == 0;
    int error = errno;
    if (fclose(file) != 0 && written) {
        written = false;
        error = errno;
    }
    if (written) {
        return 0;
    }
    return error != 0 ? -error : -EIO; /* an earlier write's error may be forgotten by now */
}
