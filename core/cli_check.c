/* cli_check.c: `perigee check`. */
#include <libgen.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/err.h"
#include "cli.h"
#include "rule_limits.h"
#include "source.h"
#include "tenant/check.h"
#include "try.h"

typedef struct checking {
    config_t config;
    bool json;
    int refused, printed;
} checking_t;

static bool is_scripts(const char *path) {
    char main_file[600];
    snprintf(main_file, sizeof(main_file), "%s/main.lua", path);
    return access(main_file, F_OK) == 0;
}

static void put_line(checking_t *checking, const buf_t *text) {
    if (checking->json && checking->printed++) putchar(',');
    fwrite(text->ptr, 1, text->len, stdout);
    if (text->len > 0 && text->ptr[text->len - 1] != '\n') putchar('\n');
}

/* What could not even be read: in the shape of check_report_json. */
static void put_problem(checking_t *checking, const char *source, const char *problem) {
    buf_t text;
    buf_create(&text);
    if (checking->json) {
        buf_printf(&text, "{\"ok\":false,\"source\":\"%s\",\"findings\":[{\"detail\":", source);
        buf_json(&text, span_of(problem));
        buf_text(&text, "}]}");
    } else {
        buf_text(&text, problem);
    }
    put_line(checking, &text);
    buf_destroy(&text);
}

static void check_tenant(void *data, const char *source) {
    checking_t *checking = data;
    edition_t *edition;
    char why[600];
    const char *folder = checking->config.tenants;
    if (edition_read(folder, source_slug(source), &edition, why, sizeof(why)) != 0) {
        checking->refused++;
        put_problem(checking, source, why);
        return;
    }
    check_report_t report;
    buf_t text;
    buf_create(&text);
    check_report_create(&report);
    rule_limits_of(&checking->config, &report.limits);
    report.tenants = folder;
    if (edition_check(edition, NULL, &report) != 0) checking->refused++;
    if (checking->json)
        check_report_json(&report, &text);
    else
        check_report_text(&report, folder, &text);
    put_line(checking, &text);
    check_report_destroy(&report);
    buf_destroy(&text);
    edition_unref(edition);
}

static void check_scripts(checking_t *checking) {
    buf_t report;
    buf_create(&report);
    int err = try_parse(&checking->config, &report);
    if (err) checking->refused++;
    buf_char(&report, '\0');
    if (err)
        put_problem(checking, SOURCE_SCRIPTS, report.failed ? "out of memory" : report.ptr);
    else if (!checking->json)
        printf("%s: every file parses; it was not run\n", checking->config.scripts);
    buf_destroy(&report);
}

/* "tenants/acme" is the tenant acme below tenants, wherever the settings say tenants are. */
static int check_path(checking_t *checking, const char *path) {
    char folder[512], name[512], source[SOURCE_MAX];
    if (strlen(path) >= sizeof(folder)) return cli_misused(&CLI_CHECK, "too long a path");
    if (access(path, F_OK) != 0) return cli_failed(&CLI_CHECK, "%s: there is no such folder", path);
    if (is_scripts(path)) {
        snprintf(checking->config.scripts, sizeof(checking->config.scripts), "%s", path);
        check_scripts(checking);
        return CLI_OK;
    }
    strcpy(folder, path);
    strcpy(name, path);
    if (!source_of_path(basename(name), source)) {
        return cli_failed(&CLI_CHECK, "%s: neither a tenant's folder nor one of scripts", path);
    }
    snprintf(checking->config.tenants, sizeof(checking->config.tenants), "%s", dirname(folder));
    check_tenant(checking, source);
    return CLI_OK;
}

static int check_all(checking_t *checking) {
    check_scripts(checking);
    if (source_list(checking->config.tenants, check_tenant, checking) == 0) return CLI_OK;
    return cli_failed(&CLI_CHECK, "%s: there is no such folder", checking->config.tenants);
}

static int run(int argc, char **argv) {
    static cli_t cli;
    static checking_t checking;
    int code;
    const cli_flag_t flags[] = {{.name = "json", .set = &checking.json}, {0}};
    if (!cli_parse(&cli, &CLI_CHECK, flags, argc, argv, &code)) return code;
    checking.config = cli.config;
    if (checking.json) putchar('[');
    if (cli.nargs == 0) code = check_all(&checking);
    for (int i = 0; i < cli.nargs && code == CLI_OK; i++) {
        code = check_path(&checking, cli.args[i]);
    }
    if (checking.json) puts("]");
    return code == CLI_OK && checking.refused > 0 ? CLI_FAILED : code;
}

const cli_command_t CLI_CHECK = {
    .name = "check",
    .usage = "[--json] [--config FILE] [--SETTING=VALUE…] [FOLDER…]",
    .summary = "try a tenant's rules, or all of them, without serving them",
    .help = "FOLDER is a tenant's (tenants/acme) or one of scripts; without any, all that the "
            "settings name are checked:\n"
            "rules are parsed and price every sample cart, scripts are only parsed, not run. "
            "Prints what is wrong as\n"
            "FILE:LINE: KIND: SENTENCE; exit code 1 when an edition would be refused.\n"
            "  --json   a list with a report per folder\n",
    .run = run,
};
