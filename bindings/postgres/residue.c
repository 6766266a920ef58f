/* residue.c: whether a statement calls a function whose effect outlives it in its session: names before a bracket are
   looked at, outside of strings and comments. */
#include "postgres/residue.h"
#include <ctype.h>
#include <string.h>
#include <strings.h>
#include "postgres/comment.h"

/* So that nearly all statements are looked through for one byte only. */
static bool mentions(const char *sql) {
    while ((sql = strchr(sql, '_'))) {
        sql++;
        if (strncasecmp(sql, "advisory", 8) == 0 || strncasecmp(sql, "config", 6) == 0) return true;
    }
    return false;
}

static bool is_name(char byte) {
    return isalnum((unsigned char)byte) || byte == '_' || (unsigned char)byte >= 0x80;
}

static const char *after_name(const char *at) {
    while (is_name(*at) || *at == '$')
        at++;
    return at;
}

/* Two marks in a row are one of the text's; with `escapes` a backslash takes the next byte's meaning. */
static const char *after_quoted(const char *at, bool escapes) {
    char mark = *at++;
    for (; *at; at++) {
        if (escapes && at[0] == '\\' && at[1]) {
            at++;
        } else if (at[0] == mark) {
            if (at[1] != mark) return at + 1;
            at++;
        }
    }
    return at;
}

/* $tag$ … $tag$, or the `$` of a parameter. */
static const char *after_dollar(const char *at) {
    const char *end = at + 1;
    while (is_name(*end))
        end++;
    if (*end != '$' || isdigit((unsigned char)at[1])) return at + 1;
    size_t len = (size_t)(end - at) + 1;
    for (const char *close = end + 1; (close = strchr(close, '$')); close++)
        if (strncmp(close, at, len) == 0) return close + len;
    return at + strlen(at);
}

/* Past a string, a comment, or one byte that is neither. */
static const char *after_piece(const char *at) {
    bool comment = strncmp(at, "--", 2) == 0 || strncmp(at, "/*", 2) == 0;
    if (comment) return postgres_after_comment(at);
    if (*at == '$') return after_dollar(at);
    return *at == '\'' || *at == '"' ? after_quoted(at, false) : at + 1;
}

/* Past a name too; of E'…' past the string. */
static const char *after_any(const char *at) {
    if (!is_name(*at)) return after_piece(at);
    const char *end = after_name(at);
    bool escaped = end - at == 1 && tolower((unsigned char)*at) == 'e' && *end == '\'';
    return escaped ? after_quoted(end, true) : end;
}

static const char *after_space(const char *at) {
    for (;;) {
        at += strspn(at, " \t\r\n\f\v");
        if (strncmp(at, "--", 2) != 0 && strncmp(at, "/*", 2) != 0) return at;
        at = postgres_after_comment(at);
    }
}

/* Whether the third argument of the call is `true` and nothing else. */
static bool ends_locally(const char *at) {
    int depth = 0, commas = 0;
    while (*at && depth >= 0 && commas < 2) {
        if (*at == '(' || *at == '[') depth++;
        if (*at == ')' || *at == ']') depth--;
        if (*at == ',' && depth == 0) commas++;
        at = after_any(at);
    }
    at = after_space(at);
    const char *end = after_name(at);
    bool is_true = end - at == 4 && strncasecmp(at, "true", 4) == 0;
    return commas == 2 && is_true && *after_space(end) == ')';
}

/* What these lock stays locked until the session ends. */
static bool is_lock(const char *name, size_t len) {
    static const char *const LOCKS[] = {"pg_advisory_lock", "pg_advisory_lock_shared",
        "pg_try_advisory_lock", "pg_try_advisory_lock_shared"};
    for (size_t i = 0; i < sizeof LOCKS / sizeof *LOCKS; i++)
        if (strlen(LOCKS[i]) == len && strncasecmp(name, LOCKS[i], len) == 0) return true;
    return false;
}

static bool leaves(const char *name, size_t len, const char *arguments) {
    bool sets = len == 10 && strncasecmp(name, "set_config", len) == 0;
    return is_lock(name, len) || (sets && !ends_locally(arguments));
}

bool postgres_leaves_residue(const char *sql) {
    if (!mentions(sql)) return false;
    while (*sql) {
        const char *end = after_any(sql), *open = after_space(end);
        size_t quote = *sql == '"';
        bool named = quote || is_name(*sql);
        if (named && *open == '(' && leaves(sql + quote, (size_t)(end - sql) - 2 * quote, open + 1))
            return true;
        sql = end;
    }
    return false;
}
