/* lib_pairs.c: pairs and next in sorted key order: numbers, then texts, then booleans; the engine's own order
   differs between two runs. */
#include "lua/sandbox_own.h"

#define SORT_MAX 16000 /* entries of 16 bytes in the largest piece of memory there is */

typedef struct entry {
    union {
        lua_Number number;
        const char *text;
    };
    uint32_t len;
    int rank; /* 0 number, 1 text, 2 boolean */
} entry_t;

/* Reads the key at index. Tables and functions have only their address to be sorted by, which would differ
   between runs. */
static entry_t entry_at(lua_State *L, int index) {
    entry_t entry = {0};
    switch (lua_type(L, index)) {
    case LUA_TNUMBER:
        entry.number = lua_tonumber(L, index);
        break;
    case LUA_TSTRING:
        entry.rank = 1;
        entry.text = lua_tostring(L, index);
        entry.len = (uint32_t)lua_objlen(L, index);
        break;
    case LUA_TBOOLEAN:
        entry.rank = 2;
        entry.number = lua_toboolean(L, index);
        break;
    default:
        luaL_error(
            L, "keys of type %s have no order: keep them in a list", luaL_typename(L, index));
    }
    return entry;
}

static int compare(const entry_t *a, const entry_t *b) {
    if (a->rank != b->rank) return a->rank < b->rank ? -1 : 1;
    if (a->rank != 1) return a->number < b->number ? -1 : a->number > b->number;
    int order = memcmp(a->text, b->text, a->len < b->len ? a->len : b->len);
    return order ? order : a->len < b->len ? -1 : a->len > b->len;
}

static void swap(entry_t *a, entry_t *b) {
    entry_t keep = *a;
    *a = *b;
    *b = keep;
}

static void sink(entry_t *entries, size_t at, size_t n) {
    for (size_t child; (child = 2 * at + 1) < n; at = child) {
        if (child + 1 < n && compare(&entries[child], &entries[child + 1]) < 0) child++;
        if (compare(&entries[at], &entries[child]) >= 0) return;
        swap(&entries[at], &entries[child]);
    }
}

/* Heapsort: no worst case that a chosen set of keys could bring about, and no memory. */
static void sort(entry_t *entries, size_t n) {
    for (size_t i = n / 2; i-- > 0;)
        sink(entries, i, n);
    for (size_t end = n; end-- > 1;) {
        swap(&entries[0], &entries[end]);
        sink(entries, 0, end);
    }
}

/* Pushes a list of the table's keys as the engine has them; true when they are in order already. */
static bool gather(lua_State *L, int table, size_t *n) {
    bool sorted = true;
    entry_t last = {0};
    lua_newtable(L);
    int keys = lua_gettop(L);
    *n = 0;
    for (lua_pushnil(L); lua_next(L, table);) {
        lua_pop(L, 1);
        entry_t entry = entry_at(L, -1);
        if (*n > 0 && compare(&last, &entry) > 0) sorted = false;
        last = entry;
        lua_pushvalue(L, -1);
        lua_rawseti(L, keys, (int)++*n);
        if (*n % 64 == 0) budget_work(L, 128);
    }
    return sorted;
}

static void push_entry(lua_State *L, const entry_t *entry) {
    if (entry->rank == 0)
        lua_pushnumber(L, entry->number);
    else if (entry->rank == 1)
        lua_pushlstring(L, entry->text, entry->len);
    else
        lua_pushboolean(L, entry->number != 0);
}

/* Sorts the list of keys on the top of the stack. The texts stay alive because the table they are keys of does,
   and no script runs in between. */
static void arrange(lua_State *L, size_t n) {
    int keys = lua_gettop(L);
    if (n > SORT_MAX) sandbox_raise(L, ERR_BUDGET_MEMORY, "too many keys to be put in order");
    budget_work(L, n * 16);
    entry_t *entries = lua_newuserdata(L, n * sizeof *entries);
    for (size_t i = 0; i < n; i++) {
        lua_rawgeti(L, keys, (int)i + 1);
        entries[i] = entry_at(L, -1);
        lua_pop(L, 1);
    }
    sort(entries, n);
    for (size_t i = 0; i < n; i++) {
        push_entry(L, &entries[i]);
        lua_rawseti(L, keys, (int)i + 1);
    }
    lua_pop(L, 1);
}

/* Upvalues: the table, its keys in order, the place. A field that has become nil since is left out. */
static int step(lua_State *L) {
    int at = (int)lua_tointeger(L, lua_upvalueindex(3));
    for (;;) {
        lua_settop(L, 0);
        lua_rawgeti(L, lua_upvalueindex(2), ++at);
        if (lua_isnil(L, 1)) return 1;
        lua_pushvalue(L, 1);
        lua_rawget(L, lua_upvalueindex(1));
        if (!lua_isnil(L, 2)) break;
        if (at % 64 == 0) budget_work(L, 64);
    }
    lua_pushinteger(L, at);
    lua_replace(L, lua_upvalueindex(3));
    return 2;
}

static int l_pairs(lua_State *L) {
    size_t n;
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    sandbox_fill(L, 1);
    lua_pushvalue(L, 1);
    if (!gather(L, 1, &n)) arrange(L, n);
    lua_pushinteger(L, 0);
    lua_pushcclosure(L, step, 3);
    lua_pushvalue(L, 1);
    return 2;
}

/* The least key above `after` (the least of all when NULL) on the top of the stack; false when there is none. */
static bool successor(lua_State *L, int table, const entry_t *after) {
    entry_t best = {0};
    bool found = false;
    size_t n = 0;
    for (lua_pushnil(L); lua_next(L, table);) {
        lua_pop(L, 1);
        entry_t entry = entry_at(L, -1);
        if (++n % 64 == 0) budget_work(L, 64);
        if (after && compare(&entry, after) <= 0) continue;
        if (found && compare(&entry, &best) >= 0) continue;
        best = entry;
        found = true;
    }
    budget_work(L, n % 64);
    if (found) push_entry(L, &best);
    return found;
}

static int l_next(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 2);
    sandbox_fill(L, 1);
    bool first = lua_isnil(L, 2);
    entry_t after = {0};
    if (!first) after = entry_at(L, 2);
    if (!successor(L, 1, first ? NULL : &after)) return lua_pushnil(L), 1;
    lua_pushvalue(L, -1);
    lua_rawget(L, 1);
    return 2;
}

static const luaL_Reg functions[] = {{"pairs", l_pairs}, {"next", l_next}, {NULL, NULL}};

void lib_pairs_open(lua_State *L) {
    lib_set(L, functions);
}
