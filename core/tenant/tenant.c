/* tenant.c: keeps each tenant's editions and VMs, prices with them, and falls back or refuses when a rule fails. */
#include "tenant/tenant.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/map.h"
#include "tenant/check.h"
#include "tenant/share.h"
#include <stdio.h>
#include <stdlib.h>

#define DEFAULTS SPAN("_default")
#define KILLS 3
#define KILLS_WITHIN_MS 60000
#define REST_MS 60000
#define SWEEP_MS 10000
#define LOG_EVERY_MS 1000

struct tenants {
    tenants_options_t options;
    map_t map;
    edition_t *defaults;
    list_t open; /* tenants with a VM, least recently used first */
    size_t vms;
    deadline_t sweep;
};

struct tenant {
    tenants_t *home;
    span_t slug; /* behind the struct */
    edition_t *edition, *last_good;
    settings_t *settings;        /* NULL until noted or read */
    bool settled;                /* noted: the store's, not the file's */
    rules_t *rules, *good_rules; /* NULL until used */
    bool own;                    /* has an edition of its own */
    bool proven;                 /* the current edition has priced */
    list_t node;                 /* in home->open while a VM is open */
    uint64_t used_ms;
    uint64_t kills[KILLS]; /* times of the last budget kills, oldest first */
    uint64_t rest_until_ms, log_after_ms;
    share_t share;
    deferred_t renew;
    tenant_counts_t counts;
};

void tenants_options_default(tenants_options_t *options, loop_t *loop) {
    *options =
        (tenants_options_t){.loop = loop, .vms_max = 1000, .idle_ms = 300000, .share_percent = 5};
    sandbox_limits_default(&options->limits);
}

static uint64_t now_of(const tenants_t *tenants) {
    const tenants_options_t *options = &tenants->options;
    return options->now_ms ? options->now_ms(options->data) : loop_now(options->loop);
}

static void close_rules(tenant_t *tenant, rules_t **rules) {
    if (!*rules) return;
    rules_close(*rules);
    *rules = NULL;
    tenant->home->vms--;
}

/* Closes both VMs. Never inside a call of theirs: callers are the loop's or a swap. */
static void close_vms(tenant_t *tenant) {
    close_rules(tenant, &tenant->rules);
    close_rules(tenant, &tenant->good_rules);
    deferred_clear(&tenant->renew);
    list_remove(&tenant->node);
}

static void sweep(deadline_t *deadline) {
    tenants_t *tenants = LIST_OWNER(deadline, tenants_t, sweep);
    uint64_t now = now_of(tenants);
    while (!list_empty(&tenants->open)) {
        tenant_t *oldest = LIST_OWNER(tenants->open.next, tenant_t, node);
        if (now - oldest->used_ms < tenants->options.idle_ms) break;
        close_vms(oldest);
    }
    if (!list_empty(&tenants->open))
        deadline_set(tenants->options.loop, deadline, loop_now(tenants->options.loop) + SWEEP_MS);
}

tenants_t *tenants_new(const tenants_options_t *options) {
    tenants_t *tenants = calloc(1, sizeof(tenants_t));
    if (!tenants) return NULL;
    tenants->options = *options;
    map_create(&tenants->map);
    list_init(&tenants->open);
    deadline_init(&tenants->sweep, sweep);
    return tenants;
}

static void delete_tenant(tenant_t *tenant) {
    close_vms(tenant);
    edition_unref(tenant->edition);
    edition_unref(tenant->last_good);
    settings_unref(tenant->settings);
    free(tenant);
}

void tenants_delete(tenants_t *tenants) {
    if (!tenants) return;
    size_t at = 0;
    for (tenant_t *tenant; (tenant = tenants_next(tenants, &at));)
        delete_tenant(tenant);
    deadline_clear(&tenants->sweep);
    map_destroy(&tenants->map);
    edition_unref(tenants->defaults);
    free(tenants);
}

tenant_t *tenants_next(const tenants_t *tenants, size_t *at) {
    span_t key;
    void *value;
    return map_next(&tenants->map, at, &key, &value) ? value : NULL;
}

static void renew(deferred_t *deferred);

static tenant_t *new_tenant(tenants_t *tenants, span_t slug) {
    tenant_t *tenant = calloc(1, sizeof(tenant_t) + slug.len);
    if (!tenant) return NULL;
    memcpy(tenant + 1, slug.ptr, slug.len);
    tenant->slug = (span_t){(char *)(tenant + 1), slug.len};
    tenant->home = tenants;
    list_init(&tenant->node);
    deferred_init(&tenant->renew, renew);
    share_create(&tenant->share, tenants->options.share_percent);
    if (map_set(&tenants->map, slug, tenant, NULL) == 0) return tenant;
    free(tenant);
    return NULL;
}

/* The old edition's VM goes with it when it becomes the last good one, else it closes. */
static void retire(tenant_t *tenant) {
    bool keeps = (tenant->proven && !tenant->rest_until_ms) || !tenant->last_good;
    if (keeps) {
        close_rules(tenant, &tenant->good_rules);
        edition_unref(tenant->last_good);
        tenant->last_good = tenant->edition;
        tenant->good_rules = tenant->rules;
    } else {
        close_rules(tenant, &tenant->rules);
        edition_unref(tenant->edition);
    }
    tenant->edition = NULL;
    tenant->rules = NULL;
}

/* Takes over the reference. */
static void set_settings(tenant_t *tenant, settings_t *settings) {
    settings_unref(tenant->settings);
    tenant->settings = settings;
}

static void set_edition(tenant_t *tenant, edition_t *edition, bool own) {
    tenant->own = own;
    if (tenant->edition && strcmp(tenant->edition->hash, edition->hash) == 0) {
        /* The same rules: what has proved itself stays. Its tenant.json may be a new one. */
        edition_ref(edition);
        edition_unref(tenant->edition);
        tenant->edition = edition;
        if (!tenant->settled) set_settings(tenant, NULL);
        return;
    }
    if (tenant->edition) retire(tenant);
    tenant->edition = edition_ref(edition);
    tenant->proven = false;
    if (!tenant->settled) set_settings(tenant, NULL);
    tenant->rest_until_ms = 0;
    memset(tenant->kills, 0, sizeof(tenant->kills));
    deferred_clear(&tenant->renew);
}

static void set_defaults(tenants_t *tenants, edition_t *edition) {
    edition_ref(edition);
    edition_unref(tenants->defaults);
    tenants->defaults = edition;
    size_t at = 0;
    for (tenant_t *tenant; (tenant = tenants_next(tenants, &at));)
        if (!tenant->own) set_edition(tenant, edition, false);
}

int tenants_swap(tenants_t *tenants, edition_t *edition) {
    if (span_eq(edition->slug, DEFAULTS)) {
        set_defaults(tenants, edition);
        return 0;
    }
    tenant_t *tenant = map_get(&tenants->map, edition->slug);
    if (!tenant) tenant = new_tenant(tenants, edition->slug);
    if (!tenant) return ERR_NO_MEMORY;
    set_edition(tenant, edition, true);
    return 0;
}

void tenants_drop(tenants_t *tenants, span_t slug) {
    tenant_t *tenant = map_get(&tenants->map, slug);
    if (!tenant) return;
    if (tenants->defaults) {
        set_edition(tenant, tenants->defaults, false);
        return;
    }
    map_remove(&tenants->map, slug);
    delete_tenant(tenant);
}

tenant_t *tenants_find(tenants_t *tenants, span_t slug) {
    tenant_t *tenant = map_get(&tenants->map, slug);
    if (tenant || !tenants->defaults) return tenant;
    tenant = new_tenant(tenants, slug);
    if (tenant) set_edition(tenant, tenants->defaults, false);
    return tenant;
}

void tenants_settle(tenants_t *tenants, settings_t *settings) {
    tenant_t *tenant = tenants_find(tenants, settings->slug);
    if (!tenant) return;
    set_settings(tenant, settings_ref(settings));
    tenant->settled = true;
}

const settings_t *tenant_settings(tenant_t *tenant, char *why, size_t size) {
    if (!tenant->settings) set_settings(tenant, edition_settings(tenant->edition, why, size));
    return tenant->settings;
}

span_t tenant_slug(const tenant_t *tenant) {
    return tenant->slug;
}
edition_t *tenant_edition(const tenant_t *tenant) {
    return tenant->edition;
}
edition_t *tenant_last_good(const tenant_t *tenant) {
    return tenant->last_good;
}
void tenant_counts(const tenant_t *tenant, tenant_counts_t *out) {
    *out = tenant->counts;
}
size_t tenants_vms(const tenants_t *tenants) {
    return tenants->vms;
}

static void on_tail(void *data, span_t line) {
    tenant_t *tenant = data;
    const tenants_options_t *options = &tenant->home->options;
    if (options->tail) options->tail(options->data, tenant->slug, line);
}

/* Moves the tenant to the end of the line of those whose VM goes first. */
static void touch(tenant_t *tenant, uint64_t now) {
    tenants_t *tenants = tenant->home;
    tenant->used_ms = now;
    list_remove(&tenant->node);
    list_push(&tenants->open, &tenant->node);
    if (!deadline_armed(&tenants->sweep))
        deadline_set(
            tenants->options.loop, &tenants->sweep, loop_now(tenants->options.loop) + SWEEP_MS);
}

static void make_room(const tenant_t *tenant) {
    tenants_t *tenants = tenant->home;
    while (tenants->vms >= tenants->options.vms_max && tenants->open.next != &tenant->node)
        close_vms(LIST_OWNER(tenants->open.next, tenant_t, node));
}

static int open_vm(tenant_t *tenant, edition_t *edition, rules_t **rules, sandbox_fault_t *fault) {
    tenants_t *tenants = tenant->home;
    if (*rules && rules_spent(*rules)) close_rules(tenant, rules);
    if (*rules) return 0;
    make_room(tenant);
    int err = rules_open(
        edition, tenants->options.loop, &tenants->options.limits, on_tail, tenant, rules, fault);
    if (err == 0) tenants->vms++;
    return err;
}

/* Between requests: a spent VM gives way to a fresh one, so that no shopper waits for it. */
static void renew(deferred_t *deferred) {
    tenant_t *tenant = LIST_OWNER(deferred, tenant_t, renew);
    sandbox_fault_t fault;
    if (tenant->rules) open_vm(tenant, tenant->edition, &tenant->rules, &fault);
    if (tenant->good_rules) open_vm(tenant, tenant->last_good, &tenant->good_rules, &fault);
}

uint64_t tenant_wait(tenant_t *tenant) {
    uint64_t wait = share_wait(&tenant->share, now_of(tenant->home));
    if (wait) tenant->counts.over_share++;
    return wait;
}

void tenant_enter(tenant_t *tenant) {
    share_enter(&tenant->share, now_of(tenant->home));
}

void tenant_leave(tenant_t *tenant, uint64_t wall_ns) {
    share_leave(&tenant->share, now_of(tenant->home), wall_ns);
}

typedef struct call {
    tenant_t *tenant;
    const settings_t *settings;
    const price_input_t *input;
    arena_t *arena;
    quote_t *quote;
    uint64_t now_ms;
} call_t;

static int price_with(call_t *call, edition_t *edition, rules_t **rules, sandbox_fault_t *fault) {
    tenant_t *tenant = call->tenant;
    *fault = (sandbox_fault_t){0};
    *call->quote = (quote_t){0};
    touch(tenant, call->now_ms);
    int err = open_vm(tenant, edition, rules, fault);
    if (err) return err;
    share_enter(&tenant->share, call->now_ms);
    err = price_quote(*rules, call->settings, call->input, call->arena, call->quote, fault);
    share_leave(&tenant->share, call->now_ms, call->quote->usage.nanoseconds);
    if (rules_spent(*rules)) {
        deferred_clear(&tenant->renew);
        loop_defer(tenant->home->options.loop, &tenant->renew);
    }
    return err;
}

static int refuse(call_t *call, int err, uint64_t retry_after_ms, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
static int refuse(call_t *call, int err, uint64_t retry_after_ms, const char *format, ...) {
    quote_t *quote = call->quote;
    char text[400];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    char *copy = arena_dup(call->arena, text, strlen(text));
    sandbox_fault_t fault = quote->fault;
    *quote = (quote_t){.err = err, .retry_after_ms = retry_after_ms, .fault = fault};
    quote->reason = copy ? span_of(copy) : SPAN("out of memory");
    memcpy(quote->edition, call->tenant->edition->hash, sizeof(quote->edition));
    call->tenant->counts.refused++;
    return err;
}

static bool is_kill(int err) {
    return err == ERR_BUDGET_TIME || err == ERR_BUDGET_INSTRUCTIONS || err == ERR_BUDGET_MEMORY ||
           err == ERR_BUDGET_DEPTH;
}

static void note_kill(tenant_t *tenant, uint64_t now) {
    tenant->counts.budget_kills++;
    memmove(tenant->kills, tenant->kills + 1, sizeof(tenant->kills) - sizeof(*tenant->kills));
    tenant->kills[KILLS - 1] = now + 1; /* 0 stands for none */
    if (!tenant->kills[0] || now + 1 - tenant->kills[0] >= KILLS_WITHIN_MS) return;
    tenant->rest_until_ms = now + REST_MS;
    log_event(LOG_WARN, "rule_rests", "\"tenant\":\"%.*s\",\"edition\":\"%s\",\"rest_ms\":%d",
        (int)tenant->slug.len, tenant->slug.ptr, tenant->edition->hash, REST_MS);
}

/* At most one line a second and tenant: a failing rule must not fill the disk. */
static void log_fault(tenant_t *tenant, const sandbox_fault_t *fault, uint64_t now) {
    if (now < tenant->log_after_ms) return;
    tenant->log_after_ms = now + LOG_EVERY_MS;
    buf_t *line = log_begin(LOG_WARN, "rule_failed");
    if (!line) return;
    buf_text(line, ",\"tenant\":");
    buf_json(line, tenant->slug);
    buf_printf(line, ",\"edition\":\"%s\",\"file\":", tenant->edition->hash);
    buf_json(line, span_of(fault->file));
    buf_printf(line, ",\"line\":%d,\"code\":\"%s\",\"detail\":", fault->line, err_name(fault->err));
    buf_json(line, span_of(fault->text));
    log_end();
}

/* Shoppers read the reason: where the rules failed, and why, is in the log. */
static int refuse_fault(call_t *call, const sandbox_fault_t *fault) {
    int err =
        fault->err == ERR_INTERNAL || fault->err == ERR_NO_MEMORY ? fault->err : ERR_UNAVAILABLE;
    if (!fault->file[0]) return refuse(call, err, 0, "%s", fault->text);
    return refuse(
        call, err, 0, "the shop's rules could not price this cart (%s)", err_name(fault->err));
}

/* The current edition failed with `fault`, or rests. */
static int price_last_good(call_t *call, const sandbox_fault_t *fault) {
    tenant_t *tenant = call->tenant;
    sandbox_fault_t second = *fault;
    int err = fault->err;
    if (tenant->last_good)
        err = price_with(call, tenant->last_good, &tenant->good_rules, &second);
    else if (fault->err == ERR_BUDGET_TIME)
        err = price_with(call, tenant->edition, &tenant->rules, &second);
    call->quote->fault = *fault;
    if (err) return refuse_fault(call, &second);
    call->quote->fell_back = tenant->last_good != NULL;
    tenant->counts.fell_back += call->quote->fell_back;
    tenant->counts.priced++;
    return 0;
}

static int on_fault(call_t *call, const sandbox_fault_t *fault) {
    tenant_t *tenant = call->tenant;
    if (is_kill(fault->err)) note_kill(tenant, call->now_ms);
    log_fault(tenant, fault, call->now_ms);
    if (call->settings->on_rule_error == ON_RULE_ERROR_LAST_GOOD)
        return price_last_good(call, fault);
    call->quote->fault = *fault;
    return refuse_fault(call, fault);
}

static int price_resting(call_t *call) {
    tenant_t *tenant = call->tenant;
    sandbox_fault_t fault = {.err = ERR_UNAVAILABLE,
        .text = "this edition exceeded its budget three times within a minute and rests"};
    if (call->settings->on_rule_error == ON_RULE_ERROR_LAST_GOOD && tenant->last_good)
        return price_last_good(call, &fault);
    return refuse(call, ERR_UNAVAILABLE, tenant->rest_until_ms - call->now_ms, "%s", fault.text);
}

int tenant_price(tenant_t *tenant, const settings_t *settings, const price_input_t *input,
    arena_t *arena, quote_t *quote) {
    call_t call = {tenant, settings, input, arena, quote, now_of(tenant->home)};
    sandbox_fault_t fault;
    *quote = (quote_t){0};
    uint64_t wait = tenant_wait(tenant);
    if (wait)
        return refuse(
            &call, ERR_BUSY, wait, "this shop's rules have used their share of the server's time");
    if (call.now_ms < tenant->rest_until_ms) return price_resting(&call);
    int err = price_with(&call, tenant->edition, &tenant->rules, &fault);
    if (err == 0) {
        tenant->proven = true;
        tenant->counts.priced++;
        return 0;
    }
    if (fault.file[0]) return on_fault(&call, &fault);
    return refuse(&call, err, 0, "%s", fault.text);
}
