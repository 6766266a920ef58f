/* cli_reload.c: `perigee reload`. */
#include <yyjson.h>
#include "cli.h"
#include "control.h"

/* Lines of what is live to standard output, of what was refused to standard error. */
static void print(yyjson_val *report) {
    size_t at, most;
    yyjson_val *one;
    yyjson_arr_foreach(report, at, most, one) {
        const char *source = yyjson_get_str(yyjson_obj_get(one, "source"));
        const char *error = yyjson_get_str(yyjson_obj_get(one, "error"));
        if (!source) continue;
        if (error) {
            fprintf(stderr, "perigee reload: %s is refused, %s before it serves on:\n%s\n", source,
                strstr(source, "/tenant.json") ? "the stored document" : "the edition", error);
        } else {
            printf("%s is live: %s\n", source, yyjson_get_str(yyjson_obj_get(one, "hash")));
        }
    }
    if (most == 0) printf("nothing has changed\n");
}

static int show(const buf_t *answer, bool wait) {
    yyjson_doc *doc = yyjson_read(answer->ptr, answer->len, 0);
    yyjson_val *root = doc ? yyjson_doc_get_root(doc) : NULL;
    const char *error = yyjson_get_str(yyjson_obj_get(root, "error"));
    bool ok = yyjson_get_bool(yyjson_obj_get(root, "ok"));
    int code = ok ? CLI_OK : CLI_FAILED;
    if (error || !root)
        code = cli_failed(&CLI_RELOAD, "%s", error ? error : "bad answer");
    else if (wait)
        print(yyjson_obj_get(root, "report"));
    yyjson_doc_free(doc);
    return code;
}

static int run(int argc, char **argv) {
    static cli_t cli;
    bool wait = false;
    int code;
    const cli_flag_t flags[] = {{.name = "wait", .set = &wait}, {0}};
    if (!cli_parse(&cli, &CLI_RELOAD, flags, argc, argv, &code)) return code;
    if (cli.nargs > 0) return cli_misused(&CLI_RELOAD, "unexpected argument %s", cli.args[0]);
    buf_t answer;
    char why[700];
    buf_create(&answer);
    span_t ask = wait ? SPAN("{\"do\":\"reload\",\"wait\":true}\n") : SPAN("{\"do\":\"reload\"}\n");
    if (control_ask(&cli.config, ask, &answer, why, sizeof(why)) != 0) {
        code = cli_failed(&CLI_RELOAD, "%s", why);
    } else {
        code = show(&answer, wait);
    }
    buf_destroy(&answer);
    return code;
}

const cli_command_t CLI_RELOAD = {
    .name = "reload",
    .usage = "[--wait] [--config FILE] [--SETTING=VALUE…]",
    .summary = "let a running server look at its scripts and rules now",
    .help =
        "Finds the server by the settings data and port. Edits are noticed without this command.\n"
        "  --wait   return when everything is live, and say what is; exit code 1 when something "
        "was refused\n",
    .run = run,
};
