/* lib_match.c: Lua patterns with every step charged, so that no pattern holds the loop: find, match, gmatch, gsub. */
#include "lua/sandbox_own.h"

#define CAPTURES 32
#define NESTING 200 /* of the matcher in itself, as in the engine's own */
#define TICKS 1024  /* steps between two charges */
#define OPEN (-1)   /* the length of a capture that is not closed yet */
#define POSITION (-2)

typedef struct matcher {
    lua_State *L;
    const char *from, *end; /* the subject */
    const char *stop;       /* the end of the pattern */
    int level, depth;
    unsigned ticks;
    struct {
        const char *at;
        ptrdiff_t len;
    } captures[CAPTURES];
} matcher_t;

static const char *try_at(matcher_t *m, const char *s, const char *p);

static void flush(matcher_t *m) {
    unsigned ticks = m->ticks;
    m->ticks = 0;
    budget_work(m->L, ticks);
}

static inline void tick(matcher_t *m) {
    if (++m->ticks >= TICKS) flush(m);
}

/* Classes of bytes; ASCII only, whatever the locale. */
static bool is_alpha(int c) {
    return (c | 32) >= 'a' && (c | 32) <= 'z';
}
static bool is_digit(int c) {
    return c >= '0' && c <= '9';
}
static bool is_graph(int c) {
    return c > 32 && c < 127;
}
static bool is_hex(int c) {
    return is_digit(c) || ((c | 32) >= 'a' && (c | 32) <= 'f');
}
static bool is_space(int c) {
    return c == 32 || (c >= 9 && c <= 13);
}

static bool in_class(int c, int class) {
    bool in;
    switch (class | 32) {
    case 'a':
        in = is_alpha(c);
        break;
    case 'c':
        in = c < 32 || c == 127;
        break;
    case 'd':
        in = is_digit(c);
        break;
    case 'g':
        in = is_graph(c);
        break;
    case 'l':
        in = c >= 'a' && c <= 'z';
        break;
    case 'p':
        in = is_graph(c) && !is_alpha(c) && !is_digit(c);
        break;
    case 's':
        in = is_space(c);
        break;
    case 'u':
        in = c >= 'A' && c <= 'Z';
        break;
    case 'w':
        in = is_alpha(c) || is_digit(c);
        break;
    case 'x':
        in = is_hex(c);
        break;
    case 'z':
        in = c == 0;
        break;
    default:
        return c == class;
    }
    if (!is_alpha(class)) return c == class;
    return (class & 32) ? in : !in;
}

/* p is at '[', close at its ']'. */
static bool in_set(matcher_t *m, int c, const char *p, const char *close) {
    bool yes = true;
    if (p[1] == '^') {
        yes = false;
        p++;
    }
    while (++p < close) {
        tick(m);
        if (*p == '%') {
            if (in_class(c, (unsigned char)*++p)) return yes;
        } else if (p[1] == '-' && p + 2 < close) {
            p += 2;
            if ((unsigned char)p[-2] <= c && c <= (unsigned char)*p) return yes;
        } else if ((unsigned char)*p == c) {
            return yes;
        }
    }
    return !yes;
}

/* The end of the single-byte item at p. */
static const char *item_end(matcher_t *m, const char *p) {
    char c = *p++;
    if (c == '%') {
        if (p == m->stop) luaL_error(m->L, "malformed pattern (ends with '%%')");
        return p + 1;
    }
    if (c != '[') return p;
    if (*p == '^') p++;
    do {
        if (p == m->stop) luaL_error(m->L, "malformed pattern (missing ']')");
        tick(m);
        if (*p++ == '%' && p < m->stop) p++;
    } while (p == m->stop || *p != ']');
    return p + 1;
}

static bool single(matcher_t *m, const char *s, const char *p, const char *end) {
    if (s >= m->end) return false;
    tick(m);
    int c = (unsigned char)*s;
    switch (*p) {
    case '.':
        return true;
    case '%':
        return in_class(c, (unsigned char)p[1]);
    case '[':
        return in_set(m, c, p, end - 1);
    default:
        return (unsigned char)*p == c;
    }
}

static const char *balance(matcher_t *m, const char *s, const char *p) {
    if (m->stop - p < 2) luaL_error(m->L, "unbalanced pattern");
    if (s >= m->end || *s != p[0]) return NULL;
    for (int open = 1; ++s < m->end;) {
        tick(m);
        if (*s == p[1]) {
            if (--open == 0) return s + 1;
        } else if (*s == p[0]) {
            open++;
        }
    }
    return NULL;
}

static const char *most(matcher_t *m, const char *s, const char *p, const char *end) {
    ptrdiff_t i = 0;
    while (single(m, s + i, p, end))
        i++;
    for (; i >= 0; i--) {
        const char *found = try_at(m, s + i, end + 1);
        if (found) return found;
    }
    return NULL;
}

static const char *least(matcher_t *m, const char *s, const char *p, const char *end) {
    for (;; s++) {
        const char *found = try_at(m, s, end + 1);
        if (found) return found;
        if (!single(m, s, p, end)) return NULL;
    }
}

static const char *open_capture(matcher_t *m, const char *s, const char *p) {
    bool position = p[1] == ')';
    if (m->level >= CAPTURES) luaL_error(m->L, "too many captures");
    m->captures[m->level].at = s;
    m->captures[m->level].len = position ? POSITION : OPEN;
    m->level++;
    const char *found = try_at(m, s, p + (position ? 2 : 1));
    if (!found) m->level--;
    return found;
}

static const char *close_capture(matcher_t *m, const char *s, const char *p) {
    int i = m->level - 1;
    while (i >= 0 && m->captures[i].len != OPEN)
        i--;
    if (i < 0) luaL_error(m->L, "invalid pattern capture");
    m->captures[i].len = s - m->captures[i].at;
    const char *found = try_at(m, s, p + 1);
    if (!found) m->captures[i].len = OPEN;
    return found;
}

static const char *refer(matcher_t *m, const char *s, int digit) {
    int i = digit - '1';
    if (i < 0 || i >= m->level || m->captures[i].len == OPEN)
        luaL_error(m->L, "invalid capture index");
    /* A position capture has no text: as in the engine, it matches nothing. */
    if (m->captures[i].len == POSITION) return NULL;
    ptrdiff_t len = m->captures[i].len;
    m->ticks += (unsigned)(len >> 4);
    tick(m);
    if (m->end - s < len || memcmp(m->captures[i].at, s, (size_t)len) != 0) return NULL;
    return s + len;
}

/* %f[set]: between a byte outside the set and one inside; both ends of the subject count as NUL. Leaves *p
   behind the set. */
static bool frontier(matcher_t *m, const char *s, const char **p) {
    const char *set = *p;
    if (set == m->stop || *set != '[') luaL_error(m->L, "missing '[' after '%%f' in pattern");
    const char *end = item_end(m, set);
    int before = s == m->from ? 0 : (unsigned char)s[-1];
    int after = s == m->end ? 0 : (unsigned char)*s;
    *p = end;
    return !in_set(m, before, set, end - 1) && in_set(m, after, set, end - 1);
}

typedef enum { ITEM, GO_ON, FAIL } special_t;

/* The items behind '%' that are not classes. */
static special_t special(matcher_t *m, const char **s, const char **p) {
    char c = (*p)[1]; /* NUL at the end of the pattern */
    if (c == 'b') {
        *s = balance(m, *s, *p + 2);
        *p += 4;
    } else if (c == 'f') {
        *p += 2;
        return frontier(m, *s, p) ? GO_ON : FAIL;
    } else if (is_digit((unsigned char)c)) {
        *s = refer(m, *s, c);
        *p += 2;
    } else {
        return ITEM;
    }
    return *s ? GO_ON : FAIL;
}

static const char *walk(matcher_t *m, const char *s, const char *p) {
    while (p != m->stop) {
        tick(m);
        if (*p == '(') return open_capture(m, s, p);
        if (*p == ')') return close_capture(m, s, p);
        if (*p == '$' && p + 1 == m->stop) return s == m->end ? s : NULL;
        if (*p == '%') {
            special_t kind = special(m, &s, &p);
            if (kind == FAIL) return NULL;
            if (kind == GO_ON) continue;
        }
        const char *end = item_end(m, p);
        char suffix = end == m->stop ? 0 : *end;
        if (suffix == '*') return most(m, s, p, end);
        if (suffix == '-') return least(m, s, p, end);
        bool fits = single(m, s, p, end);
        if (suffix == '+') return fits ? most(m, s + 1, p, end) : NULL;
        if (suffix == '?') {
            const char *found = fits ? try_at(m, s + 1, end + 1) : NULL;
            if (found) return found;
            p = end + 1;
            continue;
        }
        if (!fits) return NULL;
        s++;
        p = end;
    }
    return s;
}

static const char *try_at(matcher_t *m, const char *s, const char *p) {
    if (++m->depth > NESTING) luaL_error(m->L, "pattern too complex");
    const char *found = walk(m, s, p);
    m->depth--;
    return found;
}

/* Fills a matcher for the texts at 1 and 2 (a pattern ends at a NUL, as in the engine); returns the pattern. */
static const char *prepare(matcher_t *m, lua_State *L, int subject, int pattern) {
    size_t len;
    m->L = L;
    m->from = lua_tolstring(L, subject, &len);
    m->end = m->from + len;
    const char *p = lua_tostring(L, pattern);
    m->stop = p + strlen(p);
    m->ticks = 0;
    return p;
}

static const char *match_at(matcher_t *m, const char *s, const char *p) {
    m->level = m->depth = 0;
    return try_at(m, s, p);
}

static void push_capture(matcher_t *m, int i, const char *s, const char *end) {
    if (i >= m->level) {
        if (i != 0) luaL_error(m->L, "invalid capture index");
        lua_pushlstring(m->L, s, (size_t)(end - s));
        return;
    }
    ptrdiff_t len = m->captures[i].len;
    if (len == OPEN) luaL_error(m->L, "unfinished capture");
    if (len == POSITION)
        lua_pushinteger(m->L, m->captures[i].at - m->from + 1);
    else
        lua_pushlstring(m->L, m->captures[i].at, (size_t)len);
    if (len > 0) m->ticks += (unsigned)(len >> 4);
}

/* All captures, or the whole match when there are none and `whole`. */
static int push_captures(matcher_t *m, const char *s, const char *end, bool whole) {
    int n = m->level == 0 && whole ? 1 : m->level;
    luaL_checkstack(m->L, n, "too many captures");
    for (int i = 0; i < n; i++)
        push_capture(m, i, s, end);
    flush(m);
    return n;
}

static int find_plain(lua_State *L, const char *text, size_t len, size_t start) {
    size_t n;
    const char *needle = lua_tolstring(L, 2, &n);
    budget_work(L, (len + n) >> 3);
    const char *found = n == 0 ? text + start : memmem(text + start, len - start, needle, n);
    if (!found) return lua_pushnil(L), 1;
    lua_pushinteger(L, found - text + 1);
    lua_pushinteger(L, found - text + (ptrdiff_t)n);
    return 2;
}

static int find(lua_State *L, bool positions) {
    size_t len, plen;
    const char *text = luaL_checklstring(L, 1, &len);
    const char *pattern = luaL_checklstring(L, 2, &plen);
    int64_t start = lib_opt_int(L, 3, 1);
    start = start < 0 ? start + (int64_t)len : start - 1;
    if (start < 0) start = 0;
    if (start > (int64_t)len) start = (int64_t)len;
    bool plain = lua_toboolean(L, 4) || !strpbrk(pattern, "^$*+?.([%-");
    if (positions && plain && (lua_toboolean(L, 4) || strlen(pattern) == plen))
        return find_plain(L, text, len, (size_t)start);
    matcher_t m;
    const char *p = prepare(&m, L, 1, 2);
    bool anchored = *p == '^';
    if (anchored) p++;
    for (const char *s = text + start; s <= m.end; s++) {
        const char *end = match_at(&m, s, p);
        if (end && positions) {
            lua_pushinteger(L, s - text + 1);
            lua_pushinteger(L, end - text);
            return 2 + push_captures(&m, s, end, false);
        }
        if (end) return push_captures(&m, s, end, true);
        if (anchored) break;
    }
    flush(&m);
    lua_pushnil(L);
    return 1;
}

static int l_find(lua_State *L) {
    return find(L, true);
}
static int l_match(lua_State *L) {
    return find(L, false);
}

/* Upvalues: the subject, the pattern, where to go on. */
static int next_match(lua_State *L) {
    matcher_t m;
    const char *p = prepare(&m, L, lua_upvalueindex(1), lua_upvalueindex(2));
    for (const char *s = m.from + lua_tointeger(L, lua_upvalueindex(3)); s <= m.end; s++) {
        const char *end = match_at(&m, s, p);
        if (!end) continue;
        lua_pushinteger(L, end - m.from + (end == s));
        lua_replace(L, lua_upvalueindex(3));
        return push_captures(&m, s, end, true);
    }
    flush(&m);
    return 0;
}

static int l_gmatch(lua_State *L) {
    luaL_checkstring(L, 1);
    luaL_checkstring(L, 2);
    lua_settop(L, 2);
    lua_pushinteger(L, 0);
    lua_pushcclosure(L, next_match, 3);
    return 1;
}

/* The replacement text, in which %0 … %9 stand for captures. */
static void put_template(matcher_t *m, text_t *out, const char *s, const char *end) {
    size_t len;
    const char *template = lua_tolstring(m->L, 3, &len);
    for (size_t i = 0; i < len; i++) {
        tick(m);
        if (template[i] != '%') {
            text_put(out, &template[i], 1);
        } else if (++i == len) {
            luaL_error(m->L, "invalid use of '%%' in the replacement");
        } else if (!is_digit((unsigned char)template[i])) {
            text_put(out, &template[i], 1);
        } else if (template[i] == '0') {
            text_put(out, s, (size_t)(end - s));
        } else {
            size_t n;
            push_capture(m, template[i] - '1', s, end);
            const char *capture = lua_tolstring(m->L, -1, &n);
            text_put(out, capture, n);
            lua_pop(m->L, 1);
        }
    }
}

/* The function's answer or the table's field; false and nil keep the match. */
static void put_answer(matcher_t *m, text_t *out, const char *s, const char *end) {
    lua_State *L = m->L;
    if (lua_isfunction(L, 3)) {
        lua_pushvalue(L, 3);
        sandbox_callback(L, push_captures(m, s, end, true), 1);
    } else {
        push_capture(m, 0, s, end);
        sandbox_gettable(L, 3);
    }
    size_t n = (size_t)(end - s);
    const char *answer = s;
    if (lua_toboolean(L, -1)) {
        if (!lua_isstring(L, -1))
            luaL_error(L, "invalid replacement value (a %s)", luaL_typename(L, -1));
        answer = lua_tolstring(L, -1, &n);
    }
    text_put(out, answer, n);
    lua_pop(L, 1);
}

static int64_t replace(matcher_t *m, text_t *out, const char *p, int64_t most_times) {
    const char *s = m->from;
    int64_t n = 0;
    bool anchored = *p == '^';
    if (anchored) p++;
    bool by_text = lua_isstring(m->L, 3);
    while (n < most_times) {
        const char *end = match_at(m, s, p);
        if (end) {
            n++;
            if (by_text)
                put_template(m, out, s, end);
            else
                put_answer(m, out, s, end);
        }
        if (end && end > s)
            s = end;
        else if (s < m->end)
            text_put(out, s++, 1);
        else
            break;
        if (anchored) break;
    }
    text_put(out, s, (size_t)(m->end - s));
    return n;
}

static int l_gsub(lua_State *L) {
    size_t len;
    luaL_checklstring(L, 1, &len);
    luaL_checkstring(L, 2);
    int type = lua_type(L, 3);
    luaL_argcheck(L,
        type == LUA_TNUMBER || type == LUA_TSTRING || type == LUA_TFUNCTION || type == LUA_TTABLE,
        3, "string/function/table expected");
    int64_t most_times = lib_opt_int(L, 4, (int64_t)len + 1);
    lua_settop(L, 3);
    text_t out;
    matcher_t m;
    text_open(&out, L);
    const char *p = prepare(&m, L, 1, 2);
    int64_t n = replace(&m, &out, p, most_times);
    flush(&m);
    text_push(&out);
    lua_pushinteger(L, (lua_Integer)n);
    return 2;
}

static const luaL_Reg functions[] = {
    {"find", l_find},
    {"match", l_match},
    {"gmatch", l_gmatch},
    {"gsub", l_gsub},
    {NULL, NULL},
};

void lib_match_open(lua_State *L) {
    lib_set(L, functions);
}
