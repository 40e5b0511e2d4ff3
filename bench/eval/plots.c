/*
 * One figure: NAME.dat (numbers, to be read by people too), NAME.gp (the script; `gnuplot NAME.gp` in the folder draws it again), NAME.svg.
 *
 * A panel is a block of the data file, which gnuplot calls an index.
 */
#include "plots.h"

#include "child.h"
#include "folder.h"
#include "plot_data.h"

#include <math.h>
#include <stdio.h>

enum {
    NAME_BYTES = 32,
    PANEL_HEIGHT = 250,
    TOP_HEIGHT = 90,
    LEGEND_HEIGHT = 120,
    GAP_HEIGHT = 60,
    WIDTH = 520
};

#define SOLID "Solid: 50 swaps, as the paper measured; "

static const struct figure virtual_figures[] = {
    {"fig7", "swap time, R = 1 ms", SOLID "dashed: the longest of all swaps, many of them aimed.",
     7, RUN_PAPER},
    {"fig8", "swap time, E = 1 ms", SOLID "dashed: the longest of all swaps, many of them aimed.",
     8, RUN_PAPER},
    {"fig9", "response time, E = 10 ms, R = 1 ms",
     SOLID "dashed: the longest response of all runs.", 9, RUN_PAPER},
    {"fig10", "maximum response time with swaps, minus the one without",
     "(A) 50 swaps, as the paper measured; (B) the maxima of all runs. Lines of 15 and 20 ms lie on each other.",
     10, RUN_PAPER},
};

static const struct figure real_figures[] = {
    {"fig7", "swap time, R = 1 ms", SOLID "dashed: the bound that libant computes.", 7, RUN_PAPER},
    {"fig7_own", "swap time, R = 1 ms, libant's own swap",
     "The same, on the same scale, but the swap takes what libant takes.", 7, RUN_OWN},
    {"fig8", "swap time, E = 1 ms", SOLID "dashed: the bound that libant computes.", 8, RUN_PAPER},
    {"fig8_own", "swap time, E = 1 ms, libant's own swap",
     "The same, on the same scale, but the swap takes what libant takes.", 8, RUN_OWN},
    {"fig9", "response time, E = 10 ms, R = 1 ms", "50 swaps, as the paper measured.", 9, RUN_PAPER},
    {"fig9_own", "response time, E = 10 ms, R = 1 ms, libant's own swap",
     "The same, on the same scale, but the swap takes what libant takes.", 9, RUN_OWN},
    {"fig10", "maximum response time with swaps, minus the one without",
     "50 swaps, as the paper measured.", 10, RUN_PAPER},
    {"fig10_own", "the same difference, libant's own swap",
     "The same, on the same scale, but the swap takes what libant takes.", 10, RUN_OWN},
};

size_t plots_figures(const struct options *options, const struct figure **figures)
{
    *figures = options->real ? real_figures : virtual_figures;
    return options->real ? sizeof real_figures / sizeof real_figures[0]
                         : sizeof virtual_figures / sizeof virtual_figures[0];
}

static int write_data(const char *folder, const struct sweep *sweep, const struct figure *figure,
                      const struct plot_data *data)
{
    char name[NAME_BYTES], title[TITLE_BYTES];
    snprintf(name, sizeof name, "%s.dat", figure->name);
    FILE *file = folder_open(folder, name, "we");
    if (file == NULL) {
        return -1;
    }
    for (unsigned panel = 0; panel < data->panels; panel++) {
        fprintf(file, "%s# Fig. %u: %s, ms. %s\n# n", panel > 0 ? "\n\n" : "", figure->number,
                figure->title, data->titles[panel]);
        for (unsigned column = 0; column < data->columns; column++) {
            plot_data_column(title, figure->number, column, sweep->options->real);
            fprintf(file, " | %s", title);
        }
        for (unsigned clients = 1; clients <= sweep->options->clients; clients++) {
            fprintf(file, "\n%u", clients);
            for (unsigned column = 0; column < data->columns; column++) {
                fprintf(file, " %.6g", data->at[panel][clients][column]);
            }
        }
        fprintf(file, "\n");
    }
    return folder_close(file, folder, name);
}

/* --- Scripts ------------------------------------------------------------------------------------------------------------ */

/* Colours (Okabe and Ito's) that differ for the colour-blind and are seen on white and on black. */
static const char styles[] = "set style line 1 lc rgb '#0072B2' lw 2 pt 11 ps 0.7\n"
                             "set style line 2 lc rgb '#009E73' lw 2 pt 5 ps 0.6\n"
                             "set style line 3 lc rgb '#E69F00' lw 2 pt 7 ps 0.6\n"
                             "set style line 4 lc rgb '#D55E00' lw 2 pt 9 ps 0.7\n"
                             "set style line 5 lc rgb '#808080' lw 1.5 pt 6 ps 0.4 dt 2\n"
                             "set style line 6 lc rgb '#CC79A7' lw 2 pt 13 ps 0.7\n"
                             "set style line 7 lc rgb '#56B4E9' lw 2 pt 12 ps 0.9\n";

static void write_head(FILE *file, const struct sweep *sweep, const struct figure *figure,
                       const struct plot_data *data, double top)
{
    unsigned height = data->panels * PANEL_HEIGHT + TOP_HEIGHT + LEGEND_HEIGHT;
    fprintf(file, "# Fig. %u of the paper: %s. Draw it again with: gnuplot %s.gp\n", figure->number,
            figure->title, figure->name);
    fprintf(file, "set terminal svg size %d,%u dynamic noenhanced font 'sans-serif,14' background '#ffffff' name '%s'\n",
            WIDTH, height, figure->name);
    fprintf(file, "set output '%s.svg'\n%s", figure->name, styles);
    fprintf(file, "set multiplot layout %u,1 title \"Fig. %u: %s%s\" margins 0.13,0.97,%.3f,%.3f spacing 0,%.3f\n",
            data->panels, figure->number, figure->title,
            sweep_is_not_real_time(sweep) ? "\\nNOT REAL-TIME" : "", (double)LEGEND_HEIGHT / height,
            1 - (double)TOP_HEIGHT / height, (double)GAP_HEIGHT / height);
    fprintf(file,
            "set grid ytics\nset xrange [0.7:%u.3]\nset xtics 1\nset yrange [0:%g]\n"
            "set ylabel '%s [ms]' offset 1,0\nunset key\n",
            sweep->options->clients, top,
            figure->number == 9    ? "response time"
            : figure->number == 10 ? "difference of maxima"
                                   : "swap time");
}

/* gnuplot's line styles from 5 on are out of order for the sake of the dashed one. */
static void write_panel(FILE *file, const struct sweep *sweep, const struct figure *figure,
                        const struct plot_data *data, unsigned panel)
{
    char title[TITLE_BYTES];
    if (panel + 1 == data->panels) {
        fprintf(file, "set xlabel 'APs, n' offset 0,0.4\nset key at screen 0.5,0.005 center bottom horizontal maxcols 3 width 1 samplen 2 font ',13'\n");
    }
    fprintf(file, "set title '%s' offset 0,-0.5\nplot", data->titles[panel]);
    for (unsigned column = 0; column < data->columns; column++) {
        if (isnan(data->at[panel][1][column])) {
            continue; /* it has no such line */
        }
        plot_data_column(title, figure->number, column, sweep->options->real);
        unsigned style = figure->number == 10 && column >= DASHED_COLUMN ? column + 2 : column + 1;
        fprintf(file, "%s '%s.dat' index %u using 1:%u with linespoints ls %u title '%s'",
                column > 0 ? ", \\\n    " : "", figure->name, panel, column + 2, style, title);
    }
    fprintf(file, "\n");
}

static int write_script(const char *folder, const struct sweep *sweep, const struct figure *figure,
                        const struct plot_data *data, double top)
{
    char name[NAME_BYTES];
    snprintf(name, sizeof name, "%s.gp", figure->name);
    FILE *file = folder_open(folder, name, "we");
    if (file == NULL) {
        return -1;
    }
    write_head(file, sweep, figure, data, top);
    for (unsigned panel = 0; panel < data->panels; panel++) {
        write_panel(file, sweep, figure, data, panel);
    }
    fprintf(file, "unset multiplot\n");
    return folder_close(file, folder, name);
}

/* --- gnuplot ------------------------------------------------------------------------------------------------------------ */

int plots_check(void)
{
    int status = child_run(".", (char *[]){"gnuplot", "--version", NULL}, "/dev/null");
    if (status != 0) {
        fprintf(stderr, "eval: gnuplot draws the figures, but it is missing. Its package is gnuplot-nox on Debian: "
                        "apt-get install gnuplot-nox (./dev eval does that)\n");
        return -1;
    }
    return 0;
}

static int draw(const char *folder, const struct figure *figure)
{
    char name[NAME_BYTES];
    snprintf(name, sizeof name, "%s.gp", figure->name);
    int status = child_run(folder, (char *[]){"gnuplot", name, NULL}, NULL);
    if (status != 0) {
        fprintf(stderr, "eval: gnuplot %s/%s: %s %d\n", folder, name,
                status > 0 ? "status" : "error", status);
        return -1;
    }
    return 0;
}

int plots_write(const char *folder, const struct sweep *sweep)
{
    const struct figure *figures;
    struct plot_data data, other;
    size_t count = plots_figures(sweep->options, &figures);

    for (size_t i = 0; i < count; i++) {
        const struct figure *figure = &figures[i];
        plot_data_fill(&data, sweep, figure->number, figure->kind);
        /* The figure that is to be compared with this one has the same scale. */
        plot_data_fill(&other, sweep, figure->number,
                       !sweep->options->real || figure->kind == RUN_OWN ? RUN_PAPER : RUN_OWN);
        double top = ceil(fmax(data.highest, other.highest) * 1.08);
        if (write_data(folder, sweep, figure, &data) != 0 ||
            write_script(folder, sweep, figure, &data, top) != 0 || draw(folder, figure) != 0) {
            return -1;
        }
    }
    return 0;
}
