/* cli_script.c: `perigee script`, `perigee import`, `audit` and `migrate`: trusted scripts that run to their end. */
#include "cli.h"
#include "job.h"

static int run_script(int argc, char **argv) {
    static cli_t cli;
    const cli_flag_t none[] = {{0}};
    int code, own = argc;
    /* What follows the script's name is the script's. */
    for (int at = 1; at < own; at++) {
        if (strcmp(argv[at], "--config") == 0)
            at++;
        else if (argv[at][0] != '-')
            own = at;
    }
    if (!cli_parse(&cli, &CLI_SCRIPT, none, own, argv, &code)) return code;
    if (own == argc) return cli_misused(&CLI_SCRIPT, "which script?");
    return job_run(&cli.config, argv[own], argc - own - 1, argv + own + 1);
}

const cli_command_t CLI_SCRIPT = {
    .name = "script",
    .usage = "[--config FILE] [--SETTING=VALUE…] FILE.lua [ARGUMENT…]",
    .summary = "run a trusted script with the stores of the settings",
    .help = "The script finds its arguments in `arg` and may require what handlers may; what it "
            "returns is the exit\n"
            "code. It has the rights of whoever runs it.\n",
    .run = run_script,
};

/* A command that is a script of the platform's, below scripts/cli. */
static int run_own(const cli_command_t *command, int argc, char **argv) {
    static cli_t cli;
    int code;
    if (!cli_parse(&cli, command, NULL, argc, argv, &code)) return code;
    char path[600];
    snprintf(path, sizeof(path), "%s/cli/%s.lua", cli.config.scripts, command->name);
    return job_run(&cli.config, path, cli.nargs, cli.args);
}

static int run_import(int argc, char **argv) {
    return run_own(&CLI_IMPORT, argc, argv);
}

const cli_command_t CLI_IMPORT = {
    .name = "import",
    .usage = "--tenant SLUG [--strict] [--config FILE] [--SETTING=VALUE…] FILE.csv",
    .summary = "load a product export in Shopify's format",
    .run = run_import,
};

static int run_audit(int argc, char **argv) {
    return run_own(&CLI_AUDIT, argc, argv);
}

const cli_command_t CLI_AUDIT = {
    .name = "audit",
    .usage = "export --tenant SLUG [--from TIME] [--to TIME] [--config FILE] [--SETTING=VALUE…] "
             "FILE.csv",
    .summary = "write who changed prices, rules and settings as CSV",
    .run = run_audit,
};

static int run_migrate(int argc, char **argv) {
    return run_own(&CLI_MIGRATE, argc, argv);
}

const cli_command_t CLI_MIGRATE = {
    .name = "migrate",
    .usage = "[up|status] [--dry-run] [--config FILE] [--SETTING=VALUE…]",
    .summary = "bring the PostgreSQL schema up to date, or show where it is",
    .help =
        "Carries out the files of scripts/migrations that the database of postgres_url has not "
        "seen, in order, each in\n"
        "a transaction of its own and once, also when several nodes do this at the same time. A "
        "file that was changed\n"
        "after it was carried out is refused. On the embedded engine there is nothing to "
        "migrate.\n"
        "  status      show which files were carried out, and change nothing (exit code 1 when "
        "one was changed since)\n"
        "  --dry-run   print what would be carried out, and change nothing\n",
    .run = run_migrate,
};
