/* sqlite_cart.c: a query for a cart, and one transaction that claims its version and then writes its fields. */
#include "sqlite/sqlite_cart.h"
#include <stdio.h>
#include <stdlib.h>
#include "base/arena.h"
#include "base/clock.h"
#include "base/err.h"
#include "sqlite/engine.h"

#define BYTES_MOST (4 * 1024 * 1024)

#define LOAD                                                                                       \
    "SELECT c.version, f.name, f.value FROM carts c LEFT JOIN cart_fields f "                      \
    "ON f.tenant = c.tenant AND f.session = c.session "                                            \
    "WHERE c.tenant = ?1 AND c.session = ?2 AND c.expires_at > now_ms()"
#define FORGET "DELETE FROM carts WHERE tenant = ?1 AND session = ?2 AND expires_at <= now_ms()"
/* The clock in microseconds as first version: a cart that was deleted and made anew must not meet a version that
   somebody still holds. */
#define CREATE                                                                                     \
    "INSERT INTO carts (tenant, session, version, expires_at) "                                    \
    "VALUES (?1, ?2, now_ms() * 1000, now_ms() + ?3) "                                             \
    "ON CONFLICT (tenant, session) DO NOTHING RETURNING version"
#define ADVANCE                                                                                    \
    "UPDATE carts SET version = version + 1, expires_at = now_ms() + ?3 "                          \
    "WHERE tenant = ?1 AND session = ?2 AND version = ?4 AND expires_at > now_ms() "               \
    "RETURNING version"
#define SET                                                                                        \
    "INSERT INTO cart_fields (tenant, session, name, value) VALUES (?1, ?2, ?3, ?4) "              \
    "ON CONFLICT (tenant, session, name) DO UPDATE SET value = excluded.value"
#define UNSET "DELETE FROM cart_fields WHERE tenant = ?1 AND session = ?2 AND name = ?3"

/* Either of the two; outlives it when that is cancelled. */
typedef struct visit {
    db_op_t op;
    deadline_t timer;
    cache_cart_load_t *load; /* NULL with save NULL: nobody waits any more */
    cache_cart_save_t *save;
    arena_t arena; /* statements, results, parameters and their texts */
    cell_t tenant, session;
    size_t claimed; /* the statement that returns the version */
    bool no_memory;
} visit_t;

static cell_t text_cell(visit_t *visit, span_t text) {
    char *copy = arena_dup(&visit->arena, text.len ? text.ptr : "", text.len);
    if (!copy) visit->no_memory = true;
    return (cell_t){.kind = CELL_TEXT, .text = {copy, copy ? text.len : 0}};
}

static cell_t number_cell(int64_t number) {
    return (cell_t){.kind = CELL_INT, .integer = number};
}

static void let_go(visit_t *visit) {
    deadline_clear(&visit->timer);
    if (visit->load) visit->load->state = NULL;
    if (visit->save) visit->save->state = NULL;
    visit->load = NULL;
    visit->save = NULL;
    db_cancel(&visit->op);
}

/* The thread that has it, or what stands before it in the queue, may be held up by the disk: nobody waits for that. A
   save may still happen. */
static void on_late(deadline_t *timer) {
    visit_t *visit = LIST_OWNER(timer, visit_t, timer);
    cache_cart_load_t *load = visit->load;
    cache_cart_save_t *save = visit->save;
    let_go(visit);
    if (load) {
        load->err = ERR_TIMEOUT;
        load->done(load);
    } else {
        save->err = ERR_TIMEOUT;
        save->done(save);
    }
}

static visit_t *visit_new(span_t tenant, span_t session, size_t statements) {
    visit_t *visit = calloc(1, sizeof *visit);
    if (!visit) return NULL;
    arena_create(&visit->arena);
    deadline_init(&visit->timer, on_late);
    buf_create(&visit->op.job.cells);
    visit->op.job.statements = arena_zalloc(&visit->arena, statements * sizeof(statement_t));
    visit->op.job.results = arena_zalloc(&visit->arena, statements * sizeof(result_t));
    visit->op.job.max_bytes = BYTES_MOST;
    visit->no_memory = !visit->op.job.statements || !visit->op.job.results;
    visit->tenant = text_cell(visit, tenant);
    visit->session = text_cell(visit, session);
    return visit;
}

static void visit_delete(visit_t *visit) {
    deadline_clear(&visit->timer);
    buf_destroy(&visit->op.job.cells);
    arena_destroy(&visit->arena);
    free(visit);
}

/* A statement whose parameters are the tenant, the session and `more`. */
static void add(visit_t *visit, span_t sql, const cell_t *more, size_t count, int64_t expect) {
    job_t *job = &visit->op.job;
    cell_t *params = arena_alloc(&visit->arena, (count + 2) * sizeof(cell_t));
    if (!params) visit->no_memory = true;
    if (visit->no_memory) return;
    params[0] = visit->tenant;
    params[1] = visit->session;
    if (count) memcpy(params + 2, more, count * sizeof(cell_t));
    ((statement_t *)job->statements)[job->count++] =
        (statement_t){.sql = sql, .params = params, .count = count + 2, .expect = expect};
}

/* Skips the columns' names of a result. */
static size_t rows_of(const job_t *job, const result_t *result) {
    size_t at = result->at;
    cell_t name;
    for (uint32_t i = 0; i < result->columns; i++)
        cell_read(&job->cells, &at, &name);
    return at;
}

static int read_fields(visit_t *visit) {
    cache_cart_load_t *load = visit->load;
    const job_t *job = &visit->op.job;
    size_t rows = job->results[0].rows, at = rows_of(job, &job->results[0]);
    cache_field_t *fields = arena_alloc(&visit->arena, (rows + 1) * sizeof(cache_field_t));
    if (!fields) return ERR_NO_MEMORY;
    load->fields = fields;
    for (size_t i = 0; i < rows; i++) {
        cell_t version, name, text;
        cell_read(&job->cells, &at, &version);
        cell_read(&job->cells, &at, &name);
        cell_read(&job->cells, &at, &text);
        load->version = version.integer;
        if (name.kind == CELL_TEXT && text.kind == CELL_TEXT)
            fields[load->count++] = (cache_field_t){name.text, text.text};
    }
    return 0;
}

static int err_of(const visit_t *visit, char detail[120]) {
    snprintf(detail, 120, "%s", visit->op.job.detail);
    return visit->op.job.err;
}

static void on_loaded(db_op_t *op) {
    visit_t *visit = LIST_OWNER(op, visit_t, op);
    cache_cart_load_t *load = visit->load;
    if (load) {
        load->state = NULL;
        load->err = err_of(visit, load->detail);
        if (!load->err) load->err = read_fields(visit);
        load->done(load);
    }
    visit_delete(visit);
}

/* 0, and then done will come. */
static int submit(void *engine, visit_t *visit, db_kind_t kind, void (*done)(db_op_t *)) {
    db_t *db;
    loop_t *loop = sqlite_loop(engine);
    uint64_t wait_ms = visit->load ? visit->load->wait_ms : visit->save->wait_ms;
    if (!wait_ms) wait_ms = sqlite_wait_ms(engine);
    visit->op.kind = kind;
    visit->op.done = done;
    visit->op.job.deadline_ns = clock_mono_ns() + wait_ms * 1000000u;
    deadline_set(loop, &visit->timer, loop_now(loop) + wait_ms);
    int err = visit->no_memory ? ERR_NO_MEMORY : sqlite_cache_db(engine, &db);
    if (!err) err = db_submit(db, &visit->op);
    if (err) visit_delete(visit);
    return err;
}

int sqlite_cart_load(void *engine, cache_cart_load_t *load) {
    visit_t *visit = visit_new(load->tenant, load->session, 1);
    if (!visit) return ERR_NO_MEMORY;
    visit->load = load;
    add(visit, SPAN(LOAD), NULL, 0, -1);
    int err = submit(engine, visit, DB_READ, on_loaded);
    if (!err) load->state = visit;
    return err;
}

void sqlite_cart_load_cancel(cache_cart_load_t *load) {
    if (load->state) let_go(load->state);
}

static void on_saved(db_op_t *op) {
    visit_t *visit = LIST_OWNER(op, visit_t, op);
    cache_cart_save_t *save = visit->save;
    if (save) {
        save->state = NULL;
        save->err = err_of(visit, save->detail);
        if (!save->err) {
            size_t at = rows_of(&op->job, &op->job.results[visit->claimed]);
            cell_t version;
            cell_read(&op->job.cells, &at, &version);
            save->saved_as = version.integer;
        }
        save->done(save);
    }
    visit_delete(visit);
}

/* Claimed first: when the version is not the expected one, the whole unit is undone. */
static void claim(visit_t *visit, const cache_cart_save_t *save) {
    cell_t more[] = {number_cell((int64_t)save->ttl_ms), number_cell(save->version)};
    if (save->version == 0) add(visit, SPAN(FORGET), NULL, 0, -1);
    visit->claimed = visit->op.job.count;
    if (save->version == 0)
        add(visit, SPAN(CREATE), more, 1, 1);
    else
        add(visit, SPAN(ADVANCE), more, 2, 1);
}

int sqlite_cart_save(void *engine, cache_cart_save_t *save) {
    visit_t *visit = visit_new(save->tenant, save->session, 2 + save->nset + save->nunset);
    if (!visit) return ERR_NO_MEMORY;
    visit->save = save;
    claim(visit, save);
    for (size_t i = 0; i < save->nunset; i++) {
        cell_t name = text_cell(visit, save->unset[i]);
        add(visit, SPAN(UNSET), &name, 1, -1);
    }
    for (size_t i = 0; i < save->nset; i++) {
        cell_t field[] = {text_cell(visit, save->set[i].name), text_cell(visit, save->set[i].text)};
        add(visit, SPAN(SET), field, 2, -1);
    }
    int err = submit(engine, visit, DB_WRITE, on_saved);
    if (!err) save->state = visit;
    return err;
}

void sqlite_cart_save_cancel(cache_cart_save_t *save) {
    if (save->state) let_go(save->state);
}
