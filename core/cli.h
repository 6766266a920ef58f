/* cli.h: the commands of the program and what they share: options, settings, help and exit codes. */
#ifndef PERIGEE_CLI_H
#define PERIGEE_CLI_H
#include "config.h"

/* Exit codes. */
#define CLI_OK 0
#define CLI_FAILED 1 /* it was understood, but did not work, or something was refused */
#define CLI_USAGE 2  /* it was not understood */

typedef struct cli_command {
    const char *name;
    const char *usage;   /* "[--wait]": what follows the name */
    const char *summary; /* one line for the list */
    const char *
        help; /* what `--help` shows under the usage; NULL when the command answers --help itself */
    int (*run)(int argc, char **argv); /* argv[0] is the command's name */
} cli_command_t;

/* An option of one command: set is for --name, value for --name VALUE and --name=VALUE. */
typedef struct cli_flag {
    const char *name; /* NULL ends the list */
    bool *set;
    const char **value;
} cli_flag_t;

/* What is left of a command line once options and settings are taken out. */
typedef struct cli {
    config_t config;
    char **args; /* a part of argv, rearranged */
    int nargs;
} cli_t;

/* Reads the options: the command's flags, --config FILE, --SETTING=VALUE, --help. With flags NULL, what is not a
   setting is left in args, options too. True to go on; false when *code is the exit code already: help has been
   printed, or what is wrong. */
bool cli_parse(cli_t *cli, const cli_command_t *command, const cli_flag_t *flags, int argc,
    char **argv, int *code);
/* Says on standard error what is wrong with the command line, then how it is used. Returns CLI_USAGE. */
int cli_misused(const cli_command_t *command, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Says on standard error what did not work. Returns CLI_FAILED. */
int cli_failed(const cli_command_t *command, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void cli_help(const cli_command_t *command, FILE *out);

extern const cli_command_t CLI_SERVE, CLI_CHECK, CLI_RUN, CLI_RELOAD, CLI_IMPORT, CLI_AUDIT,
    CLI_MIGRATE, CLI_SCRIPT;

#endif
