/* modules.c: puts the bindings and the joiners' own modules into package.preload of a trusted VM. */
#include "modules.h"
#include "base/err.h"
#include "bucket_lua.h"
#include "cart.h"
#include "changes_lua.h"
#include "csv_lua.h"
#include "detach.h"
#include "http/http_lua.h"
#include "http/mail_lua.h"
#include "lua/signal.h"
#include "postgres/postgres_lua.h"
#include "process_lua.h"
#include "quote.h"
#include "redis/redis_lua.h"
#include "req.h"
#include "services.h"
#include "sqlite/sqlite_lua.h"

static void preload(lua_State *L, const char *name, lua_CFunction open) {
    lua_getglobal(L, "package");
    lua_getfield(L, -1, "preload");
    lua_pushcfunction(L, open);
    lua_setfield(L, -2, name);
    lua_pop(L, 2);
}

/* `rules` and `process` are for services that do not want to require them by name. */
static void as_global(lua_State *L, const char *name, lua_CFunction open) {
    preload(L, name, open);
    lua_getglobal(L, "require");
    lua_pushstring(L, name);
    lua_call(L, 1, 1);
    lua_setglobal(L, name);
}

static int open_all(lua_State *L) {
    preload(L, "csv", luaopen_csv);
    preload(L, "signal", luaopen_signal);
    preload(L, "detach", luaopen_detach);
    preload(L, "changes", luaopen_changes);
    as_global(L, "process", luaopen_process);
    as_global(L, "rules", luaopen_rules);
    req_open(L);
    return 0;
}

int modules_open(app_t *app, char *why, size_t size) {
    vm_t *vm = app->vm;
    services_t *services = app->services;
    int err = sqlite_lua_open(vm, services->sqlite);
    if (!err) err = http_lua_open(vm, services->http, true);
    if (!err) err = mail_lua_open(vm, services->mailer);
    if (!err) err = redis_lua_open(vm, services->redis);
    if (!err) err = postgres_lua_open(vm, services->postgres);
    if (!err) err = cart_open(vm, &services->cache);
    if (!err) err = bucket_lua_open(vm, &services->cache);
    if (!err) return vm_protect(vm, open_all, NULL, why, size);
    snprintf(why, size, "%s", err_text(err));
    return err;
}
