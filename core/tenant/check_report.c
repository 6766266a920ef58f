/* check_report.c: shows a check's findings to people and to programs. */
#include "base/err.h"
#include "tenant/check.h"

static void put_use(buf_t *out, uint64_t used, const char *unit, uint64_t limit) {
    buf_printf(out, "%llu%s (%llu %%)", (unsigned long long)used, unit,
        (unsigned long long)(limit ? used * 100 / limit : 0));
}

static void put_finding(const finding_t *finding, const char *folder, buf_t *out) {
    buf_printf(out, "%s/%s:", folder, finding->file);
    if (finding->line) buf_printf(out, "%d:", finding->line);
    buf_printf(out, " %s%s: %s (%s", finding->warning ? "warning: " : "", finding->kind,
        finding->text, err_name(finding->err));
    if (finding->sample[0]) buf_printf(out, ", %s", finding->sample);
    if (finding->samples > 1) buf_printf(out, " and %zu more", finding->samples - 1);
    buf_text(out, ")\n");
}

void check_report_text(const check_report_t *report, const char *folder, buf_t *out) {
    const sandbox_usage_t *peak = &report->peak;
    const sandbox_limits_t *limits = &report->limits;
    for (size_t i = 0; i < report->count; i++)
        put_finding(&report->items[i], folder, out);
    buf_printf(out, "%s/%.*s: %s, %zu error%s, %zu warning%s; ", folder,
        (int)report->edition->slug.len, report->edition->slug.ptr,
        report->errors ? "refused" : "ok", report->errors, report->errors == 1 ? "" : "s",
        report->warnings, report->warnings == 1 ? "" : "s");
    if (!report->samples)
        buf_text(out, "no sample cart tried");
    else if (report->priced < report->samples)
        buf_printf(out, "%zu of %zu sample carts priced", report->priced, report->samples);
    else
        buf_printf(out, "%zu sample cart%s priced", report->priced, report->priced == 1 ? "" : "s");
    if (report->samples) {
        buf_text(out, "; at most ");
        put_use(out, peak->instructions, " instructions", limits->instructions);
        buf_text(out, ", ");
        put_use(out, peak->nanoseconds / 1000, " us", limits->time_ms * 1000);
        buf_text(out, ", ");
        put_use(out, peak->memory / 1024, " KB", limits->memory / 1024);
    }
    buf_char(out, '\n');
}

static void put_json_finding(const finding_t *finding, buf_t *out) {
    buf_text(out, "{\"file\":");
    buf_json(out, span_of(finding->file));
    buf_printf(out, ",\"line\":%d,\"kind\":\"%s\",\"severity\":\"%s\",\"code\":\"%s\",\"detail\":",
        finding->line, finding->kind, finding->warning ? "warning" : "error",
        err_name(finding->err));
    buf_json(out, span_of(finding->text));
    buf_text(out, ",\"sample\":");
    if (finding->sample[0])
        buf_json(out, span_of(finding->sample));
    else
        buf_text(out, "null");
    buf_printf(out, ",\"samples\":%zu}", finding->samples);
}

static void put_json_use(buf_t *out, const char *name, uint64_t used, uint64_t limit) {
    buf_printf(out, "\"%s\":{\"used\":%llu,\"limit\":%llu}", name, (unsigned long long)used,
        (unsigned long long)limit);
}

void check_report_json(const check_report_t *report, buf_t *out) {
    const sandbox_usage_t *peak = &report->peak;
    const sandbox_limits_t *limits = &report->limits;
    buf_printf(out, "{\"ok\":%s,\"tenant\":", report->errors ? "false" : "true");
    buf_json(out, report->edition->slug);
    buf_printf(out, ",\"edition\":\"%s\",\"samples\":%zu,\"priced\":%zu,\"findings\":[",
        report->edition->hash, report->samples, report->priced);
    for (size_t i = 0; i < report->count; i++) {
        if (i) buf_char(out, ',');
        put_json_finding(&report->items[i], out);
    }
    buf_text(out, "],\"budget\":{");
    put_json_use(out, "instructions", peak->instructions, limits->instructions);
    buf_char(out, ',');
    put_json_use(out, "timeUs", peak->nanoseconds / 1000, limits->time_ms * 1000);
    buf_char(out, ',');
    put_json_use(out, "memoryBytes", peak->memory, limits->memory);
    buf_char(out, ',');
    put_json_use(out, "allocatedBytes", peak->allocated, limits->allocated);
    buf_text(out, "}}");
}
