/* decimal.c: makes, compares and prints exact decimal numbers for scripts; no arithmetic, since none would be exact. */
#include "lua/decimal.h"

#include <lauxlib.h>
#include "lua/await.h"
#include "lua/vm.h"
#include "base/err.h"
#include "base/number.h"

enum { TEXT_MOST = 1000 };
#define EXPONENT_MOST INT64_C(999999999)

typedef struct decimal {
    uint32_t len;
    char text[];
} decimal_t;

/* A number taken apart: sign, the digits before and behind the point, and the exponent. */
typedef struct parts {
    bool negative;
    span_t whole, fraction;
    int64_t exponent;
} parts_t;

static span_t take_digits(span_t *text) {
    span_t digits = {text->ptr, 0};
    while (
        digits.len < text->len && digits.ptr[digits.len] >= '0' && digits.ptr[digits.len] <= '9') {
        digits.len++;
    }
    text->ptr += digits.len;
    text->len -= digits.len;
    return digits;
}

static bool take_char(span_t *text, const char *any) {
    if (text->len == 0 || strchr(any, *text->ptr) == NULL || *text->ptr == '\0') return false;
    text->ptr++;
    text->len--;
    return true;
}

static bool take_exponent(span_t *text, int64_t *exponent) {
    bool negative = take_char(text, "-");
    if (!negative) take_char(text, "+");
    span_t digits = take_digits(text);
    int64_t value = 0;
    for (size_t i = 0; i < digits.len; i++) {
        value = value * 10 + (digits.ptr[i] - '0');
        if (value > EXPONENT_MOST) return false;
    }
    *exponent = negative ? -value : value;
    return digits.len > 0;
}

static bool take_apart(span_t text, parts_t *parts) {
    *parts = (parts_t){.negative = take_char(&text, "-")};
    parts->whole = take_digits(&text);
    if (parts->whole.len == 0 || (parts->whole.len > 1 && *parts->whole.ptr == '0')) return false;
    if (take_char(&text, ".")) {
        parts->fraction = take_digits(&text);
        if (parts->fraction.len == 0) return false;
    }
    if (take_char(&text, "eE") && !take_exponent(&text, &parts->exponent)) return false;
    return text.len == 0;
}

bool decimal_valid(span_t text) {
    parts_t parts;
    return text.len <= TEXT_MOST && take_apart(text, &parts);
}

static char digit_at(const parts_t *parts, size_t i) {
    if (i < parts->whole.len) return parts->whole.ptr[i];
    i -= parts->whole.len;
    return i < parts->fraction.len ? parts->fraction.ptr[i] : '0';
}

/* Where the digits that count begin; all of the length when the number is zero. */
static size_t first_digit(const parts_t *parts) {
    size_t n = parts->whole.len + parts->fraction.len, i = 0;
    while (i < n && digit_at(parts, i) == '0')
        i++;
    return i;
}

/* Both positive and not zero: the place of the first digit decides, then the digits, read as if zeros went on for
   ever. */
static int compare_sizes(const parts_t *a, size_t a_first, const parts_t *b, size_t b_first) {
    int64_t a_place = (int64_t)a->whole.len - (int64_t)a_first + a->exponent;
    int64_t b_place = (int64_t)b->whole.len - (int64_t)b_first + b->exponent;
    if (a_place != b_place) return a_place < b_place ? -1 : 1;
    size_t a_len = a->whole.len + a->fraction.len, b_len = b->whole.len + b->fraction.len;
    for (size_t i = 0; i < a_len || i < b_len; i++) {
        char x = digit_at(a, a_first + i), y = digit_at(b, b_first + i);
        if (x != y) return x < y ? -1 : 1;
    }
    return 0;
}

int decimal_compare(span_t a, span_t b) {
    parts_t x, y;
    take_apart(a, &x);
    take_apart(b, &y);
    size_t x_first = first_digit(&x), y_first = first_digit(&y);
    bool x_zero = x_first == x.whole.len + x.fraction.len;
    bool y_zero = y_first == y.whole.len + y.fraction.len;
    int x_sign = x_zero ? 0 : x.negative ? -1 : 1, y_sign = y_zero ? 0 : y.negative ? -1 : 1;
    if (x_sign != y_sign) return x_sign < y_sign ? -1 : 1;
    return x_sign == 0 ? 0 : x_sign * compare_sizes(&x, x_first, &y, y_first);
}

void decimal_push(lua_State *L, span_t text) {
    decimal_t *decimal = lua_newuserdata(L, sizeof *decimal + text.len + 1);
    decimal->len = (uint32_t)text.len;
    memcpy(decimal->text, text.ptr, text.len);
    decimal->text[text.len] = '\0';
    lua_rawgeti(L, LUA_REGISTRYINDEX, vm_of(L)->decimal_mt);
    lua_setmetatable(L, -2);
}

bool decimal_at(lua_State *L, int index, span_t *text) {
    const void *ours = vm_of(L)->decimal_at;
    if (ours == NULL || lua_type(L, index) != LUA_TUSERDATA || !lua_getmetatable(L, index))
        return false;
    bool same = lua_topointer(L, -1) == ours;
    lua_pop(L, 1);
    if (!same) return false;
    const decimal_t *decimal = lua_touserdata(L, index);
    *text = (span_t){decimal->text, decimal->len};
    return true;
}

/* A decimal, a number or a number's text; the room holds a number's own text. */
static bool read_number(lua_State *L, int index, char room[NUMBER_TEXT], span_t *text) {
    if (decimal_at(L, index, text)) return true;
    if (lua_type(L, index) == LUA_TNUMBER) {
        number_text(lua_tonumber(L, index), room);
        *text = span_of(room);
    } else if (lua_type(L, index) == LUA_TSTRING) {
        text->ptr = lua_tolstring(L, index, &text->len);
    } else {
        return false;
    }
    return decimal_valid(*text);
}

static int l_new(lua_State *L) {
    char room[NUMBER_TEXT];
    span_t text;
    luaL_checkany(L, 1);
    if (!read_number(L, 1, room, &text)) {
        return await_push_error(L, ERR_INVALID, "a decimal is made from a number or its text");
    }
    decimal_push(L, text);
    return 1;
}

static int l_is(lua_State *L) {
    span_t text;
    luaL_checkany(L, 1);
    lua_pushboolean(L, decimal_at(L, 1, &text));
    return 1;
}

static int compare_arguments(lua_State *L) {
    char rooms[2][NUMBER_TEXT];
    span_t texts[2];
    for (int i = 0; i < 2; i++) {
        if (!read_number(L, i + 1, rooms[i], &texts[i])) {
            luaL_argerror(L, i + 1, "a decimal, a number or its text expected");
        }
    }
    return decimal_compare(texts[0], texts[1]);
}

static int l_compare(lua_State *L) {
    lua_pushinteger(L, compare_arguments(L));
    return 1;
}

static int l_equal(lua_State *L) {
    lua_pushboolean(L, compare_arguments(L) == 0);
    return 1;
}

static int l_below(lua_State *L) {
    lua_pushboolean(L, compare_arguments(L) < 0);
    return 1;
}

static int l_not_above(lua_State *L) {
    lua_pushboolean(L, compare_arguments(L) <= 0);
    return 1;
}

static int l_text(lua_State *L) {
    span_t text;
    if (!decimal_at(L, 1, &text)) return luaL_argerror(L, 1, "a decimal expected");
    lua_pushlstring(L, text.ptr, text.len);
    return 1;
}

static int l_join(lua_State *L) {
    for (int i = 1; i <= 2; i++) {
        span_t text;
        if (decimal_at(L, i, &text)) {
            lua_pushlstring(L, text.ptr, text.len);
        } else {
            luaL_checkstring(L, i);
            lua_pushvalue(L, i);
        }
    }
    lua_concat(L, 2);
    return 1;
}

int luaopen_decimal(lua_State *L) {
    static const luaL_Reg functions[] = {
        {"new", l_new}, {"is", l_is}, {"compare", l_compare}, {NULL, NULL}};
    static const luaL_Reg meta[] = {{"__tostring", l_text}, {"__eq", l_equal}, {"__lt", l_below},
        {"__le", l_not_above}, {"__concat", l_join}, {NULL, NULL}};
    lua_newtable(L);
    luaL_register(L, NULL, meta);
    lua_pushliteral(L, "decimal");
    lua_setfield(L, -2, "__metatable");
    vm_of(L)->decimal_at = lua_topointer(L, -1);
    vm_of(L)->decimal_mt = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_newtable(L);
    luaL_register(L, NULL, functions);
    return 1;
}
