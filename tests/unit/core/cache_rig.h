/* cache_rig.h: the cache role's operations on two engines that share one store, as two servers do. */
#ifndef PERIGEE_TESTS_CACHE_RIG_H
#define PERIGEE_TESTS_CACHE_RIG_H
#include "bindings/redis_rig.h"
#include "bindings/script_host.h"
#include "redis/redis_cache.h"
#include "sqlite/sqlite_cache.h"

/* As scripts/stores/cache/sqlite_tables.lua makes them. */
static const char *const TABLES[] = {
    "CREATE TABLE texts (tenant TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, "
    "expires_at INTEGER NOT NULL, PRIMARY KEY (tenant, key)) WITHOUT ROWID",
    "CREATE TABLE rates (tenant TEXT NOT NULL, route TEXT NOT NULL, full_at_us INTEGER NOT NULL, "
    "PRIMARY KEY (tenant, route)) WITHOUT ROWID",
    "CREATE TABLE carts (tenant TEXT NOT NULL, session TEXT NOT NULL, version INTEGER NOT NULL, "
    "expires_at INTEGER NOT NULL, PRIMARY KEY (tenant, session)) WITHOUT ROWID",
    "CREATE TABLE cart_fields (tenant TEXT NOT NULL, session TEXT NOT NULL, name TEXT NOT NULL, "
    "value TEXT NOT NULL, PRIMARY KEY (tenant, session, name), FOREIGN KEY (tenant, session) "
    "REFERENCES carts (tenant, session) ON DELETE CASCADE) WITHOUT ROWID"};

typedef struct cache_rig {
    loop_t *loop;
    server_t server;
    char folder[200];
    db_t *db; /* NULL: on Redis */
    redis_t *redis[2];
    cache_ops_t ops[2];
} cache_rig_t;

typedef struct db_run {
    db_op_t op;
    statement_t statement;
    result_t result;
    bool done;
} db_run_t;

static inline void db_run_done(db_op_t *op) {
    LIST_OWNER(op, db_run_t, op)->done = true;
}

static inline void cache_rig_sql(cache_rig_t *rig, const char *sql) {
    db_run_t run = {.op = {.kind = DB_WRITE, .done = db_run_done},
        .statement = {.sql = span_of(sql), .expect = -1}};
    run.op.job.statements = &run.statement;
    run.op.job.results = &run.result;
    run.op.job.count = 1;
    run.op.job.max_bytes = 1024;
    assert_int_equal(db_submit(rig->db, &run.op), 0);
    RIG_UNTIL(rig->loop, run.done);
    assert_int_equal(run.op.job.err, 0);
    buf_destroy(&run.op.job.cells);
}

/* An engine of its own with this time for an operation, whose writer is kept busy until cache_rig_unstall. */
static inline cache_ops_t cache_rig_stall(cache_rig_t *rig, db_run_t *run, uint64_t wait_ms) {
    sqlite_options_t options = {.data_dir = rig->folder, .busy_ms = wait_ms, .readers = 1};
    cache_ops_t ops = sqlite_cache_ops(sqlite_new(rig->loop, &options));
    db_t *db;
    assert_int_equal(sqlite_cache_db(ops.engine, &db), 0);
    *run = (db_run_t){.op = {.kind = DB_WRITE, .done = db_run_done},
        .statement = {.sql = SPAN("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "
                                  "SELECT count(*) FROM n"),
            .expect = -1}};
    run->op.job.statements = &run->statement;
    run->op.job.results = &run->result;
    run->op.job.count = 1;
    run->op.job.max_bytes = 1024;
    assert_int_equal(db_submit(db, &run->op), 0);
    return ops;
}

static inline void cache_rig_unstall(cache_rig_t *rig, db_run_t *run) {
    assert_false(run->done);
    db_cancel(&run->op);
    RIG_UNTIL(rig->loop, run->done);
    buf_destroy(&run->op.job.cells);
}

static inline void cache_rig_sqlite(cache_rig_t *rig) {
    memset(rig, 0, sizeof *rig);
    host_folder(rig->folder, sizeof rig->folder);
    rig->loop = loop_new();
    for (int i = 0; i < 2; i++) {
        sqlite_t *engine = sqlite_new(rig->loop, &(sqlite_options_t){.data_dir = rig->folder});
        rig->ops[i] = sqlite_cache_ops(engine);
    }
    assert_int_equal(sqlite_cache_db(rig->ops[0].engine, &rig->db), 0);
    for (size_t i = 0; i < sizeof TABLES / sizeof *TABLES; i++)
        cache_rig_sql(rig, TABLES[i]);
}

static inline void cache_rig_redis(cache_rig_t *rig) {
    memset(rig, 0, sizeof *rig);
    server_start(&rig->server);
    rig->loop = loop_new();
    for (int i = 0; i < 2; i++) {
        rig->redis[i] = rig_client(rig->loop, rig->server.url);
        rig->ops[i] = redis_cache_ops(rig->redis[i]);
        RIG_UNTIL(rig->loop, redis_up(rig->redis[i]));
    }
}

static inline void cache_rig_close(cache_rig_t *rig) {
    if (rig->loop) loop_delete(rig->loop);
    rig->loop = NULL;
}

static inline void cache_rig_empty(cache_rig_t *rig) {
    cache_rig_close(rig);
    if (rig->server.folder[0]) server_stop(&rig->server);
    if (rig->folder[0]) host_folder_remove(rig->folder);
}

/* Whether this run is to do without servers. */
static inline bool cache_rig_embedded_only(void) {
    const char *engines = getenv("ENGINES");
    return engines && strcmp(engines, "embedded") == 0;
}

#endif
