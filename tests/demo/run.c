/* Running programs: see run.h. */
#include "run.h"

#include <sys/wait.h>
#include <unistd.h>

char *contents(FILE *file, size_t *bytes)
{
    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    long end = ftell(file);
    assert_true(end >= 0);
    rewind(file);
    char *text = malloc((size_t)end + 1);
    assert_non_null(text);
    assert_int_equal(fread(text, 1, (size_t)end, file), end);
    text[end] = 0;
    fclose(file);
    if (bytes)
        *bytes = (size_t)end;
    return text;
}

/* Files, not pipes: nobody has to read while the program runs. */
void run_program(struct run *run, const char *out_path, const char *const *arguments)
{
    FILE *out = out_path ? fopen(out_path, "r+") : tmpfile();
    FILE *err = tmpfile();
    assert_true(out && err);
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        if (dup2(fileno(out), STDOUT_FILENO) >= 0 && dup2(fileno(err), STDERR_FILENO) >= 0)
            execv(arguments[0], (char *const *)arguments);
        _exit(127);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    run->status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    run->out = contents(out, NULL);
    run->err = contents(err, NULL);
}

void run_fini(struct run *run)
{
    free(run->out);
    free(run->err);
}

void assert_refused(struct run *run, int status)
{
    if (run->status != status || run->out[0] || !run->err[0])
        fail_msg("status %d, not %d; stdout:\n%s\nstderr:\n%s", run->status, status, run->out, run->err);
    run_fini(run);
}

json_t *one_object(const struct run *run)
{
    json_error_t error;
    json_t *object = json_loads(run->out, JSON_REJECT_DUPLICATES, &error);
    if (!json_is_object(object))
        fail_msg("no object: %s; stdout:\n%s\nstderr:\n%s", error.text, run->out, run->err);
    return object;
}
