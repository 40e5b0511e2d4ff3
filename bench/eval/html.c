/* HTML: see html.h. Nothing here, and so nothing on the page, refers to another file or site. */
#include "html.h"

#include "folder.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The figures are drawn black on white; on the page they take the page's ink and paper. */
static const char style[] =
    ":root{color-scheme:light dark;--ink:#1b1b1b;--paper:#fff;--soft:#666;--line:#d5d5d5;--good:#e6f4ea;--bad:#fbdcd6;--code:#f3f3f3}\n"
    "@media(prefers-color-scheme:dark){:root{--ink:#e8e8e8;--paper:#15171a;--soft:#a0a0a0;--line:#3a3d42;--good:#173a24;--bad:#5a2018;--code:#23262b}}\n"
    "*{box-sizing:border-box}\n"
    "body{margin:0 auto;padding:1rem;max-width:80rem;background:var(--paper);color:var(--ink);font:1rem/1.5 system-ui,sans-serif}\n"
    "h1{font-size:1.6rem;line-height:1.25}h2{font-size:1.25rem;margin-top:2.5rem}h3{font-size:1rem;margin:1.5rem 0 .3rem}h3::first-letter{text-transform:uppercase}\n"
    "code{background:var(--code);padding:.1em .3em;border-radius:.2em;overflow-wrap:anywhere}\n"
    ".mark{border:.2rem solid #d55e00;padding:.6rem 1rem;font-size:1.1rem;font-weight:bold}\n"
    ".summary{font-size:1.15rem}.soft{color:var(--soft);font-size:.85rem}\n"
    "dl{display:grid;grid-template-columns:max-content 1fr;gap:.2rem 1rem}dt{color:var(--soft)}dd{margin:0;overflow-wrap:anywhere}\n"
    "@media(max-width:32rem){dl{grid-template-columns:1fr;gap:0}dd{margin-bottom:.4rem}}\n"
    ".figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,24rem),1fr));gap:1.5rem}\n"
    "figure{margin:0}figure svg{width:100%;height:auto;display:block}figcaption{color:var(--soft);font-size:.9rem}\n"
    "svg rect[fill='#ffffff']{fill:none}svg [fill='black']{fill:var(--ink)}svg [stroke='black']{stroke:var(--ink)}svg [color='black']{color:var(--ink)}\n"
    ".wide{overflow-x:auto}table{border-collapse:collapse;font-variant-numeric:tabular-nums;font-size:.9rem}\n"
    "th,td{border-bottom:1px solid var(--line);padding:.15rem .55rem;text-align:right;white-space:nowrap;vertical-align:top}\n"
    "th{font-weight:600}th[colspan]{text-align:center}td.text,th.text{text-align:left}td small{display:block;color:var(--soft)}\n"
    "td.met{background:var(--good)}td.differs{background:var(--bad);font-weight:bold}\n"
    "@media print{body{max-width:none;font-size:9pt}.wide{overflow:visible}table{font-size:6.5pt}th,td{padding:.1rem .25rem}"
    "figure,tr{break-inside:avoid}h2,h3{break-after:avoid}}\n";

void html_begin(FILE *file, const char *title)
{
    fprintf(file, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                  "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n<title>");
    html_text(file, title);
    fprintf(file, "</title>\n<style>\n%s</style>\n</head>\n<body>\n", style);
}

void html_end(FILE *file)
{
    fprintf(file, "</body>\n</html>\n");
}

void html_text(FILE *file, const char *text)
{
    for (; *text != '\0'; text++) {
        switch (*text) {
        case '&':
            fputs("&amp;", file);
            break;
        case '<':
            fputs("&lt;", file);
            break;
        case '>':
            fputs("&gt;", file);
            break;
        case '"':
            fputs("&quot;", file);
            break;
        default:
            fputc(*text, file);
        }
    }
}

void html_number(FILE *file, double value, int decimals)
{
    if (isnan(value)) {
        fprintf(file, "<td>–</td>");
    } else {
        fprintf(file, "<td>%.*f</td>", decimals, value);
    }
}

/* The ids that gnuplot gives whatever the name of the plot. */
static size_t gnuplot_id(const char *text)
{
    static const char *const ids[] = {"gpDot", "gpPt", "gnuplot_canvas", "textbox", "greybox"};
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
        if (strncmp(text, ids[i], strlen(ids[i])) == 0) {
            return strlen(ids[i]);
        }
    }
    return 0;
}

int html_svg(FILE *file, const char *folder, const char *name)
{
    char file_name[64];
    char *line = NULL;
    size_t room = 0;
    int inside = 0;

    snprintf(file_name, sizeof file_name, "%s.svg", name);
    FILE *svg = folder_open(folder, file_name, "re");
    if (svg == NULL) {
        return -1;
    }
    while (getline(&line, &room, svg) >= 0) {
        inside = inside || strncmp(line, "<svg", 4) == 0; /* before it: what XML wants of a file */
        for (const char *text = line; inside && *text != '\0'; text++) {
            if (gnuplot_id(text) > 0 && text > line && strchr("'\"#", text[-1]) != NULL) {
                fprintf(file, "%s-", name);
            }
            fputc(*text, file);
        }
    }
    free(line);
    if (!inside) {
        fprintf(stderr, "eval: gnuplot has written no SVG to %s/%s\n", folder, file_name);
    }
    return folder_close(svg, folder, file_name) == 0 && inside ? 0 : -1;
}
