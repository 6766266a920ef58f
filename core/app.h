/* app.h: one edition of the trusted scripts as it runs: a VM, its routes and its named functions. */
#ifndef PERIGEE_APP_H
#define PERIGEE_APP_H
#include "base/rate.h"
#include "bundle.h"
#include "lua/task.h"
#include "tenant/router.h"

struct services;

/* What the gate does about a request's session. */
typedef enum {
    APP_SESSION_UNREAD, /* nothing, unless it has to ask the store anyhow */
    APP_SESSION_READ,
    APP_SESSION_REQUIRED /* 401 without one */
} app_session_t;

typedef struct app_route {
    int handler;      /* registry reference */
    char role[16];    /* who may: "" for everybody */
    size_t body_max;  /* 0 for the configuration's */
    const char *spec; /* "GET /api/products" */
    bool rated;       /* it says its rate itself */
    rate_limit_t rate;
    const char *bucket; /* what its requests are taken from, when the tenant says nothing */
    app_session_t session;
} app_route_t;

typedef struct app_background {
    int run;
    uint64_t every_ms;
    const char *name;
} app_background_t;

/* Counted: requests in flight finish on the code they started with. */
typedef struct app {
    int refs;
    struct services *services;
    bundle_t *bundle;
    vm_t *vm;
    arena_t arena;
    router_t *router;
    app_route_t *routes;
    size_t nroutes;
    app_background_t *background;
    size_t nbackground;
    int resolve; /* main.tenants.resolve(kind, text) */
    int seed;    /* main.tenants.seed(slug or nil) */
    int shop;    /* main.tenant_shop: the functions behind a tenant's `shop` */
    deferred_t goodbye;
} app_t;

/* A VM with the bundle's scripts to require, and nothing run or declared yet: see launch.h. Takes over the bundle. NULL
   when out of memory. */
app_t *app_new(struct services *services, bundle_t *bundle);
/* The app of a trusted VM. */
app_t *app_of(lua_State *L);
app_t *app_ref(app_t *app);
/* The last one lets the VM go on a later turn, because it may be running. */
void app_unref(app_t *app);

#endif
