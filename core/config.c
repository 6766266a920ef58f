/* config.c: reads the settings of a server and names what is wrong with them. */
#include "config.h"
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>
#include <yyjson.h>
#include "base/err.h"
#include "base/rate.h"
#include "proxy.h"

#define FILE_MAX (256 * 1024)
#define USUAL_FILE "perigee.conf"

typedef enum {
    KIND_NUMBER,
    KIND_FLAG,
    KIND_TEXT,
    KIND_LEVEL,
    KIND_SECRET,
    KIND_CHOICE,
    KIND_RATE
} kind_t;
typedef struct key {
    kind_t kind;
    const char *name, *initial;
    int64_t least, most;
    const char *unit, *sentence;
    size_t offset;
} config_key_t;

static const config_key_t KEYS[] = {
#define X(KIND, key, initial, least, most, unit, sentence)                                         \
    {KIND_##KIND, #key, initial, least, most, unit, sentence, offsetof(config_t, key)},
    CONFIG_KEYS(X)
#undef X
};
#define NKEYS (sizeof(KEYS) / sizeof(*KEYS))
static const char *const LEVELS[] = {"debug", "info", "warn", "error"};

static const config_key_t *find(span_t name) {
    for (size_t i = 0; i < NKEYS; i++) {
        if (span_eq(span_of(KEYS[i].name), name)) return &KEYS[i];
    }
    return NULL;
}

static void *field(const config_t *config, const config_key_t *key) {
    return (char *)config + key->offset;
}

static int set_number(config_t *config, const config_key_t *key, span_t value, const char *source,
    char *why, size_t size) {
    int64_t number;
    int err = span_to_i64(value, &number);
    if (err == 0 && number >= key->least && number <= key->most) {
        *(int64_t *)field(config, key) = number;
        return 0;
    }
    return err_why(err == ERR_INVALID ? ERR_INVALID : ERR_RANGE, why, size,
        "%s: %s must be a whole number from %lld to %lld, not \"%.*s\"", source, key->name,
        (long long)key->least, (long long)key->most, (int)value.len, value.ptr);
}

static int set_flag(config_t *config, const config_key_t *key, span_t value, const char *source,
    char *why, size_t size) {
    bool on = span_eq(value, SPAN("true"));
    if (!on && !span_eq(value, SPAN("false"))) {
        return err_why(ERR_INVALID, why, size, "%s: %s must be true or false, not \"%.*s\"", source,
            key->name, (int)value.len, value.ptr);
    }
    *(bool *)field(config, key) = on;
    return 0;
}

static void copy_text(config_t *config, const config_key_t *key, span_t value) {
    char *text = field(config, key);
    memcpy(text, value.ptr, value.len);
    text[value.len] = '\0';
}

static int set_text(config_t *config, const config_key_t *key, span_t value, const char *source,
    char *why, size_t size) {
    if ((int64_t)value.len < key->least) {
        return err_why(ERR_INVALID, why, size, "%s: %s must not be empty", source, key->name);
    }
    if ((int64_t)value.len > key->most || memchr(value.ptr, '\0', value.len)) {
        return err_why(ERR_RANGE, why, size, "%s: %s must be text of at most %lld bytes", source,
            key->name, (long long)key->most);
    }
    copy_text(config, key, value);
    return 0;
}

static int set_level(config_t *config, const config_key_t *key, span_t value, const char *source,
    char *why, size_t size) {
    for (size_t i = 0; i < sizeof(LEVELS) / sizeof(*LEVELS); i++) {
        if (!span_eq(span_of(LEVELS[i]), value)) continue;
        *(log_level_t *)field(config, key) = (log_level_t)i;
        return 0;
    }
    return err_why(ERR_INVALID, why, size,
        "%s: %s must be debug, info, warn or error, not \"%.*s\"", source, key->name,
        (int)value.len, value.ptr);
}

static int set_choice(config_t *config, const config_key_t *key, span_t value, const char *source,
    char *why, size_t size) {
    span_t left = span_of(key->unit);
    while (left.len > 0) {
        if (!span_eq(span_cut(&left, '|'), value)) continue;
        copy_text(config, key, value);
        return 0;
    }
    return err_why(ERR_INVALID, why, size, "%s: %s must be one of %s, not \"%.*s\"", source,
        key->name, key->unit, (int)value.len, value.ptr);
}

static int set_rate(config_t *config, const config_key_t *key, span_t value, const char *source,
    char *why, size_t size) {
    rate_limit_t rate;
    char wrong[200];
    int err = value.len < 512 ? rate_read(value, &rate, wrong, sizeof(wrong)) : ERR_RANGE;
    if (err == ERR_RANGE) snprintf(wrong, sizeof(wrong), "the text is too long");
    if (err) return err_why(err, why, size, "%s: %s: %s", source, key->name, wrong);
    copy_text(config, key, value);
    return 0;
}

static int set(config_t *config, const config_key_t *key, span_t value, const char *source,
    char *why, size_t size) {
    switch (key->kind) {
    case KIND_NUMBER:
        return set_number(config, key, value, source, why, size);
    case KIND_FLAG:
        return set_flag(config, key, value, source, why, size);
    case KIND_TEXT:
    case KIND_SECRET:
        return set_text(config, key, value, source, why, size);
    case KIND_CHOICE:
        return set_choice(config, key, value, source, why, size);
    case KIND_RATE:
        return set_rate(config, key, value, source, why, size);
    default:
        return set_level(config, key, value, source, why, size);
    }
}

void config_default(config_t *config) {
    memset(config, 0, sizeof(*config));
    char why[8];
    for (size_t i = 0; i < NKEYS; i++) {
        set(config, &KEYS[i], span_of(KEYS[i].initial), "default", why, sizeof(why));
    }
}

int config_set(
    config_t *config, span_t name, span_t value, const char *source, char *why, size_t size) {
    const config_key_t *key = find(name);
    span_t bad;
    if (key && strcmp(key->name, "trusted_proxies") == 0 && proxy_check(value, &bad) != 0) {
        return err_why(ERR_INVALID, why, size,
            "%s: trusted_proxies: \"%.*s\" is not an address or a network (10.0.0.0/8, ::1)",
            source, (int)bad.len, bad.ptr);
    }
    if (key) return set(config, key, value, source, why, size);
    return err_why(ERR_NOT_FOUND, why, size,
        "%s: there is no setting \"%.*s\" (perigee help config lists them)", source, (int)name.len,
        name.ptr);
}

static int set_line(config_t *config, span_t line, const char *source, char *why, size_t size) {
    line = span_trim(line);
    if (line.len == 0 || line.ptr[0] == '#') return 0;
    if (!memchr(line.ptr, '=', line.len)) {
        /* The first word only: what follows may be a secret whose '=' was forgotten. */
        span_t word = span_cut(&line, ' ');
        return err_why(ERR_INVALID, why, size, "%s: expected \"key = value\" at \"%.*s\"", source,
            (int)word.len, word.ptr);
    }
    span_t key = span_cut(&line, '=');
    return config_set(config, span_trim(key), span_trim(line), source, why, size);
}

static int set_lines(config_t *config, span_t text, const char *path, char *why, size_t size) {
    char source[600];
    for (int number = 1; text.len > 0; number++) {
        span_t line = span_cut(&text, '\n');
        if (line.len > 0 && line.ptr[line.len - 1] == '\r') line.len--;
        snprintf(source, sizeof(source), "%s:%d", path, number);
        int err = set_line(config, line, source, why, size);
        if (err) return err;
    }
    return 0;
}

int config_read_file(config_t *config, const char *path, char *why, size_t size) {
    FILE *file = fopen(path, "re");
    if (!file) {
        int err = errno == ENOENT ? ERR_NOT_FOUND : ERR_INVALID;
        return err_why(err, why, size, "%s: %s", path, strerror(errno));
    }
    buf_t text;
    buf_create(&text);
    char *room = buf_reserve(&text, FILE_MAX + 1);
    size_t len = room ? fread(room, 1, FILE_MAX + 1, file) : 0;
    bool failed = !room || ferror(file);
    fclose(file);
    int err;
    if (failed || len > FILE_MAX) {
        err =
            err_why(ERR_INVALID, why, size, "%s: cannot be read, or is not a settings file", path);
    } else {
        err = set_lines(config, (span_t){room, len}, path, why, size);
    }
    buf_destroy(&text);
    return err;
}

static void variable_of(const config_key_t *key, char out[64]) {
    size_t at = (size_t)snprintf(out, 64, "PERIGEE_");
    for (const char *c = key->name; *c && at < 63; c++) {
        out[at++] = (char)toupper((unsigned char)*c);
    }
    out[at] = '\0';
}

int config_read_environment(config_t *config, char *why, size_t size) {
    for (size_t i = 0; i < NKEYS; i++) {
        char variable[64];
        variable_of(&KEYS[i], variable);
        const char *value = getenv(variable);
        int err = value ? set(config, &KEYS[i], span_of(value), variable, why, size) : 0;
        if (err) return err;
    }
    return 0;
}

int config_load(config_t *config, const char *path, char *why, size_t size) {
    config_default(config);
    if (!path) path = getenv("PERIGEE_CONFIG");
    /* Only the file that nobody asked for may be missing. */
    if (!path && access(USUAL_FILE, F_OK) == 0) path = USUAL_FILE;
    int err = path ? config_read_file(config, path, why, size) : 0;
    return err ? err : config_read_environment(config, why, size);
}

static void print(const config_t *config, const config_key_t *key, buf_t *out) {
    switch (key->kind) {
    case KIND_NUMBER:
        buf_i64(out, *(int64_t *)field(config, key));
        break;
    case KIND_FLAG:
        buf_text(out, *(bool *)field(config, key) ? "true" : "false");
        break;
    case KIND_TEXT:
    case KIND_SECRET:
    case KIND_CHOICE:
    case KIND_RATE:
        buf_text(out, field(config, key));
        break;
    default:
        buf_text(out, LEVELS[*(log_level_t *)field(config, key)]);
        break;
    }
}

bool config_print(const config_t *config, span_t name, buf_t *out) {
    const config_key_t *key = find(name);
    if (!key) return false;
    if (key->kind != KIND_SECRET)
        print(config, key, out);
    else if (*(char *)field(config, key))
        buf_text(out, "set");
    return true;
}

/* Every value travels as a string, so that config_from_json goes through the one parser. */
void config_to_json(const config_t *config, buf_t *out) {
    buf_t text;
    buf_create(&text);
    for (size_t i = 0; i < NKEYS; i++) {
        buf_reset(&text);
        print(config, &KEYS[i], &text);
        buf_printf(out, "%s\"%s\":", i == 0 ? "{" : ",", KEYS[i].name);
        buf_json(out, buf_view(&text));
    }
    buf_char(out, '}');
    if (text.failed) out->failed = true;
    buf_destroy(&text);
}

int config_from_json(config_t *config, span_t json, char *why, size_t size) {
    config_default(config);
    yyjson_doc *doc = yyjson_read(json.ptr, json.len, 0);
    if (!doc) return err_why(ERR_BAD_JSON, why, size, "the worker's settings are not JSON");
    int err = 0;
    size_t at, most;
    yyjson_val *name, *value;
    yyjson_obj_foreach(yyjson_doc_get_root(doc), at, most, name, value) {
        if (err) break;
        span_t key = {yyjson_get_str(name), yyjson_get_len(name)};
        span_t text = {yyjson_get_str(value), yyjson_get_len(value)};
        err = text.ptr ? config_set(config, key, text, "settings", why, size)
                       : err_why(ERR_INVALID, why, size, "settings: %s is not a string", key.ptr);
    }
    yyjson_doc_free(doc);
    return err;
}

void config_help(FILE *out) {
    for (size_t i = 0; i < NKEYS; i++) {
        const config_key_t *key = &KEYS[i];
        char unit[32] = "";
        if (*key->unit) snprintf(unit, sizeof(unit), " [%s]", key->unit);
        fprintf(out, "  %-24s %s%s (default: %s)\n", key->name, key->sentence, unit,
            *key->initial ? key->initial : "none");
    }
}
