/* check.c: runs an edition's files and samples and gathers what is wrong with them. */
#include "tenant/check.h"
#include "base/err.h"
#include "tenant/check_own.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define COMPILE_MAX_NS UINT64_C(50000000)
#define ATTEMPTS 3

static place_t place_in(const check_report_t *report, const char *name, const char *kind) {
    place_t place = {.kind = kind};
    snprintf(place.file, sizeof(place.file), "%.*s/%s", (int)report->edition->slug.len,
        report->edition->slug.ptr, name);
    return place;
}

static settings_t *settings_of_json(span_t json, char *why, size_t size) {
    static const value_limits_t LIMITS = {.depth = 16, .nodes = 10000, .bytes = 256 * 1024};
    arena_t arena;
    value_t document;
    settings_t *settings = NULL;
    arena_create(&arena);
    if (value_parse(json, &arena, &LIMITS, true, &document, why, size) == 0)
        settings = settings_new(&document, why, size);
    arena_destroy(&arena);
    return settings;
}

settings_t *edition_settings(const edition_t *edition, char *why, size_t size) {
    if (edition->document.len) return settings_of_json(edition->document, why, size);
    return settings_of_json(SPAN("{\"settings\":{\"currency\":\"USD\"}}"), why, size);
}

static uint64_t cpu_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

typedef struct globals {
    check_report_t *report;
    rule_kind_t kind;
    lua_State *L; /* of a sandbox, to ask what it has */
} globals_t;

static void on_global(void *data, const lint_use_t *use) {
    globals_t *globals = data;
    int len = (int)(use->name.len < 60 ? use->name.len : 60);
    place_t place = check_place(globals->report, globals->kind, use->line);
    if (use->write) {
        check_find(globals->report, &place, false, ERR_FORBIDDEN,
            "assigns the global \"%.*s\"; declare it with local", len, use->name.ptr);
        return;
    }
    lua_pushlstring(globals->L, use->name.ptr, use->name.len);
    lua_rawget(globals->L, LUA_GLOBALSINDEX);
    bool known = !lua_isnil(globals->L, -1);
    lua_pop(globals->L, 1);
    if (!known)
        check_find(globals->report, &place, false, ERR_FORBIDDEN,
            "reads the global \"%.*s\", which tenants do not have", len, use->name.ptr);
}

/* Parses one file in a VM of its own and lists its globals. */
static void check_file(check_report_t *report, rule_kind_t kind) {
    span_t text = report->edition->text[kind];
    sandbox_fault_t fault;
    int ref;
    if (!report->edition->own[kind] && rule_blank(text)) return;
    place_t place = check_place(report, kind, 0);
    sandbox_limits_t limits = report->limits;
    limits.source +=
        128; /* what check_routes puts around a file that edition_read found short enough */
    sandbox_t *sandbox = sandbox_new(NULL, &limits, NULL, NULL);
    if (!sandbox) {
        check_find(report, &place, false, ERR_NO_MEMORY, "out of memory");
        return;
    }
    uint64_t began = cpu_ns();
    if (sandbox_load(sandbox, text, rule_kind_file(kind), &ref, &fault)) {
        check_fault(report, &fault, kind, NULL);
    } else if (cpu_ns() - began > COMPILE_MAX_NS) {
        check_find(report, &place, false, ERR_BUDGET_TIME,
            "takes over 50 ms to compile; split its longest expression");
    } else {
        globals_t globals = {report, kind, sandbox_vm(sandbox)->L};
        if (lint_globals(text, on_global, &globals))
            check_find(report, &place, false, ERR_NO_MEMORY, "out of memory");
        if (kind == RULE_ROUTES) check_routes(report);
    }
    sandbox_delete(sandbox);
}

typedef struct trial {
    check_report_t *report;
    const settings_t *settings;
    rules_t *rules;
    const char *name; /* of the sample */
    arena_t arena;    /* of the sample */
} trial_t;

static void raise_peak(check_report_t *report, const sandbox_usage_t *usage, const char *sample) {
    sandbox_usage_t *peak = &report->peak;
#define RAISE(field)                                                                               \
    if (usage->field > peak->field) peak->field = usage->field, report->peak_of.field = sample
    RAISE(instructions);
    RAISE(nanoseconds);
    RAISE(allocated);
    RAISE(memory);
#undef RAISE
}

/* Time alone may be the machine's fault and is tried again; everything else is the same each time. */
static int price_sample(
    trial_t *trial, const sample_t *sample, quote_t *quote, sandbox_fault_t *fault) {
    int err = ERR_BUDGET_TIME;
    for (int attempt = 0; attempt < ATTEMPTS && err == ERR_BUDGET_TIME; attempt++) {
        if (trial->rules && rules_spent(trial->rules)) {
            rules_close(trial->rules);
            trial->rules = NULL;
        }
        if (!trial->rules) {
            err = rules_open((edition_t *)trial->report->edition, NULL, &trial->report->limits,
                NULL, NULL, &trial->rules, fault);
            if (err) return err;
        }
        uint64_t began = cpu_ns();
        err =
            price_quote(trial->rules, trial->settings, &sample->input, &trial->arena, quote, fault);
        /* By the wall clock a busy machine would be taken for a slow rule. */
        quote->usage.nanoseconds = cpu_ns() - began;
    }
    raise_peak(trial->report, &quote->usage, trial->name);
    return err;
}

static place_t sample_place(const trial_t *trial) {
    place_t place = place_in(trial->report, trial->name, "sample");
    place.sample = trial->name;
    return place;
}

static void compare_amount(trial_t *trial, const char *name, int64_t wanted, int64_t got) {
    if (wanted == got) return;
    char texts[2][40];
    int64_t amounts[2] = {wanted, got};
    for (int i = 0; i < 2; i++) {
        buf_t buf;
        buf_create(&buf);
        money_print(&buf, amounts[i], trial->settings->digits);
        snprintf(texts[i], sizeof(texts[i]), "%.*s", (int)buf.len, buf.len ? buf.ptr : "");
        buf_destroy(&buf);
    }
    place_t place = sample_place(trial);
    check_find(trial->report, &place, false, ERR_UNPROCESSABLE,
        "expects %s %s, but the rules give %s", name, texts[0], texts[1]);
}

static void compare_violations(trial_t *trial, const sample_t *sample, const quote_t *quote) {
    if (!sample->violations) return;
    size_t wanted = sample->violations->list.count;
    bool same = wanted == quote->violations.count;
    for (size_t i = 0; same && i < wanted; i++) {
        const value_t *code = &sample->violations->list.items[i];
        same = code->kind == VALUE_STRING && span_eq(code->string, quote->violations.items[i].code);
    }
    place_t place = sample_place(trial);
    span_t first = quote->violations.count ? quote->violations.items[0].code : SPAN("none");
    if (!same)
        check_find(trial->report, &place, false, ERR_UNPROCESSABLE,
            "expects %zu violations, but the rules give %zu (the first: %.*s)", wanted,
            quote->violations.count, (int)first.len, first.ptr);
}

static void compare(trial_t *trial, const sample_t *sample, const quote_t *quote) {
    int64_t got[EXPECT_AMOUNTS] = {
        quote->subtotal, quote->discount, quote->shipping, quote->tax, quote->total};
    for (int i = 0; i < EXPECT_AMOUNTS; i++)
        if (sample->given & 1U << i)
            compare_amount(trial, EXPECT_NAMES[i], sample->amounts[i], got[i]);
    compare_violations(trial, sample, quote);
}

static void check_sample(trial_t *trial, size_t index) {
    check_report_t *report = trial->report;
    const edition_t *edition = report->edition;
    char why[240];
    sample_t sample;
    quote_t quote = {0};
    sandbox_fault_t fault = {0};
    trial->name = edition->sample_names[index].ptr;
    place_t place = sample_place(trial);
    report->samples++;
    int err = sample_parse(
        edition->samples[index], trial->settings, &trial->arena, &sample, why, sizeof(why));
    if (err) {
        check_find(report, &place, false, err, "%s", why);
        return;
    }
    err = price_sample(trial, &sample, &quote, &fault);
    report->priced += !err;
    if (!err)
        compare(trial, &sample, &quote);
    else if (fault.file[0])
        check_fault(report, &fault, RULE_PRICING, trial->name);
    else
        check_find(report, &place, false, err, "%s", fault.text);
}

static void check_samples(check_report_t *report, const settings_t *settings) {
    trial_t trial = {.report = report, .settings = settings};
    for (size_t i = 0; i < report->edition->nsamples; i++) {
        arena_create(&trial.arena);
        check_sample(&trial, i);
        arena_destroy(&trial.arena);
    }
    rules_close(trial.rules);
    if (report->edition->nsamples) return;
    place_t place = place_in(report, "samples", "sample");
    check_find(
        report, &place, true, ERR_NOT_FOUND, "there is no sample cart, so no rule was tried");
}

static void warn_use(
    check_report_t *report, const char *sample, const char *what, uint64_t used, uint64_t limit) {
    uint64_t percent = limit ? used * 100 / limit : 0;
    if (percent < 50) return;
    place_t place = place_in(report, sample, "budget");
    check_find(report, &place, true, ERR_TOO_LARGE,
        "this sample uses %llu %% of the %s: %llu of %llu; at 100 %% the rules are stopped%s",
        (unsigned long long)percent, what, (unsigned long long)used, (unsigned long long)limit,
        percent >= 80 ? ", which is close" : "");
}

static void warn_uses(check_report_t *report) {
    const sandbox_limits_t *limits = &report->limits;
    const sandbox_usage_t *peak = &report->peak;
    if (report->errors) return;
#define WARN(field, what, unit, limit)                                                             \
    warn_use(report, report->peak_of.field, what, peak->field / (unit), limit)
    WARN(instructions, "instructions", 1, limits->instructions);
    WARN(nanoseconds, "microseconds", 1000, limits->time_ms * 1000);
    WARN(memory, "bytes alive", 1, limits->memory);
    WARN(allocated, "bytes allocated", 1, limits->allocated);
#undef WARN
}

static int by_place(const void *a, const void *b) {
    const finding_t *left = a, *right = b;
    int order = strcmp(left->file, right->file);
    return order ? order : (left->line > right->line) - (left->line < right->line);
}

static int first_error(const check_report_t *report) {
    for (size_t i = 0; i < report->count; i++)
        if (!report->items[i].warning) return report->items[i].err;
    return report->errors ? ERR_NO_MEMORY : 0;
}

int edition_check(edition_t *edition, const settings_t *settings, check_report_t *report) {
    char why[240];
    report->edition = edition;
    settings_t *own = edition_settings(edition, why, sizeof(why));
    if (!own) {
        place_t place = place_in(report, "tenant.json", "tenant");
        check_find(report, &place, false, ERR_INVALID, "%s", why);
    }
    check_tenant(report);
    for (int kind = 0; kind < RULE_KINDS; kind++)
        check_file(report, (rule_kind_t)kind);
    if (!report->errors) check_samples(report, settings ? settings : own);
    warn_uses(report);
    settings_unref(own);
    if (report->count) qsort(report->items, report->count, sizeof(finding_t), by_place);
    return first_error(report);
}
