/* main.c: the table of commands. */
#include <unistd.h>
#include "cli.h"
#include "version.h"
#include "worker.h"

static const cli_command_t *const COMMANDS[] = {&CLI_SERVE, &CLI_CHECK, &CLI_RUN, &CLI_RELOAD,
    &CLI_IMPORT, &CLI_AUDIT, &CLI_MIGRATE, &CLI_SCRIPT};
#define NCOMMANDS (sizeof(COMMANDS) / sizeof(*COMMANDS))

static const cli_command_t *find(const char *name) {
    for (size_t i = 0; i < NCOMMANDS; i++) {
        if (strcmp(COMMANDS[i]->name, name) == 0) return COMMANDS[i];
    }
    return NULL;
}

static void usage(FILE *out) {
    fprintf(out, "usage: perigee COMMAND [OPTION…]\n\n");
    for (size_t i = 0; i < NCOMMANDS; i++) {
        fprintf(out, "  %-8s  %s\n", COMMANDS[i]->name, COMMANDS[i]->summary);
    }
    fprintf(out, "  %-8s  %s\n  %-8s  %s\n\n", "version", "print the version", "help",
        "help COMMAND shows one command, help config every setting");
    fprintf(out, "Exit codes: 0 done, 1 failed or refused, 2 not understood.\n");
}

static int unknown(const char *name) {
    fprintf(stderr, "perigee: there is no command %s (perigee help lists them)\n", name);
    return CLI_USAGE;
}

static int help(const char *topic) {
    if (!topic) {
        usage(stdout);
        return CLI_OK;
    }
    if (strcmp(topic, "config") == 0) {
        printf("Settings of perigee.conf (key = value), of the environment (PERIGEE_KEY) and of "
               "the command line\n"
               "(--key=value):\n\n");
        config_help(stdout);
        return CLI_OK;
    }
    const cli_command_t *command = find(topic);
    if (!command) return unknown(topic);
    cli_help(command, stdout);
    return CLI_OK;
}

static int version(int argc, char **argv) {
    if (argc > 2) {
        fprintf(stderr, "perigee version: unexpected argument %s\n", argv[2]);
        return CLI_USAGE;
    }
    printf("perigee %s\n", PERIGEE_VERSION);
    return CLI_OK;
}

static bool is(const char *word, const char *command, const char *option, const char *letter) {
    return strcmp(word, command) == 0 || strcmp(word, option) == 0 || strcmp(word, letter) == 0;
}

int main(int argc, char **argv) {
    if (argc < 2) {
        usage(stderr);
        return CLI_USAGE;
    }
    /* What the master executes; people have no use for it. */
    if (strcmp(argv[1], "worker") == 0) return worker_main();
    if (is(argv[1], "help", "--help", "-h")) return help(argc > 2 ? argv[2] : NULL);
    if (is(argv[1], "version", "--version", "-V")) return version(argc, argv);
    const cli_command_t *command = find(argv[1]);
    return command ? command->run(argc - 1, argv + 1) : unknown(argv[1]);
}
