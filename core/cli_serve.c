/* cli_serve.c: `perigee serve`. */
#include "cli.h"
#include "master.h"

static int run(int argc, char **argv) {
    static cli_t cli;
    const cli_flag_t none[] = {{0}};
    int code;
    if (!cli_parse(&cli, &CLI_SERVE, none, argc, argv, &code)) return code;
    if (cli.nargs > 0) return cli_misused(&CLI_SERVE, "unexpected argument %s", cli.args[0]);
    return master_run(&cli.config);
}

const cli_command_t CLI_SERVE = {
    .name = "serve",
    .usage = "[--config FILE] [--SETTING=VALUE…]",
    .summary = "run the server",
    .help =
        "Serves until SIGTERM or Ctrl-C; requests in flight are finished first. SIGHUP looks at "
        "all scripts\n"
        "and rules again. Prints one line with the URLs when it is ready; the log goes to standard "
        "error.\n"
        "Settings come from the file (perigee.conf if there is one), then from the environment\n"
        "(PERIGEE_PORT=8080), then from the command line (--port=8080); `perigee help config` "
        "lists them.\n",
    .run = run,
};
