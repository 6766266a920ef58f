/* cli_run.c: `perigee run`: one rule on one cart. */
#include <libgen.h>
#include <unistd.h>
#include "base/err.h"
#include "base/file.h"
#include "cli.h"
#include "rule_limits.h"
#include "tenant/check.h"
#include "tenant/sample.h"

#define INPUT_MAX ((size_t)1024 * 1024)

/* Everything a run holds; static, so that a failing command may simply return. */
typedef struct run {
    const char *path;
    rule_kind_t kind;
    loop_t *loop;
    edition_t *edition;
    settings_t *settings;
    rules_t *rules;
    arena_t arena;
    sample_t sample;
    sandbox_limits_t limits;
    quote_t quote;
    sandbox_fault_t fault;
    sandbox_usage_t usage;
} run_t;

static int read_text(const char *path, buf_t *out) {
    char why[700];
    int err = strcmp(path, "-") == 0
                  ? file_read_from(STDIN_FILENO, path, INPUT_MAX, out, why, sizeof(why))
                  : file_read(path, INPUT_MAX, out, why, sizeof(why));
    return err ? cli_failed(&CLI_RUN, "%s", why) : CLI_OK;
}

static bool find_kind(const char *path, rule_kind_t *out) {
    char copy[512];
    snprintf(copy, sizeof(copy), "%s", path);
    const char *name = basename(copy);
    for (int kind = 0; kind < RULE_ROUTES; kind++) {
        if (strcmp(rule_kind_file(kind), name) == 0) {
            *out = (rule_kind_t)kind;
            return true;
        }
    }
    return false;
}

/* The settings of the tenant whose folder the rule lies in, if it lies in one. */
static settings_t *find_settings(const run_t *run, char *why, size_t size) {
    char folder[512], name[512];
    edition_t *tenant = NULL;
    snprintf(folder, sizeof(folder), "%s", run->path);
    snprintf(name, sizeof(name), "%s", dirname(folder));
    const char *slug = basename(name);
    if (edition_read(dirname(folder), slug, &tenant, why, size) != 0) tenant = NULL;
    settings_t *settings = edition_settings(tenant ? tenant : run->edition, why, size);
    edition_unref(tenant);
    return settings;
}

static void on_log(void *data, span_t line) {
    (void)data;
    fprintf(stderr, "log: %.*s\n", (int)line.len, line.ptr);
}

static int open_rule(run_t *run) {
    buf_t text;
    char why[600];
    buf_create(&text);
    int code = read_text(run->path, &text);
    if (code == CLI_OK && edition_of_file(run->kind, buf_view(&text), &run->edition) != 0) {
        code = cli_failed(&CLI_RUN, "out of memory");
    }
    buf_destroy(&text);
    if (code != CLI_OK) return code;
    run->settings = find_settings(run, why, sizeof(why));
    return run->settings ? CLI_OK : cli_failed(&CLI_RUN, "%s", why);
}

static int open_input(run_t *run, const char *path) {
    buf_t text;
    char why[600];
    buf_create(&text);
    int code = read_text(path, &text);
    if (code == CLI_OK && sample_parse(buf_view(&text), run->settings, &run->arena, &run->sample,
                              why, sizeof(why)) != 0) {
        code = cli_failed(&CLI_RUN, "%s: %s", path, why);
    }
    buf_destroy(&text);
    return code;
}

static int price(run_t *run) {
    int err =
        rules_open(run->edition, run->loop, &run->limits, on_log, NULL, &run->rules, &run->fault);
    if (err) return err;
    err = price_quote(
        run->rules, run->settings, &run->sample.input, &run->arena, &run->quote, &run->fault);
    run->usage = run->quote.usage;
    return err;
}

static const char *amount(const run_t *run, int64_t minor, buf_t *room) {
    buf_reset(room);
    money_print(room, minor, run->settings->digits);
    buf_char(room, '\0');
    return room->failed ? "?" : room->ptr;
}

static void print_entries(const run_t *run, buf_t *room) {
    for (size_t i = 0; i < run->quote.explain.count; i++) {
        const quote_entry_t *entry = &run->quote.explain.items[i];
        char where[32] = "";
        if (entry->line)
            snprintf(where, sizeof(where), "line %d", entry->line);
        else if (entry->shipping)
            snprintf(where, sizeof(where), "shipping");
        else if (entry->order)
            snprintf(where, sizeof(where), "order");
        printf("  %-9s %10s  %.*s\n", where, amount(run, entry->amount, room),
            (int)entry->reason.len, entry->reason.ptr);
    }
    for (size_t i = 0; i < run->quote.violations.count; i++) {
        const quote_violation_t *violation = &run->quote.violations.items[i];
        printf("  refused   %10.*s  %.*s\n", (int)violation->code.len, violation->code.ptr,
            (int)violation->message.len, violation->message.ptr);
    }
}

static void print_text(const run_t *run) {
    buf_t room;
    buf_create(&room);
    const struct {
        const char *name;
        int64_t minor;
    } totals[] = {{"subtotal", run->quote.subtotal}, {"discount", run->quote.discount},
        {"shipping", run->quote.shipping}, {"tax", run->quote.tax}, {"total", run->quote.total}};
    for (size_t i = 0; i < sizeof(totals) / sizeof(*totals); i++) {
        printf("%-11s %10s %s\n", totals[i].name, amount(run, totals[i].minor, &room),
            run->settings->currency);
    }
    printf("adjustments:%s\n", run->quote.explain.count ? "" : " none");
    print_entries(run, &room);
    printf("budget: %llu of %llu instructions, %.3f of %llu ms, %llu of %llu KB allocated\n",
        (unsigned long long)run->usage.instructions, (unsigned long long)run->limits.instructions,
        (double)run->usage.nanoseconds / 1e6, (unsigned long long)run->limits.time_ms,
        (unsigned long long)(run->usage.allocated / 1024),
        (unsigned long long)(run->limits.allocated / 1024));
    buf_destroy(&room);
}

static void put_budget(const run_t *run, buf_t *out) {
    buf_printf(out, "\"budget\":{\"instructions\":{\"used\":%llu,\"limit\":%llu},",
        (unsigned long long)run->usage.instructions, (unsigned long long)run->limits.instructions);
    buf_printf(out, "\"timeUs\":{\"used\":%llu,\"limit\":%llu},",
        (unsigned long long)(run->usage.nanoseconds / 1000),
        (unsigned long long)(run->limits.time_ms * 1000));
    buf_printf(out, "\"allocatedBytes\":{\"used\":%llu,\"limit\":%llu}}",
        (unsigned long long)run->usage.allocated, (unsigned long long)run->limits.allocated);
}

static void print_json(const run_t *run, int err) {
    buf_t out;
    buf_create(&out);
    buf_printf(&out, "{\"ok\":%s,", err ? "false" : "true");
    if (err) {
        buf_printf(&out, "\"error\":{\"code\":\"%s\",\"file\":", err_name(err));
        buf_json(&out, span_of(run->path));
        buf_printf(&out, ",\"line\":%d,\"detail\":", run->fault.line);
        buf_json(&out, span_of(run->fault.text));
        buf_text(&out, "},");
    } else {
        buf_text(&out, "\"result\":");
        quote_json(&run->quote, run->settings, true, &out);
        buf_char(&out, ',');
    }
    put_budget(run, &out);
    buf_text(&out, "}\n");
    fwrite(out.ptr, 1, out.len, stdout);
    buf_destroy(&out);
}

static int show(const run_t *run, int err, bool json) {
    if (json)
        print_json(run, err);
    else if (!err)
        print_text(run);
    if (!err) return CLI_OK;
    if (json) return CLI_FAILED;
    char line[16] = "";
    if (run->fault.line) snprintf(line, sizeof(line), ":%d", run->fault.line);
    return cli_failed(&CLI_RUN, "%s%s: %s (%s)", run->path, line, run->fault.text, err_name(err));
}

static void close_run(run_t *run) {
    if (run->rules) rules_close(run->rules);
    settings_unref(run->settings);
    edition_unref(run->edition);
    arena_destroy(&run->arena);
    if (run->loop) loop_delete(run->loop);
}

static int do_run(run_t *run, const char *input, bool json) {
    arena_create(&run->arena);
    run->loop = loop_new();
    int code = run->loop ? open_rule(run) : cli_failed(&CLI_RUN, "out of memory");
    if (code == CLI_OK) code = open_input(run, input);
    if (code == CLI_OK) code = show(run, price(run), json);
    return code;
}

static int run_command(int argc, char **argv) {
    static cli_t cli;
    static run_t run;
    const char *input = NULL;
    bool json = false;
    int code;
    const cli_flag_t flags[] = {
        {.name = "input", .value = &input}, {.name = "json", .set = &json}, {0}};
    if (!cli_parse(&cli, &CLI_RUN, flags, argc, argv, &code)) return code;
    if (cli.nargs != 1) return cli_misused(&CLI_RUN, "one rule file is needed");
    if (!input) return cli_misused(&CLI_RUN, "--input CART.json is missing");
    run.path = cli.args[0];
    if (!find_kind(run.path, &run.kind)) {
        return cli_misused(
            &CLI_RUN, "%s is not pricing.lua, shipping.lua, tax.lua or checkout.lua", run.path);
    }
    rule_limits_of(&cli.config, &run.limits);
    code = do_run(&run, input, json);
    close_run(&run);
    return code;
}

const cli_command_t CLI_RUN = {
    .name = "run",
    .usage = "FILE.lua --input CART.json [--json] [--config FILE] [--SETTING=VALUE…]",
    .summary = "run one rule on one cart and show what it does and costs",
    .help = "FILE.lua is pricing.lua, shipping.lua, tax.lua or checkout.lua; in a tenant's folder "
            "it gets that tenant's\n"
            "settings. CART.json has the shape of a sample cart or of an answer of GET /api/cart; "
            "- reads standard input.\n"
            "Shows the totals, each adjustment with its reason, and the budget used.\n"
            "  --json   all of it as one JSON object\n",
    .run = run_command,
};
