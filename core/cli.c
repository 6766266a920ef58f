/* cli.c: reads a command line into settings, flags and arguments, and says what is wrong with it. */
#include "cli.h"
#include "addresses.h"
#include <stdarg.h>
#include "base/err.h"

void cli_help(const cli_command_t *command, FILE *out) {
    fprintf(out, "usage: perigee %s %s\n", command->name, command->usage);
    if (command->help) fprintf(out, "\n%s", command->help);
}

int cli_misused(const cli_command_t *command, const char *format, ...) {
    va_list args;
    va_start(args, format);
    fprintf(stderr, "perigee %s: ", command->name);
    vfprintf(stderr, format, args);
    va_end(args);
    fprintf(stderr, "\nusage: perigee %s %s\n", command->name, command->usage);
    return CLI_USAGE;
}

int cli_failed(const cli_command_t *command, const char *format, ...) {
    va_list args;
    va_start(args, format);
    fprintf(stderr, "perigee %s: ", command->name);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    return CLI_FAILED;
}

/* "--name", "--name=value" or "--name value"; *value is NULL for the first. Moves *at over a value of its own. */
static bool matches(
    const char *name, bool wants_value, int argc, char **argv, int *at, const char **value) {
    const char *word = argv[*at];
    size_t len = strlen(name);
    if (strncmp(word, "--", 2) != 0 || strncmp(word + 2, name, len) != 0) return false;
    *value = NULL;
    if (word[2 + len] == '=')
        *value = word + 3 + len;
    else if (word[2 + len] != '\0')
        return false;
    else if (wants_value && *at + 1 < argc)
        *value = argv[++*at];
    return true;
}

/* 1 when the word was one of the flags, 0 when not, -1 when it was, but wrong. */
static int take_flag(
    const cli_command_t *command, const cli_flag_t *flags, int argc, char **argv, int *at) {
    const char *value;
    for (const cli_flag_t *flag = flags; flag && flag->name; flag++) {
        if (!matches(flag->name, flag->value != NULL, argc, argv, at, &value)) continue;
        if ((flag->value != NULL) != (value != NULL)) {
            cli_misused(command, "--%s takes %s value", flag->name, flag->value ? "a" : "no");
            return -1;
        }
        if (flag->value)
            *flag->value = value;
        else
            *flag->set = true;
        return 1;
    }
    return 0;
}

/* --log-level=debug and --log_level=debug are the same setting. ERR_NOT_FOUND when it is none. */
static int take_setting(config_t *config, const char *word, char *why, size_t size) {
    char key[64], source[80];
    const char *equals = strchr(word, '=');
    if (strncmp(word, "--", 2) != 0 || !equals) return ERR_NOT_FOUND;
    size_t len = (size_t)(equals - word - 2);
    if (len == 0 || len >= sizeof(key)) return ERR_NOT_FOUND;
    snprintf(key, sizeof(key), "%.*s", (int)len, word + 2);
    snprintf(source, sizeof(source), "--%s", key);
    for (char *c = key; *c; c++) {
        if (*c == '-') *c = '_';
    }
    return config_set(config, span_of(key), span_of(equals + 1), source, why, size);
}

static bool is_help(const char *word) {
    return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

/* The file is read before anything else, because what follows on the line overrides it. */
static int load(cli_t *cli, const cli_command_t *command, int argc, char **argv) {
    const char *path = NULL, *value;
    char why[700];
    for (int at = 1; at < argc && strcmp(argv[at], "--") != 0; at++) {
        if (!matches("config", true, argc, argv, &at, &value)) continue;
        if (!value) return cli_misused(command, "--config takes a value");
        path = value;
    }
    if (config_load(&cli->config, path, why, sizeof(why)) == 0) return CLI_OK;
    cli_failed(command, "%s", why);
    return CLI_USAGE;
}

/* One word that is neither a flag nor an argument. */
static int take_word(cli_t *cli, const cli_command_t *command, bool lenient, char *word) {
    char why[700];
    int err = take_setting(&cli->config, word, why, sizeof(why));
    if (err == 0) return CLI_OK;
    if (err != ERR_NOT_FOUND) return cli_misused(command, "%s", why);
    if (!lenient) return cli_misused(command, "there is no option %s", word);
    cli->args[cli->nargs++] = word;
    return CLI_OK;
}

static int check(const cli_t *cli, const cli_command_t *command) {
    char why[700];
    if (addresses_check(&cli->config, why, sizeof(why)) == 0) return CLI_OK;
    cli_failed(command, "%s", why);
    return CLI_USAGE;
}

bool cli_parse(cli_t *cli, const cli_command_t *command, const cli_flag_t *flags, int argc,
    char **argv, int *code) {
    const char *value;
    bool options = true;
    cli->args = argv + 1; /* never ahead of what is still to be read */
    cli->nargs = 0;
    for (int at = 1; command->help && at < argc && strcmp(argv[at], "--") != 0; at++) {
        if (!is_help(argv[at])) continue;
        cli_help(command, stdout);
        *code = CLI_OK;
        return false;
    }
    *code = load(cli, command, argc, argv);
    for (int at = 1; at < argc && *code == CLI_OK; at++) {
        bool plain = !options || argv[at][0] != '-' || argv[at][1] == '\0';
        if (plain) {
            cli->args[cli->nargs++] = argv[at];
        } else if (strcmp(argv[at], "--") == 0) {
            options = false;
        } else if (!matches("config", true, argc, argv, &at, &value)) {
            int taken = take_flag(command, flags, argc, argv, &at);
            if (taken < 0) *code = CLI_USAGE;
            if (taken == 0) *code = take_word(cli, command, flags == NULL, argv[at]);
        }
    }
    if (*code == CLI_OK) *code = check(cli, command);
    return *code == CLI_OK;
}
