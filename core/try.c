/* try.c: reads one source and finds out whether it may serve. */
#include "try.h"
#include <errno.h>
#include <lauxlib.h>
#include "base/err.h"
#include "base/ident.h"
#include "rule_limits.h"
#include "snapshot.h"
#include "source.h"
#include "tenant/check.h"

static bool is_known(const shelf_t *shelf, const char *source, const char *key) {
    const shelf_mark_t *known = shelf_get(shelf, source);
    return known && strcmp(known->key, key) == 0;
}

static int store(
    const shelf_t *shelf, const char *source, const char *key, const buf_t *text, buf_t *report) {
    int err = text->failed ? -ENOMEM : shelf_store(shelf, source, key, buf_view(text));
    if (!err) return 0;
    buf_printf(report, "%s: its edition cannot be written to %s: %s", source, shelf->editions,
        strerror(-err));
    return ERR_UNAVAILABLE;
}

/* Only whether they parse: what main.lua does when it runs, each worker finds out while it builds. */
static int parse_all(const snapshot_t *snapshot, buf_t *report) {
    lua_State *L = luaL_newstate();
    int err = L ? 0 : ERR_NO_MEMORY;
    if (!L) buf_text(report, "out of memory");
    for (size_t i = 0; i < snapshot->count && L; i++) {
        char name[1100];
        span_t text = snapshot->files[i].text;
        snprintf(name, sizeof(name), "@scripts/%s", snapshot->files[i].name.ptr);
        if (luaL_loadbufferx(L, text.ptr, text.len, name, "t") != 0) {
            buf_printf(report, "%s%s", err ? "\n" : "", lua_tostring(L, -1));
            err = ERR_SYNTAX;
        }
        lua_settop(L, 0);
    }
    if (L) lua_close(L);
    return err;
}

static int take(const config_t *config, snapshot_t *snapshot, buf_t *report) {
    char why[600];
    int err = snapshot_take(snapshot, config->scripts, why, sizeof(why));
    if (err) buf_text(report, why);
    return err;
}

int try_parse(const config_t *config, buf_t *report) {
    snapshot_t snapshot;
    int err = take(config, &snapshot, report);
    if (err) return err;
    err = parse_all(&snapshot, report);
    snapshot_destroy(&snapshot);
    return err;
}

static int try_scripts(
    const config_t *config, const shelf_t *shelf, shelf_mark_t *mark, buf_t *report) {
    snapshot_t snapshot;
    int err = take(config, &snapshot, report);
    if (err) return err;
    memcpy(mark->key, snapshot.hash, sizeof(mark->key));
    memcpy(mark->hash, snapshot.hash, sizeof(mark->hash));
    if (!is_known(shelf, SOURCE_SCRIPTS, mark->key)) err = parse_all(&snapshot, report);
    if (!err) {
        buf_t text;
        buf_create(&text);
        snapshot_write(&snapshot, &text);
        err = store(shelf, SOURCE_SCRIPTS, mark->key, &text, report);
        buf_destroy(&text);
    }
    snapshot_destroy(&snapshot);
    return err;
}

static int check(const config_t *config, edition_t *edition, buf_t *report) {
    check_report_t checked;
    check_report_create(&checked);
    rule_limits_of(config, &checked.limits);
    checked.tenants = config->tenants;
    int err = edition_check(edition, NULL, &checked);
    if (err || checked.warnings) check_report_text(&checked, config->tenants, report);
    check_report_destroy(&checked);
    return err;
}

static int try_tenant(const config_t *config, const shelf_t *shelf, const char *source,
    shelf_mark_t *mark, buf_t *report) {
    edition_t *edition;
    char why[600];
    int err = edition_read(config->tenants, source_slug(source), &edition, why, sizeof(why));
    if (err) {
        buf_printf(report, "%s", why);
        return err;
    }
    buf_t text;
    buf_create(&text);
    edition_write(edition, &text);
    ident_sha256(buf_view(&text), mark->key);
    memcpy(mark->hash, edition->hash, sizeof(mark->hash));
    if (!is_known(shelf, source, mark->key)) err = check(config, edition, report);
    if (!err) err = store(shelf, source, mark->key, &text, report);
    buf_destroy(&text);
    edition_unref(edition);
    return err;
}

int try_source(const config_t *config, const shelf_t *shelf, const char *source, shelf_mark_t *mark,
    buf_t *report) {
    if (!source_slug(source)) return try_scripts(config, shelf, mark, report);
    return try_tenant(config, shelf, source, mark, report);
}
