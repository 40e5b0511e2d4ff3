/* Files in a folder, with the messages that go with them. */
#include "folder.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int fail(const char *folder, const char *name)
{
    fprintf(stderr, "eval: %s%s%s: %s\n", folder, name != NULL ? "/" : "", name != NULL ? name : "",
            strerror(errno));
    return -1;
}

static int path_of(char *path, const char *folder, const char *name)
{
    if (snprintf(path, PATH_MAX, "%s/%s", folder, name) >= PATH_MAX) {
        errno = ENAMETOOLONG;
        return fail(folder, name);
    }
    return 0;
}

int folder_make(const char *folder)
{
    struct stat status;
    char path[PATH_MAX];

    if (path_of(path, folder, "") != 0) {
        return -1;
    }
    for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(path, 0777) != 0 && errno != EEXIST) {
            return fail(path, NULL);
        }
        *slash = '/';
    }
    if (stat(folder, &status) != 0) {
        return fail(folder, NULL);
    }
    if (!S_ISDIR(status.st_mode) || access(folder, W_OK | X_OK) != 0) {
        errno = S_ISDIR(status.st_mode) ? errno : ENOTDIR;
        return fail(folder, NULL);
    }
    return 0;
}

FILE *folder_open(const char *folder, const char *name, const char *mode)
{
    char path[PATH_MAX];
    FILE *file = NULL;
    if (path_of(path, folder, name) == 0) {
        file = fopen(path, mode);
        if (file == NULL) {
            fail(folder, name);
        }
    }
    return file;
}

int folder_close(FILE *file, const char *folder, const char *name)
{
    int failed = ferror(file);
    if (fclose(file) != 0) {
        return fail(folder, name);
    }
    if (failed) {
        errno = EIO;
        return fail(folder, name);
    }
    return 0;
}

int folder_rename(const char *folder, const char *from, const char *to)
{
    char from_path[PATH_MAX], to_path[PATH_MAX];
    if (path_of(from_path, folder, from) != 0 || path_of(to_path, folder, to) != 0) {
        return -1;
    }
    return rename(from_path, to_path) == 0 ? 0 : fail(folder, to);
}

int folder_remove(const char *folder, const char *name)
{
    char path[PATH_MAX];
    if (path_of(path, folder, name) != 0) {
        return -1;
    }
    return unlink(path) == 0 || errno == ENOENT ? 0 : fail(folder, name);
}
