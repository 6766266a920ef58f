/* sqlite_gate.c: reads settings and session and takes from a bucket in one job of the cache file. */
#include "sqlite/sqlite_gate.h"
#include <stdlib.h>
#include "base/clock.h"
#include "base/err.h"
#include "sqlite/engine.h"

#define TEXT_MOST (1024 * 1024)
#define SESSION "session:"

#define READ "SELECT value FROM texts WHERE tenant = ?1 AND key = ?2 AND expires_at > now_ms()"
/* A bucket that is further ahead than it can be was made under another limit. */
#define CLAMP                                                                                      \
    "UPDATE rates SET full_at_us = now_ms() * 1000 + ?4 "                                          \
    "WHERE tenant = ?1 AND route = ?2 AND full_at_us > now_ms() * 1000 + ?4"
/* The bucket of base/rate.c; a row comes back when the request is let through. excluded.full_at_us is now and one
   interval, so that one reading of the clock counts. */
#define TAKE                                                                                       \
    "INSERT INTO rates (tenant, route, full_at_us) VALUES (?1, ?2, now_ms() * 1000 + ?3) "         \
    "ON CONFLICT (tenant, route) DO UPDATE "                                                       \
    "SET full_at_us = max(rates.full_at_us + ?3, excluded.full_at_us) "                            \
    "WHERE max(rates.full_at_us + ?3, excluded.full_at_us) <= excluded.full_at_us - ?3 + ?4 "      \
    "RETURNING 1"
#define LOOK                                                                                       \
    "SELECT max(full_at_us - now_ms() * 1000, 1) FROM rates WHERE tenant = ?1 AND route = ?2"

#define STATEMENTS_MOST 5

/* Outlives the gate when that is cancelled. */
typedef struct visit {
    db_op_t op;
    deadline_t timer;
    cache_gate_t *gate; /* NULL: nobody waits any more */
    statement_t statements[STATEMENTS_MOST];
    result_t results[STATEMENTS_MOST];
    /* Which result is whose. The settings' is the first; session 0: none. */
    size_t session, taken, looked;
    cell_t config_key[2], session_key[2]; /* parameters */
    cell_t bucket[4];
    char bytes[]; /* what their texts point to */
} visit_t;

static cell_t text_cell(span_t text) {
    return (cell_t){.kind = CELL_TEXT, .text = text};
}
static cell_t number_cell(uint64_t number) {
    return (cell_t){.kind = CELL_INT, .integer = (int64_t)number};
}

/* The n-th result's only cell: false when there is no row. */
static bool first_cell(const visit_t *visit, size_t n, cell_t *out) {
    const result_t *result = &visit->results[n];
    size_t at = result->at;
    if (result->rows == 0) return false;
    cell_read(&visit->op.job.cells, &at, out); /* the column's name */
    cell_read(&visit->op.job.cells, &at, out);
    return true;
}

static void tell(const visit_t *visit, cache_gate_t *gate) {
    int err = visit->op.job.err;
    cell_t cell;
    gate->config_err = gate->session_err = gate->rate_err = err;
    if (err) return;
    if (!gate->alone && first_cell(visit, 0, &cell)) gate->config_text = cell.text;
    if (visit->session && first_cell(visit, visit->session, &cell)) gate->session_text = cell.text;
    if (!gate->bucket.len) return;
    gate->ahead_us = first_cell(visit, visit->looked, &cell) ? cell.integer : 1;
    if (visit->results[visit->taken].rows == 0) gate->ahead_us = -gate->ahead_us;
}

static void on_done(db_op_t *op) {
    visit_t *visit = LIST_OWNER(op, visit_t, op);
    cache_gate_t *gate = visit->gate;
    deadline_clear(&visit->timer);
    if (gate) {
        gate->state = NULL;
        tell(visit, gate);
        gate->done(gate);
    }
    buf_destroy(&op->job.cells);
    free(visit);
}

static cache_gate_t *let_go(visit_t *visit) {
    cache_gate_t *gate = visit->gate;
    deadline_clear(&visit->timer);
    gate->state = NULL;
    visit->gate = NULL;
    db_cancel(&visit->op);
    return gate;
}

/* The thread that has it, or what stands before it in the queue, may be held up by the disk: nobody waits for that. */
static void on_late(deadline_t *timer) {
    cache_gate_t *gate = let_go(LIST_OWNER(timer, visit_t, timer));
    gate->config_err = gate->session_err = gate->rate_err = ERR_TIMEOUT;
    gate->done(gate);
}

/* Appends to the bytes at *at. */
static void append(char **at, span_t text) {
    if (text.len) memcpy(*at, text.ptr, text.len);
    *at += text.len;
}

/* The texts are copied: a thread reads them, also after a cancel. */
static void copy_texts(visit_t *visit, const cache_gate_t *gate) {
    char *at = visit->bytes;
    append(&at, gate->tenant);
    cell_t tenant = text_cell((span_t){visit->bytes, gate->tenant.len});
    char *session = at;
    append(&at, SPAN(SESSION));
    append(&at, gate->session);
    visit->config_key[0] = visit->session_key[0] = visit->bucket[0] = tenant;
    visit->config_key[1] = text_cell(SPAN("config"));
    visit->session_key[1] = text_cell((span_t){session, (size_t)(at - session)});
    visit->bucket[1] = text_cell((span_t){at, gate->bucket.len});
    append(&at, gate->bucket);
    visit->bucket[2] = number_cell(gate->interval_us);
    visit->bucket[3] = number_cell(gate->capacity_us);
}

static size_t add(visit_t *visit, span_t sql, const cell_t *params, size_t count) {
    job_t *job = &visit->op.job;
    visit->statements[job->count] =
        (statement_t){.sql = sql, .params = params, .count = count, .expect = -1};
    return job->count++;
}

static visit_t *visit_new(cache_gate_t *gate) {
    size_t bytes = gate->tenant.len + sizeof SESSION + gate->session.len + gate->bucket.len;
    visit_t *visit = calloc(1, sizeof *visit + bytes);
    if (!visit) return NULL;
    visit->gate = gate;
    copy_texts(visit, gate);
    if (!gate->alone) add(visit, SPAN(READ), visit->config_key, 2);
    if (!gate->alone && gate->session.len)
        visit->session = add(visit, SPAN(READ), visit->session_key, 2);
    if (!gate->bucket.len) return visit;
    add(visit, SPAN(CLAMP), visit->bucket, 4);
    visit->taken = add(visit, SPAN(TAKE), visit->bucket, 4);
    visit->looked = add(visit, SPAN(LOOK), visit->bucket, 2);
    return visit;
}

static void start_timer(visit_t *visit, sqlite_t *engine) {
    uint64_t wait_ms = visit->gate->wait_ms ? visit->gate->wait_ms : sqlite_wait_ms(engine);
    visit->op.job.deadline_ns = clock_mono_ns() + wait_ms * 1000000u;
    deadline_set(sqlite_loop(engine), &visit->timer, loop_now(sqlite_loop(engine)) + wait_ms);
}

int sqlite_gate(void *engine, cache_gate_t *gate) {
    visit_t *visit = visit_new(gate);
    if (!visit) return ERR_NO_MEMORY;
    visit->op.kind = gate->bucket.len ? DB_WRITE : DB_READ;
    visit->op.done = on_done;
    job_t *job = &visit->op.job;
    job->statements = visit->statements;
    job->results = visit->results;
    job->max_bytes = TEXT_MOST;
    buf_create(&job->cells);
    deadline_init(&visit->timer, on_late);
    start_timer(visit, engine);
    db_t *db;
    int err = sqlite_cache_db(engine, &db);
    if (!err) err = db_submit(db, &visit->op);
    if (err) {
        deadline_clear(&visit->timer);
        free(visit);
    } else {
        gate->state = visit;
    }
    return err;
}

void sqlite_gate_cancel(cache_gate_t *gate) {
    if (gate->state) let_go(gate->state);
}
