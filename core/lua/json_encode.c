/* json_encode.c: writes a Lua value as JSON straight from the stack into a buffer, with raw access only. */
#include "lua/json_encode.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/err.h"
#include "base/number.h"
#include "lua/decimal.h"
#include "lua/json_mark.h"
#include "lua/place.h"
#include "lua/vm.h"

enum { FEW = 16 };

/* One member of an object: its name, and where ,"name":value stands in the buffer. */
typedef struct member {
    span_t name;
    size_t from, to;
} member_t;

typedef struct members {
    member_t few[FEW], *all;
    size_t count, cap;
} members_t;

typedef struct encoder {
    lua_State *L;
    buf_t *out;
    size_t start;
    int depth;
    const void *path[JSON_DEPTH]; /* the tables around, for cycles */
    place_t place;
    char what[96];
} encoder_t;

static int put_value(encoder_t *enc);

static int refuse(encoder_t *enc, int err, const char *what) {
    snprintf(enc->what, sizeof enc->what, "%s", what);
    return err;
}

/* Text */

static size_t sequence(const unsigned char *at, size_t left) {
    unsigned char c = at[0];
    size_t len = c < 0xc2 ? 0 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : c < 0xf5 ? 4 : 0;
    if (len == 0 || len > left) return 0;
    for (size_t i = 1; i < len; i++) {
        if ((at[i] & 0xc0) != 0x80) return 0;
    }
    bool overlong = (c == 0xe0 && at[1] < 0xa0) || (c == 0xf0 && at[1] < 0x90);
    bool beyond = (c == 0xed && at[1] > 0x9f) || (c == 0xf4 && at[1] > 0x8f);
    return overlong || beyond ? 0 : len;
}

static bool is_plain(unsigned char c) {
    return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

static void put_escape(buf_t *out, unsigned char c) {
    static const char names[] = "\"\"\\\\\bb\ff\nn\rr\tt";
    for (size_t i = 0; i + 1 < sizeof names; i += 2) {
        if ((unsigned char)names[i] == c) {
            char pair[2] = {'\\', names[i + 1]};
            buf_put(out, pair, 2);
            return;
        }
    }
    buf_printf(out, "\\u%04x", c);
}

/* Most texts need no escape: one look, one copy. */
static bool put_plain(buf_t *out, span_t text, char before, char after) {
    size_t i = 0;
    while (i < text.len && is_plain((unsigned char)text.ptr[i]))
        i++;
    if (i < text.len) return false;
    char *at = buf_reserve(out, text.len + 4);
    if (at == NULL) return true;
    char *to = at;
    if (before != '\0') *to++ = before;
    *to++ = '"';
    memcpy(to, text.ptr, text.len);
    to += text.len;
    *to++ = '"';
    if (after != '\0') *to++ = after;
    out->len += (size_t)(to - at);
    return true;
}

static bool put_text(buf_t *out, span_t text) {
    const unsigned char *at = (const unsigned char *)text.ptr, *end = at + text.len;
    buf_char(out, '"');
    while (at < end) {
        const unsigned char *run = at;
        size_t len = 1;
        while (at < end && (is_plain(*at) || (*at >= 0x80 && len != 0))) {
            len = *at < 0x80 ? 1 : sequence(at, (size_t)(end - at));
            at += len;
        }
        buf_put(out, run, (size_t)(at - run));
        if (len == 0) return false;
        if (at < end) put_escape(out, *at++);
    }
    buf_char(out, '"');
    return true;
}

static span_t string_at(lua_State *L, int index) {
    span_t text;
    text.ptr = lua_tolstring(L, index, &text.len);
    return text;
}

static int put_string(encoder_t *enc, span_t text) {
    if (put_plain(enc->out, text, '\0', '\0') || put_text(enc->out, text)) return 0;
    return refuse(enc, ERR_INVALID, "a text is not valid UTF-8");
}

/* Numbers */

static int put_number(encoder_t *enc) {
    double number = lua_tonumber(enc->L, -1);
    if (!isfinite(number)) return refuse(enc, ERR_INVALID, "a number is not finite");
    number_put(enc->out, number);
    return 0;
}

/* Objects */

static member_t *add_member(members_t *members) {
    if (members->count == members->cap) {
        size_t cap = members->cap * 4;
        bool first = members->all == members->few;
        member_t *fresh = realloc(first ? NULL : members->all, cap * sizeof *fresh);
        if (fresh == NULL) return NULL;
        if (first) memcpy(fresh, members->few, members->count * sizeof *fresh);
        members->all = fresh;
        members->cap = cap;
    }
    return &members->all[members->count++];
}

static int compare(const void *a, const void *b) {
    const span_t x = ((const member_t *)a)->name, y = ((const member_t *)b)->name;
    size_t len = x.len < y.len ? x.len : y.len;
    int order = len != 0 ? memcmp(x.ptr, y.ptr, len) : 0;
    return order != 0 ? order : (x.len > y.len) - (x.len < y.len);
}

static bool in_order(const members_t *members) {
    for (size_t i = 1; i < members->count; i++) {
        if (compare(&members->all[i - 1], &members->all[i]) > 0) return false;
    }
    return true;
}

static void sort(members_t *members) {
    member_t *all = members->all;
    if (members->count > FEW) {
        qsort(all, members->count, sizeof *all, compare);
        return;
    }
    for (size_t i = 1; i < members->count; i++) {
        member_t moved = all[i];
        size_t j = i;
        for (; j > 0 && compare(&all[j - 1], &moved) > 0; j--)
            all[j] = all[j - 1];
        all[j] = moved;
    }
}

/* Puts the members, already written, into the order of their names: through the free room behind them. */
static int reorder(encoder_t *enc, members_t *members, size_t from) {
    buf_t *out = enc->out;
    size_t len = out->len - from;
    if (in_order(members)) return 0;
    char *room = buf_reserve(out, len);
    if (room == NULL) return ERR_NO_MEMORY;
    sort(members);
    for (size_t i = 0, at = 0; i < members->count; i++) {
        const member_t *member = &members->all[i];
        memcpy(room + at, out->ptr + member->from, member->to - member->from);
        at += member->to - member->from;
    }
    memcpy(out->ptr + from, room, len);
    return 0;
}

static int put_name(encoder_t *enc, span_t name) {
    if (put_plain(enc->out, name, ',', ':')) return 0;
    buf_char(enc->out, ',');
    int err = put_string(enc, name);
    buf_char(enc->out, ':');
    return err;
}

static int put_member(encoder_t *enc, members_t *members) {
    if (lua_type(enc->L, -2) != LUA_TSTRING) {
        return refuse(enc, ERR_INVALID, "a table mixes names and numbers as keys");
    }
    span_t name = string_at(enc->L, -2);
    size_t from = enc->out->len;
    int err = put_name(enc, name);
    if (err == 0) err = put_value(enc);
    if (err != 0) {
        place_in_name(&enc->place, name);
        return err;
    }
    member_t *member = add_member(members);
    if (member == NULL) return ERR_NO_MEMORY;
    *member = (member_t){name, from, enc->out->len};
    return 0;
}

/* The first key and value are on the stack already. Every member begins with a comma; the first one's becomes the
   brace. */
static int put_object(encoder_t *enc) {
    members_t members;
    members.all = members.few;
    members.count = 0;
    members.cap = FEW;
    size_t from = enc->out->len;
    int err;
    do {
        err = put_member(enc, &members);
        lua_pop(enc->L, 1);
    } while (err == 0 && lua_next(enc->L, -2) != 0);
    if (err == 0) err = reorder(enc, &members, from);
    if (err == 0 && !enc->out->failed) enc->out->ptr[from] = '{';
    buf_char(enc->out, '}');
    if (members.all != members.few) free(members.all);
    return err;
}

/* Lists */

static int put_item(encoder_t *enc, size_t index) {
    buf_char(enc->out, index == 1 ? '[' : ',');
    int err = put_value(enc);
    if (err != 0) place_in_index(&enc->place, index);
    return err;
}

static size_t count_pairs(lua_State *L) {
    size_t n = 0;
    for (lua_pushnil(L); lua_next(L, -2) != 0; n++)
        lua_pop(L, 1);
    return n;
}

/* The keys did not come in the order 1, 2, 3 …, because some live in the table's hash part: look each up. */
static int put_scattered(encoder_t *enc, size_t from) {
    lua_State *L = enc->L;
    size_t n = lua_objlen(L, -1);
    if (n == 0 || count_pairs(L) != n) {
        return refuse(enc, ERR_INVALID, "a table's keys are neither all names nor 1 to n");
    }
    enc->out->len = from;
    int err = 0;
    for (size_t i = 1; err == 0 && i <= n; i++) {
        lua_rawgeti(L, -1, (int)i);
        err = lua_isnil(L, -1) ? refuse(enc, ERR_INVALID, "a list has a hole") : put_item(enc, i);
        lua_pop(L, 1);
    }
    buf_char(enc->out, ']');
    return err;
}

/* The first key and value are on the stack already; usually the keys come in order, and one pass is enough. */
static int put_list(encoder_t *enc) {
    lua_State *L = enc->L;
    size_t from = enc->out->len, index = 0;
    int err = 0;
    do {
        index++;
        if (lua_type(L, -2) != LUA_TNUMBER || lua_tonumber(L, -2) != (double)index) {
            lua_pop(L, 2);
            return put_scattered(enc, from);
        }
        err = put_item(enc, index);
        lua_pop(L, 1);
    } while (err == 0 && lua_next(L, -2) != 0);
    buf_char(enc->out, ']');
    return err;
}

/* Values */

static int put_content(encoder_t *enc) {
    lua_State *L = enc->L;
    char mark = json_marked(L, -1);
    lua_pushnil(L);
    if (lua_next(L, -2) == 0) {
        buf_text(enc->out, mark == 'o' ? "{}" : "[]");
        return 0;
    }
    bool list = lua_type(L, -2) == LUA_TNUMBER;
    if (mark == (list ? 'o' : 'l')) {
        return refuse(enc, ERR_INVALID,
            list ? "an object has a number as a key" : "a list has a key that is not a number");
    }
    return list ? put_list(enc) : put_object(enc);
}

static int put_table(encoder_t *enc) {
    const void *table = lua_topointer(enc->L, -1);
    for (int i = 0; i < enc->depth; i++) {
        if (enc->path[i] == table) return refuse(enc, ERR_INVALID, "a table contains itself");
    }
    if (enc->depth == JSON_DEPTH) return refuse(enc, ERR_INVALID, "more than 128 levels");
    if (!lua_checkstack(enc->L, 6)) return ERR_NO_MEMORY;
    int top = lua_gettop(enc->L);
    enc->path[enc->depth++] = table;
    int err = put_content(enc);
    enc->depth--;
    lua_settop(enc->L, top);
    return err;
}

static int put_other(encoder_t *enc) {
    lua_State *L = enc->L;
    span_t text;
    if (lua_type(L, -1) == LUA_TLIGHTUSERDATA && lua_touserdata(L, -1) == NULL) {
        buf_text(enc->out, "null");
    } else if (decimal_at(L, -1, &text)) {
        buf_span(enc->out, text);
    } else {
        char what[64];
        snprintf(what, sizeof what, "a %s is not JSON", lua_typename(L, lua_type(L, -1)));
        return refuse(enc, ERR_INVALID, what);
    }
    return 0;
}

/* The value on top of the stack, which it leaves there. */
static int put_value(encoder_t *enc) {
    if (enc->out->failed) return ERR_NO_MEMORY;
    if (enc->out->len - enc->start > JSON_SIZE)
        return refuse(enc, ERR_TOO_LARGE, "more than 16 MB of JSON");
    switch (lua_type(enc->L, -1)) {
    case LUA_TNIL:
        buf_text(enc->out, "null");
        return 0;
    case LUA_TBOOLEAN:
        buf_text(enc->out, lua_toboolean(enc->L, -1) ? "true" : "false");
        return 0;
    case LUA_TNUMBER:
        return put_number(enc);
    case LUA_TSTRING:
        return put_string(enc, string_at(enc->L, -1));
    case LUA_TTABLE:
        return put_table(enc);
    default:
        return put_other(enc);
    }
}

int json_encode(lua_State *L, int index, buf_t *out, char *why, size_t size) {
    encoder_t enc;
    enc.L = L;
    enc.out = out;
    enc.start = out->len;
    enc.depth = 0;
    enc.place.text[0] = enc.what[0] = '\0';
    if (!lua_checkstack(L, 6)) return ERR_NO_MEMORY;
    lua_pushvalue(L, index);
    int err = put_value(&enc);
    lua_pop(L, 1);
    if (err == 0 && out->failed) err = ERR_NO_MEMORY;
    if (err == 0 && out->len - enc.start > JSON_SIZE) {
        err = refuse(&enc, ERR_TOO_LARGE, "more than 16 MB of JSON");
    }
    if (err == 0) return 0;
    out->len = enc.start;
    if (size > 0) {
        const char *what = enc.what[0] != '\0' ? enc.what : err_text(err);
        place_tell(&enc.place, what, why, size);
    }
    return err;
}
