/* query.c: a query's life: checked, begun, ended once. */
#include "postgres/query.h"
#include <stdio.h>
#include <stdlib.h>
#include "base/err.h"
#include "postgres/verb.h"

#define TENANT_MAX 200

void postgres_gone(postgres_t *postgres) {
    if (!postgres->closing || postgres->count) return;
    postgres_url_wipe(&postgres->url);
    postgres_url_wipe(&postgres->read_url);
    postgres_url_wipe(&postgres->listen_url);
    free(postgres);
}

void postgres_leave(postgres_t *postgres) {
    postgres->count--;
    postgres_gone(postgres);
}

static void give_back(postgres_query_t *query) {
    postgres_errand_t *errand = query->errand;
    query->errand = NULL;
    lease_end(&errand->lease, true);
    free(errand);
}

/* Takes the query from wherever it is; an answer still to come finds nobody. */
static void detach(postgres_query_t *query, bool late) {
    postgres_link_forget(query, late);
    if (query->errand) give_back(query);
    list_remove(&query->node);
    deferred_clear(&query->ended);
    deadline_clear(&query->timer);
}

static void end(postgres_query_t *query, bool late) {
    postgres_t *postgres = query->postgres;
    detach(query, late);
    if (query->err && postgres->closing && query->err != ERR_CANCELLED) query->err = ERR_CLOSED;
    query->settle = NULL;
    query->done(query);
    postgres_leave(postgres);
}

void postgres_finish(postgres_query_t *query) {
    end(query, false);
}

static void fail(postgres_query_t *query, int err, const char *detail) {
    query->results = NULL;
    query->nresults = 0;
    query->err = err;
    query->sqlstate[0] = query->constraint[0] = query->table[0] = query->column[0] = '\0';
    query->failed = -1;
    snprintf(query->detail, sizeof query->detail, "%s", detail);
}

static void on_ended(deferred_t *deferred) {
    postgres_query_t *query = LIST_OWNER(deferred, postgres_query_t, ended);
    query->settle(query);
}

void postgres_finish_later(postgres_query_t *query, int err, const char *detail) {
    fail(query, err, detail);
    query->settle = postgres_finish;
    deferred_init(&query->ended, on_ended);
    loop_defer(query->postgres->ground.loop, &query->ended);
}

static void on_deadline(deadline_t *deadline) {
    postgres_query_t *query = LIST_OWNER(deadline, postgres_query_t, timer);
    query->sent = query->link != NULL;
    fail(query, ERR_TIMEOUT, query->sent ? "no answer in time" : "not sent in time");
    end(query, true);
}

static void clear_result(postgres_query_t *query) {
    fail(query, 0, "");
    query->verdict = POSTGRES_PASS;
    query->sent = false;
    query->link = NULL;
}

void postgres_begin(
    postgres_t *postgres, postgres_query_t *query, void (*settle)(postgres_query_t *)) {
    loop_t *loop = postgres->ground.loop;
    uint64_t soon = loop_now(loop) + postgres->options.query_ms;
    query->until_ms = query->deadline_ms ? query->deadline_ms : soon;
    query->postgres = postgres;
    query->settle = settle;
    query->hops = 0;
    query->to_primary = query->stray = false;
    query->errand = NULL;
    clear_result(query);
    list_init(&query->node);
    deferred_init(&query->ended, on_ended);
    deadline_init(&query->timer, on_deadline);
    deadline_set(loop, &query->timer, query->until_ms);
    postgres->count++;
}

static int refuse(postgres_query_t *query, const char *why) {
    fail(query, ERR_INVALID, why);
    return ERR_INVALID;
}

static int check_statement(
    postgres_query_t *query, const postgres_statement_t *statement, bool owned) {
    if (!statement->sql || statement->count < 0 || statement->count > 65535)
        return refuse(query, "a statement has no text, or too many parameters");
    postgres_nature_t nature = postgres_verb_nature(statement->sql);
    if (nature == POSTGRES_DRIVERS)
        return refuse(
            query, "COPY, LISTEN, PREPARE, EXECUTE and DISCARD are the driver's own business");
    if (nature != POSTGRES_PLAIN && !owned)
        return refuse(query, "the statement needs a connection of one's own");
    return 0;
}

/* Empty, or a text that the server takes. */
static bool is_tenant(span_t tenant) {
    return !tenant.len || (tenant.len <= TENANT_MAX && !memchr(tenant.ptr, '\0', tenant.len));
}

int postgres_check(postgres_t *postgres, postgres_query_t *query, bool owned) {
    if (postgres->closing) return ERR_CLOSED;
    if (query->count < 1 || query->count > POSTGRES_STATEMENTS_MAX)
        return refuse(query, "a query has from 1 to 1000 statements");
    if (!is_tenant(query->tenant)) return refuse(query, "the tenant is not one");
    if (query->chunk && !owned)
        return refuse(query, "rows as they come need a connection of one's own");
    for (int i = 0; i < query->count; i++) {
        int err = check_statement(query, &query->statements[i], owned);
        if (err) return err;
    }
    return postgres->count >= postgres->options.bound ? ERR_BUSY : 0;
}

void postgres_again(postgres_query_t *query) {
    query->hops++;
    clear_result(query);
}

void postgres_cancel(postgres_query_t *query) {
    if (!query->settle) return;
    query->sent = query->link != NULL;
    detach(query, false);
    postgres_finish_later(query, ERR_CANCELLED, err_text(ERR_CANCELLED));
}

void postgres_extend(postgres_query_t *query, uint64_t deadline_ms) {
    if (!query->settle || !deadline_armed(&query->timer)) return;
    query->until_ms = deadline_ms;
    deadline_set(query->postgres->ground.loop, &query->timer, deadline_ms);
}
