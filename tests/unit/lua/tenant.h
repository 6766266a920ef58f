/* tenant.h: for tests: a tenant's VM, and a rule run in it whose answer comes back as text. */
#ifndef PERIGEE_TEST_TENANT_H
#define PERIGEE_TEST_TENANT_H
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/err.h"
#include "lua/sandbox.h"

#define NO_TIME_LIMIT 100000000

typedef struct tenant {
    loop_t *loop;
    sandbox_t *sandbox;
    sandbox_fault_t fault;
    sandbox_usage_t usage;
    char answer
        [4096];      /* the result as text: strings and numbers as they are, else the type's name */
    char tail[4096]; /* the log lines, each with its newline */
    size_t tail_len;
} tenant_t;

static inline void tenant_tail(void *data, span_t line) {
    tenant_t *tenant = data;
    int n = snprintf(tenant->tail + tenant->tail_len, sizeof tenant->tail - tenant->tail_len,
        "%.*s\n", (int)line.len, line.ptr);
    tenant->tail_len += (size_t)n;
    if (tenant->tail_len > sizeof tenant->tail - 1) tenant->tail_len = sizeof tenant->tail - 1;
}

/* Time is no limit unless a test asks for one: a slow machine changes no result. */
static inline sandbox_limits_t tenant_limits(void) {
    sandbox_limits_t limits;
    sandbox_limits_default(&limits);
    limits.time_ms = NO_TIME_LIMIT;
    limits.instructions = 3000000;
    return limits;
}

static inline void tenant_open(tenant_t *tenant, const sandbox_limits_t *limits) {
    memset(tenant, 0, sizeof *tenant);
    tenant->loop = loop_new();
    assert_non_null(tenant->loop);
    tenant->sandbox = sandbox_new(tenant->loop, limits, tenant_tail, tenant);
    assert_non_null(tenant->sandbox);
}

static inline void tenant_close(tenant_t *tenant) {
    sandbox_delete(tenant->sandbox);
    loop_delete(tenant->loop);
}

static inline int tenant_push(lua_State *L, void *data) {
    (void)data;
    lua_newtable(L);
    lua_newtable(L);
    return 2;
}

static inline int tenant_take(lua_State *L, void *data, sandbox_fault_t *fault) {
    tenant_t *tenant = data;
    (void)fault;
    if (lua_type(L, -1) == LUA_TSTRING)
        snprintf(tenant->answer, sizeof tenant->answer, "%s", lua_tostring(L, -1));
    else if (lua_type(L, -1) == LUA_TNUMBER)
        snprintf(tenant->answer, sizeof tenant->answer, "%.14g", lua_tonumber(L, -1));
    else if (lua_type(L, -1) == LUA_TBOOLEAN)
        snprintf(
            tenant->answer, sizeof tenant->answer, "%s", lua_toboolean(L, -1) ? "true" : "false");
    else
        snprintf(tenant->answer, sizeof tenant->answer, "%s", luaL_typename(L, -1));
    return 0;
}

/* Loads the text as rule.lua and calls it within one budget. 0 or the error, which is in fault. */
static inline int tenant_run_len(tenant_t *tenant, const char *text, size_t len) {
    int ref;
    tenant->answer[0] = 0;
    int err = sandbox_load(tenant->sandbox, (span_t){text, len}, "rule.lua", &ref, &tenant->fault);
    if (err != 0) return err;
    sandbox_begin(tenant->sandbox, 7);
    err = sandbox_call(tenant->sandbox, ref, tenant_push, tenant_take, tenant, &tenant->fault);
    sandbox_end(tenant->sandbox, &tenant->usage);
    return err;
}

static inline int tenant_run(tenant_t *tenant, const char *text) {
    return tenant_run_len(tenant, text, strlen(text));
}

/* In a VM of its own: the rule that returns this expression answers this text. */
static inline void expect_answer(const char *expression, const char *answer) {
    char text[4096];
    tenant_t tenant;
    sandbox_limits_t limits = tenant_limits();
    tenant_open(&tenant, &limits);
    snprintf(text, sizeof text, "return function(cart, ctx) return %s end", expression);
    if (tenant_run(&tenant, text) != 0)
        fail_msg("%s: %s: %s", expression, err_name(tenant.fault.err), tenant.fault.text);
    assert_string_equal(tenant.answer, answer);
    tenant_close(&tenant);
}

/* The same, and it fails with this error and a sentence that contains `part`. */
static inline void expect_fault(const char *expression, int err, const char *part) {
    char text[4096];
    tenant_t tenant;
    sandbox_limits_t limits = tenant_limits();
    tenant_open(&tenant, &limits);
    snprintf(text, sizeof text, "return function(cart, ctx) local x = %s return x end", expression);
    int got = tenant_run(&tenant, text);
    if (got != err || !strstr(tenant.fault.text, part))
        fail_msg("%s: %s: %s", expression, err_name(got), got ? tenant.fault.text : tenant.answer);
    tenant_close(&tenant);
}

#endif
