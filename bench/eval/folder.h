/* The folder that a report is written to. */
#ifndef EVAL_FOLDER_H
#define EVAL_FOLDER_H

#include <stdio.h>

/* All of these say on stderr what went wrong, and return 0 or -1; folder_open returns NULL. */

/* Makes it, with all folders above it. */
int folder_make(const char *folder);

FILE *folder_open(const char *folder, const char *name, const char *mode);
/* Everything that was written is in the file, or this fails. */
int folder_close(FILE *file, const char *folder, const char *name);

int folder_rename(const char *folder, const char *from, const char *to);
/* It is well if there is none. */
int folder_remove(const char *folder, const char *name);

#endif
