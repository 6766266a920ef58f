/* lib_log.c: log(...) of a tenant's script: one bounded line to the tenant's tail, limited per call and per
   second. */
#include "lua/sandbox_own.h"

#define LINE_MAX_BYTES 512
#define LINES_CALL 20 /* of one begin … end */
#define LINES_SECOND 50

static bool may_log(sandbox_t *sandbox) {
    uint64_t now = budget_clock_ns();
    if (now - sandbox->second_ns >= 1000000000u) {
        sandbox->second_ns = now;
        sandbox->lines_second = 0;
    }
    if (sandbox->lines >= LINES_CALL || sandbox->lines_second >= LINES_SECOND) return false;
    sandbox->lines++;
    sandbox->lines_second++;
    return true;
}

/* Control characters would let a script forge further lines. */
static size_t append(char *line, size_t at, const char *text, size_t len) {
    for (size_t i = 0; i < len && at < LINE_MAX_BYTES; i++)
        line[at++] = (unsigned char)text[i] < 32 || text[i] == 127 ? ' ' : text[i];
    return at;
}

static int l_log(lua_State *L) {
    sandbox_t *sandbox = sandbox_of(L);
    int n = lua_gettop(L);
    char line[LINE_MAX_BYTES];
    size_t used = 0;
    budget_work(L, 64);
    for (int i = 1; i <= n && used < sizeof line; i++) {
        size_t len;
        const char *text = lib_tostring(L, i, &len);
        if (i > 1) used = append(line, used, " ", 1);
        used = append(line, used, text, len);
        lua_settop(L, n);
    }
    if (sandbox->tail && may_log(sandbox)) sandbox->tail(sandbox->tail_data, (span_t){line, used});
    return 0;
}

void lib_log_open(lua_State *L) {
    lua_pushcfunction(L, l_log);
    lua_setfield(L, -2, "log");
}
