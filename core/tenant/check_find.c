/* check_find.c: what a check has found: where, what, and how often. */
#include "tenant/check_own.h"
#include <stdarg.h>
#include <stdio.h>

void check_report_create(check_report_t *report) {
    *report = (check_report_t){0};
    arena_create(&report->arena);
    sandbox_limits_default(&report->limits);
}

void check_report_destroy(check_report_t *report) {
    arena_destroy(&report->arena);
}

static finding_t *add_finding(check_report_t *report) {
    if (report->count == report->cap) {
        size_t room = report->cap ? report->cap * 2 : 16;
        finding_t *more = arena_alloc(&report->arena, room * sizeof(finding_t));
        if (!more) return NULL;
        if (report->count) memcpy(more, report->items, report->count * sizeof(finding_t));
        report->items = more;
        report->cap = room;
    }
    finding_t *finding = &report->items[report->count++];
    *finding = (finding_t){0};
    return finding;
}

/* What one sample has shown already: a rule that always fails is one finding, not one for each sample. */
static finding_t *same_finding(const check_report_t *report, const finding_t *wanted) {
    for (size_t i = 0; i < report->count && wanted->samples; i++) {
        finding_t *other = &report->items[i];
        if (other->samples && other->err == wanted->err && other->line == wanted->line &&
            other->warning == wanted->warning && strcmp(other->file, wanted->file) == 0 &&
            strcmp(other->text, wanted->text) == 0)
            return other;
    }
    return NULL;
}

void check_find(
    check_report_t *report, const place_t *place, bool warning, int err, const char *format, ...) {
    finding_t finding = {.warning = warning, .err = err, .line = place->line};
    finding.samples = place->sample != NULL;
    snprintf(finding.file, sizeof(finding.file), "%s", place->file);
    snprintf(finding.kind, sizeof(finding.kind), "%s", place->kind);
    snprintf(finding.sample, sizeof(finding.sample), "%s", place->sample ? place->sample : "");
    va_list args;
    va_start(args, format);
    vsnprintf(finding.text, sizeof(finding.text), format, args);
    va_end(args);
    finding_t *same = same_finding(report, &finding);
    if (same) {
        same->samples++;
        return;
    }
    report->errors += !warning;
    report->warnings += warning;
    same = add_finding(report);
    if (same) *same = finding;
}

place_t check_place(const check_report_t *report, rule_kind_t kind, int line) {
    const edition_t *edition = report->edition;
    place_t place = {.line = line, .kind = rule_kind_name(kind)};
    span_t folder = edition->own[kind] ? edition->slug : SPAN("_default");
    snprintf(place.file, sizeof(place.file), "%.*s/%s", (int)folder.len, folder.ptr,
        rule_kind_file(kind));
    return place;
}

void check_fault(
    check_report_t *report, const sandbox_fault_t *fault, rule_kind_t kind, const char *sample) {
    for (int other = 0; other < RULE_KINDS; other++)
        if (strcmp(fault->file, rule_kind_file(other)) == 0) kind = (rule_kind_t)other;
    place_t place = check_place(report, kind, fault->line);
    place.sample = sample;
    check_find(report, &place, false, fault->err, "%s", fault->text);
}
