/* The array for programs. docs/measurements.md lists its members, demo.bench holds it to that. */
#include "figures.h"

#include <jansson.h>
#include <stdio.h>

static const char *mover_name(enum ant_mover mover)
{
    static const char *const names[] = {"auto", "strict", "strict-mremap", "flat", "copy"};

    return names[mover];
}

static json_t *number_if(bool there, double number)
{
    return there ? json_real(number) : json_null();
}

static json_t *row_json(const struct figure *it, const struct place *place)
{
    const struct row *row = it->row;
    bool limited = row->limits[0] != NULL, judged = row->judged != JUDGED_NOT;
    bool fifo = place->machine == ANT_MACHINE_FIFO;
    char limit[64];

    row_limit_name(row, limit, sizeof limit);
    return json_pack("{s:s, s:s, s:f, s:f, s:i, s:o, s:o, s:o, s:o, s:o, s:s, s:s, s:i}", "name",
                     row->name, "unit", unit_name(row->unit), "median", it->median, "p99", it->p99,
                     "samples", (int)it->samples, "limit_name",
                     limited ? json_string(limit) : json_null(), "limit", number_if(limited, it->limit),
                     "ratio", number_if(limited, it->ratio), "target", number_if(judged, row->target),
                     "holds", judged && fifo ? json_boolean(figure_holds(it)) : json_null(),
                     "machine", fifo ? "fifo" : "other", "mover", mover_name(it->group->mover),
                     "cpus", (int)it->group->cpus);
}

void figures_json(const struct figures *figures, const struct place *place)
{
    json_t *array = json_array();

    for (size_t at = 0; at < figures->count; at++) {
        const struct figure *it = &figures->at[at];
        if (it->wanted && it->measured) {
            json_array_append_new(array, row_json(it, place));
        }
    }
    json_dumpf(array, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
    putchar('\n');
    json_decref(array);
}
