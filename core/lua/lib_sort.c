/* lib_sort.c: table.sort as a stable merge sort: an order function that contradicts itself gives some order,
   never a crash or a hang. */
#include "lua/sandbox_own.h"

#define SORT_MAX 32000 /* the largest list whose copy is one allowed piece of memory */

/* Stack: 1 the table, 2 the order function or nil, then two lists that take turns. */
typedef struct sorter {
    lua_State *L;
    int from, to; /* stack indexes */
    int n;
    bool by_function;
} sorter_t;

/* Whether the value at b must come before that at a. */
static bool before(sorter_t *s, int b, int a) {
    lua_State *L = s->L;
    budget_work(L, 4);
    if (!s->by_function) {
        if (lua_type(L, a) == LUA_TNUMBER && lua_type(L, b) == LUA_TNUMBER)
            return lua_tonumber(L, b) < lua_tonumber(L, a);
        return sandbox_lessthan(L, b, a);
    }
    lua_pushvalue(L, 2);
    lua_pushvalue(L, b);
    lua_pushvalue(L, a);
    sandbox_callback(L, 2, 1);
    bool yes = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return yes;
}

/* Merges [low, middle) and [middle, high) of `from` into `to`. The heads of both runs wait on the stack. */
static void merge(sorter_t *s, int low, int middle, int high) {
    lua_State *L = s->L;
    int i = low, k = middle, out = low;
    while (i < middle && k < high) {
        lua_rawgeti(L, s->from, i + 1);
        lua_rawgeti(L, s->from, k + 1);
        int left = lua_gettop(L) - 1;
        bool second = before(s, left + 1, left);
        lua_pushvalue(L, second ? left + 1 : left);
        lua_rawseti(L, s->to, ++out);
        lua_settop(L, left - 1);
        if (second)
            k++;
        else
            i++;
    }
    for (; i < middle; i++) {
        lua_rawgeti(L, s->from, i + 1);
        lua_rawseti(L, s->to, ++out);
    }
    for (; k < high; k++) {
        lua_rawgeti(L, s->from, k + 1);
        lua_rawseti(L, s->to, ++out);
    }
    budget_work(L, (size_t)(high - low));
}

static void pass(sorter_t *s, int width) {
    for (int low = 0; low < s->n; low += 2 * width) {
        int middle = low + width < s->n ? low + width : s->n;
        int high = low + 2 * width < s->n ? low + 2 * width : s->n;
        merge(s, low, middle, high);
    }
    int swap = s->from;
    s->from = s->to;
    s->to = swap;
}

static void copy(lua_State *L, int from, int to, int n) {
    for (int i = 1; i <= n; i++) {
        lua_rawgeti(L, from, i);
        lua_rawseti(L, to, i);
    }
    budget_work(L, (size_t)n);
}

int lib_sort(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    if (!lua_isnoneornil(L, 2)) luaL_checktype(L, 2, LUA_TFUNCTION);
    sandbox_check_own(L, 1);
    lua_settop(L, 2);
    size_t n = lua_objlen(L, 1);
    if (n > SORT_MAX)
        return sandbox_raise(L, ERR_BUDGET_MEMORY, "table.sort takes at most 32,000 values");
    if (n < 2) return 0;
    lua_createtable(L, (int)n, 0);
    lua_createtable(L, (int)n, 0);
    /* The order function may change the table meanwhile: the work is done on copies. */
    sorter_t sorter = {.L = L, .from = 3, .to = 4, .n = (int)n, .by_function = !lua_isnil(L, 2)};
    copy(L, 1, 3, (int)n);
    for (int width = 1; width < (int)n; width *= 2)
        pass(&sorter, width);
    copy(L, sorter.from, 1, (int)n);
    return 0;
}
