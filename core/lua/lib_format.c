/* lib_format.c: string.format within a bounded text; no %p, and %s shows no addresses. */
#include "lua/sandbox_own.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#define ITEM_MAX 512 /* %99.99f of 1e308 takes 409 */

typedef struct directive {
    char spec[16]; /* "%-5.2", to which the conversion is added */
    size_t len;
    char conversion;
} directive_t;

/* Reads what follows a '%': flags, two digits of width, two of precision. Returns what is behind the conversion. */
static const char *parse(lua_State *L, const char *at, const char *end, directive_t *out) {
    const char *start = at;
    while (at < end && *at && strchr("-+ #0", *at))
        at++;
    if (at - start > 5) luaL_error(L, "invalid format (repeated flags)");
    for (int i = 0; i < 2 && at < end && isdigit((unsigned char)*at); i++)
        at++;
    if (at < end && *at == '.') {
        at++;
        for (int i = 0; i < 2 && at < end && isdigit((unsigned char)*at); i++)
            at++;
    }
    if (at >= end || isdigit((unsigned char)*at))
        luaL_error(L, "invalid format (width or precision too long)");
    out->spec[0] = '%';
    out->len = 1 + (size_t)(at - start);
    memcpy(out->spec + 1, start, (size_t)(at - start));
    out->spec[out->len] = 0;
    out->conversion = *at;
    return at + 1;
}

/* What snprintf wrote; it never reaches ITEM_MAX with two digits of width and precision. */
static void advance(text_t *text, int n) {
    if (n < 0 || n >= ITEM_MAX) luaL_error(text->L, "invalid format");
    text->len += (size_t)n;
}

static bool is_one_of(char c, const char *set) {
    return c != 0 && strchr(set, c) != NULL;
}

static void finish(directive_t *d, const char *ending) {
    strcpy(d->spec + d->len, ending);
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"

/* A number beyond 64 bits has no whole form: refused, where C would convert it as it likes. */
static int64_t whole(lua_State *L, int arg) {
    lua_Number number = luaL_checknumber(L, arg);
    luaL_argcheck(L, number >= -9223372036854775808.0 && number < 18446744073709551616.0, arg,
        "number has no integer representation");
    return number < 9223372036854775808.0 ? (int64_t)number : (int64_t)(uint64_t)number;
}

static void put_whole(text_t *text, directive_t *d, int arg) {
    char ending[4] = {'l', 'l', d->conversion == 'i' ? 'd' : d->conversion, 0};
    long long value = (long long)whole(text->L, arg);
    finish(d, ending);
    char *to = text_reserve(text, ITEM_MAX);
    advance(text, snprintf(to, ITEM_MAX, d->spec, value));
}

static void put_float(text_t *text, directive_t *d, int arg) {
    char ending[2] = {d->conversion, 0};
    lua_Number value = luaL_checknumber(text->L, arg);
    finish(d, ending);
    char *to = text_reserve(text, ITEM_MAX);
    advance(text, snprintf(to, ITEM_MAX, d->spec, value));
}

static void put_char(text_t *text, directive_t *d, int arg) {
    int code = (int)(lib_int(text->L, arg) & 255);
    finish(d, "c");
    char *to = text_reserve(text, ITEM_MAX);
    advance(text, snprintf(to, ITEM_MAX, d->spec, code));
}

/* The text's own bytes, NUL included, padded and cut by hand. */
static void put_string(text_t *text, const directive_t *d, int arg) {
    size_t len;
    const char *value = lib_tostring(text->L, arg, &len);
    const char *at = d->spec + 1;
    bool left = false;
    for (; *at && strchr("-+ #0", *at); at++)
        left |= *at == '-';
    char *rest;
    size_t width = strtoul(at, &rest, 10);
    if (*rest == '.') {
        size_t most = strtoul(rest + 1, NULL, 10);
        if (len > most) len = most;
    }
    size_t pad = width > len ? width - len : 0;
    for (size_t i = 0; !left && i < pad; i++)
        text_put(text, " ", 1);
    text_put(text, value, len);
    for (size_t i = 0; left && i < pad; i++)
        text_put(text, " ", 1);
    lua_pop(text->L, 1);
}
#pragma GCC diagnostic pop

/* One byte as it stands in source text; a digit behind it must not join its code. */
static void put_escaped(text_t *text, unsigned char c, bool digit_follows) {
    char code[8];
    if (c == '"' || c == '\\' || c == '\n')
        snprintf(code, sizeof code, "\\%c", c);
    else
        snprintf(code, sizeof code, digit_follows ? "\\%03d" : "\\%d", c);
    text_put(text, code, strlen(code));
    budget_work(text->L, 32);
}

static void put_quoted(text_t *text, int arg) {
    size_t len;
    const char *value = luaL_checklstring(text->L, arg, &len);
    text_put(text, "\"", 1);
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)value[i];
        if (c == '"' || c == '\\' || c < 32 || c == 127)
            put_escaped(text, c, i + 1 < len && isdigit((unsigned char)value[i + 1]));
        else
            text_put(text, &value[i], 1);
    }
    text_put(text, "\"", 1);
    budget_work(text->L, len);
}

static void put(text_t *text, directive_t *d, int arg) {
    luaL_checkany(text->L, arg);
    if (is_one_of(d->conversion, "diuoxX"))
        put_whole(text, d, arg);
    else if (is_one_of(d->conversion, "aAeEfFgG"))
        put_float(text, d, arg);
    else if (d->conversion == 'c')
        put_char(text, d, arg);
    else if (d->conversion == 's')
        put_string(text, d, arg);
    else if (d->conversion == 'q')
        put_quoted(text, arg);
    else
        luaL_error(text->L, "invalid option '%%%c' to 'format'", d->conversion);
}

static int l_format(lua_State *L) {
    size_t len;
    const char *at = luaL_checklstring(L, 1, &len);
    const char *end = at + len;
    int arg = 1, most = lua_gettop(L);
    text_t text;
    text_open(&text, L);
    while (at < end) {
        const char *mark = memchr(at, '%', (size_t)(end - at));
        text_put(&text, at, (size_t)((mark ? mark : end) - at));
        if (!mark) break;
        at = mark + 1;
        if (at < end && *at == '%') {
            text_put(&text, at++, 1);
            continue;
        }
        directive_t directive;
        at = parse(L, at, end, &directive);
        if (++arg > most) luaL_argerror(L, arg, "no value");
        put(&text, &directive, arg);
        budget_work(L, 8);
    }
    text_push(&text);
    return 1;
}

void lib_format_open(lua_State *L) {
    lua_pushcfunction(L, l_format);
    lua_setfield(L, -2, "format");
}
