/* app.c: the VM of an edition of the trusted scripts, counted, and gone on a later turn. */
#include "app.h"
#include "services.h"
#include "watchdog.h"
#include <stdlib.h>

static void destroy(deferred_t *goodbye) {
    app_t *app = LIST_OWNER(goodbye, app_t, goodbye);
    if (app->vm) {
        watchdog_unwatch(app->vm);
        vm_delete_trusted(app->vm);
    }
    router_delete(app->router);
    bundle_delete(app->bundle);
    arena_destroy(&app->arena);
    free(app);
}

static bool create(app_t *app, struct services *services, bundle_t *bundle) {
    app->refs = 1;
    app->services = services;
    app->bundle = bundle;
    app->resolve = app->seed = app->shop = LUA_NOREF;
    arena_create(&app->arena);
    deferred_init(&app->goodbye, destroy);
    app->router = router_new();
    app->vm = app->router ? vm_new_trusted(services->loop, bundle_load, bundle) : NULL;
    if (!app->vm) return false;
    watchdog_watch(app->vm);
    app->vm->user = app;
    return true;
}

app_t *app_new(struct services *services, bundle_t *bundle) {
    app_t *app = calloc(1, sizeof *app);
    if (!app) {
        bundle_delete(bundle);
        return NULL;
    }
    if (create(app, services, bundle)) return app;
    app_unref(app);
    return NULL;
}

app_t *app_of(lua_State *L) {
    return vm_of(L)->user;
}

app_t *app_ref(app_t *app) {
    app->refs++;
    return app;
}

void app_unref(app_t *app) {
    if (app && --app->refs == 0) loop_defer(app->services->loop, &app->goodbye);
}
