/* Cost profiles: the built-in ones, and JSON files, which are read whole, checked, and then taken or refused. */
#include "profile.h"

#include <ant/ant.h>
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_FILE_BYTES = 1 << 20 };

static const struct {
    const char *name;
    struct ant_costs costs;
} built_in[] = {
    {"none", {0}},
    /* AnT's 7.4 ms, in the one way that makes the paper's maxima come out: see docs/evaluation.md. */
    {"ant-paper",
     {.step_ns =
          {
              [ANT_SWAP_CREATE] = 4000000,
              [ANT_SWAP_LOOK] = 100000,
              [ANT_SWAP_WAKE_REQUESTER] = 100000,
              [ANT_SWAP_START] = 200000,
              [ANT_SWAP_REGISTER] = 700000,
              [ANT_SWAP_HAND_OVER] = 700000,
              [ANT_SWAP_WAKE_OLD] = 700000,
              [ANT_SWAP_WAKE_AGAIN] = 700000,
              [ANT_SWAP_RETURN] = 200000,
          }}},
};

/* A file that is read, and where what is wrong with it is said. */
struct reading {
    const char *path;
    char *error;
    size_t error_bytes;
};

static bool __attribute__((format(printf, 2, 3)))
refuse(const struct reading *reading, const char *format, ...)
{
    int length = snprintf(reading->error, reading->error_bytes, "%s", reading->path);
    va_list arguments;

    if (length >= 0 && (size_t)length < reading->error_bytes) {
        va_start(arguments, format);
        vsnprintf(reading->error + length, reading->error_bytes - (size_t)length, format, arguments);
        va_end(arguments);
    }
    return false;
}

/* --- What is in the object -------------------------------------------------------------------------------------------- */

static const char *type_name(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "an array";
    case JSON_STRING:
        return "text";
    case JSON_NULL:
        return "null";
    case JSON_TRUE:
    case JSON_FALSE:
        return "true or false";
    default:
        return "a number";
    }
}

/* unit_ns: what the member counts in. */
static bool read_cost(const struct reading *reading, const char *member, const json_t *value,
                      uint64_t unit_ns, uint64_t *cost_ns)
{
    double most = (double)ANT_COST_MAX_NS / (double)unit_ns;

    if (!json_is_number(value)) {
        return refuse(reading, ": %s is %s; allowed is a number from 0 to %.0f", member,
                      type_name(value), most);
    }
    double number = json_number_value(value);
    if (number < 0 || number > most) {
        return refuse(reading, ": %s is %g; allowed is a number from 0 to %.0f", member, number, most);
    }
    *cost_ns = (uint64_t)llround(number * (double)unit_ns);
    return true;
}

static bool read_steps(const struct reading *reading, json_t *steps, struct ant_costs *costs)
{
    const char *key;
    json_t *value;

    if (!json_is_object(steps)) {
        return refuse(reading, ": steps_ms is %s; allowed is an object: {\"create\": 4.0, ...}",
                      type_name(steps));
    }
    json_object_foreach(steps, key, value)
    {
        char member[64];
        int step = ANT_SWAP_REQUEST;
        while (step <= ANT_SWAP_EXIT && strcmp(key, ant_swap_step_name((enum ant_swap_step)step)) != 0) {
            step++;
        }
        if (step > ANT_SWAP_EXIT) {
            return refuse(reading,
                          ": steps_ms has no member '%s'; the steps are request, create, notify, look, "
                          "wake-requester, start, register, hand-over, wake-old, wake-again, return and exit",
                          key);
        }
        snprintf(member, sizeof member, "steps_ms.%s", key);
        if (!read_cost(reading, member, value, ANT_NS_PER_MS, &costs->step_ns[step])) {
            return false;
        }
    }
    return true;
}

/* It is shown in lines of text, so it must not break them. */
static bool read_name(const struct reading *reading, const json_t *value, char *own_name)
{
    const char *text = json_string_value(value);
    bool allowed = text != NULL && text[0] != '\0' && strlen(text) < PAPER_PROFILE_NAME_BYTES;

    for (const char *at = text; allowed && *at != '\0'; at++) {
        allowed = (unsigned char)*at >= ' ' && *at != 127;
    }
    if (!allowed) {
        return refuse(reading, ": name must be text of 1 to %d bytes without control characters",
                      PAPER_PROFILE_NAME_BYTES - 1);
    }
    memcpy(own_name, text, strlen(text) + 1);
    return true;
}

static bool read_object(const struct reading *reading, json_t *object, char *own_name,
                        struct ant_costs *costs)
{
    const char *key;
    json_t *value;
    bool fine = true, named = false;

    if (!json_is_object(object)) {
        return refuse(reading, ": is %s; allowed is an object: {\"name\": ...}", type_name(object));
    }
    json_object_foreach(object, key, value)
    {
        if (strcmp(key, "name") == 0) {
            named = true;
            fine = read_name(reading, value, own_name);
        } else if (strcmp(key, "create_ms") == 0) {
            fine = read_cost(reading, key, value, ANT_NS_PER_MS, &costs->create_ns);
        } else if (strcmp(key, "steps_ms") == 0) {
            fine = read_steps(reading, value, costs);
        } else if (strcmp(key, "switch_us") == 0) {
            fine = read_cost(reading, key, value, ANT_NS_PER_US, &costs->switch_ns);
        } else if (strcmp(key, "remap_page_us") == 0) {
            fine = read_cost(reading, key, value, ANT_NS_PER_US, &costs->remap_page_ns);
        } else {
            return refuse(reading,
                          ": there is no member '%s'; allowed are name, create_ms, steps_ms, switch_us and remap_page_us",
                          key);
        }
        if (!fine) {
            return false;
        }
    }
    return named || refuse(reading, ": name is missing; it must be text of 1 to %d bytes",
                           PAPER_PROFILE_NAME_BYTES - 1);
}

/* --- The file ------------------------------------------------------------------------------------------------------------ */

/* Returns its bytes, to be freed; NULL: refused. */
static char *read_file(const struct reading *reading, size_t *bytes)
{
    FILE *file = fopen(reading->path, "re");
    char *text = malloc(MAX_FILE_BYTES + 1);

    *bytes = file != NULL && text != NULL ? fread(text, 1, MAX_FILE_BYTES + 1, file) : 0;
    if (file == NULL && errno == ENOENT) {
        refuse(reading, ": no such file, and none of the built-in profiles, which are none and ant-paper");
    } else if (file == NULL || text == NULL || ferror(file)) {
        refuse(reading, ": cannot be read: %s", strerror(errno));
    } else if (*bytes > MAX_FILE_BYTES) {
        refuse(reading, ": is too big; allowed is 1 MiB");
    } else {
        (void)fclose(file);
        return text;
    }
    free(text);
    if (file != NULL) {
        (void)fclose(file);
    }
    return NULL;
}

static bool read_profile(const struct reading *reading, char *own_name, struct ant_costs *costs)
{
    json_error_t error;
    size_t bytes;
    char *text = read_file(reading, &bytes);

    if (text == NULL) {
        return false;
    }
    json_t *object = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, &error);
    free(text);
    if (object == NULL) {
        return refuse(reading, ", line %d: is no JSON: %s", error.line, error.text);
    }
    bool fine = read_object(reading, object, own_name, costs);
    json_decref(object);
    return fine;
}

int paper_profile_find(const char *name, char own_name[PAPER_PROFILE_NAME_BYTES],
                       struct ant_costs *costs, char *error, size_t error_bytes)
{
    const struct reading reading = {name, error, error_bytes};
    char read_own_name[PAPER_PROFILE_NAME_BYTES] = {0};
    struct ant_costs read = {0};

    for (size_t i = 0; i < sizeof built_in / sizeof built_in[0]; i++) {
        if (strcmp(name, built_in[i].name) == 0) {
            snprintf(own_name, PAPER_PROFILE_NAME_BYTES, "%s", name);
            *costs = built_in[i].costs;
            return 0;
        }
    }
    if (!read_profile(&reading, read_own_name, &read)) {
        return -EINVAL;
    }
    memcpy(own_name, read_own_name, sizeof read_own_name);
    *costs = read;
    return 0;
}
