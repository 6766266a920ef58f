/* connection.c: opens a database file the way Perigee needs it, runs jobs on it, and turns SQLite's codes into
   errors. */
#include "sqlite/connection.h"
#include <sqlite3.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/clock.h"
#include "sqlite/functions.h"
#include "sqlite/prepared.h"

#define STOP_EVERY 1000        /* virtual machine instructions between two looks at the deadline */
#define LENGTH_MOST (64 << 20) /* bytes of one value or row */
#define VERBS(X)                                                                                   \
    X(BEGIN, "BEGIN IMMEDIATE")                                                                    \
    X(COMMIT, "COMMIT")                                                                            \
    X(ROLLBACK, "ROLLBACK")                                                                        \
    X(SAVE, "SAVEPOINT job") X(UNDO, "ROLLBACK TO job") X(RELEASE, "RELEASE job")

typedef enum {
#define X(NAME, sql) VERB_##NAME,
    VERBS(X)
#undef X
        VERB_COUNT
} verb_t;

struct connection {
    connection_options_t options;
    sqlite3 *db; /* NULL until it is opened, and after damage */
    prepared_t prepared;
    sqlite3_stmt *verbs[VERB_COUNT];
    uint64_t busy_since_ns;
    const job_t *job; /* runs now; NULL while nothing may stop it */
    bool own;         /* the text that is prepared now is ours: transaction verbs are allowed */
    bool damaged;     /* to be closed before the next job, so that a repaired file is seen */
};

connection_t *connection_new(const connection_options_t *options) {
    connection_t *c = calloc(1, sizeof *c);
    if (!c) return NULL;
    c->options = *options;
    prepared_create(&c->prepared);
    return c;
}

static void disconnect(connection_t *c) {
    prepared_destroy(&c->prepared);
    prepared_create(&c->prepared);
    for (int i = 0; i < VERB_COUNT; i++) {
        sqlite3_finalize(c->verbs[i]);
        c->verbs[i] = NULL;
    }
    sqlite3_close(c->db);
    c->db = NULL;
    c->damaged = false;
}

void connection_delete(connection_t *c) {
    disconnect(c);
    prepared_destroy(&c->prepared);
    free(c);
}

bool connection_lost(const connection_t *c) {
    return !c->db || sqlite3_get_autocommit(c->db);
}

static bool is_damage(int rc) {
    rc &= 0xff;
    return rc == SQLITE_CORRUPT || rc == SQLITE_NOTADB || rc == SQLITE_IOERR ||
           rc == SQLITE_CANTOPEN;
}

/* What a failure means to who asked. */
static void fail(connection_t *c, job_t *job, int rc) {
    const char *why = c->db ? sqlite3_errmsg(c->db) : sqlite3_errstr(rc);
    const char *file = c->options.path;
    int stop = job_stop(job);
    c->damaged |= is_damage(rc);
    switch (rc & 0xff) {
    case SQLITE_CONSTRAINT:
        if (rc == SQLITE_CONSTRAINT_UNIQUE || rc == SQLITE_CONSTRAINT_PRIMARYKEY ||
            rc == SQLITE_CONSTRAINT_ROWID) {
            const char *fields = strstr(why, "failed: ");
            job_fail(job, ERR_CONFLICT, "%s", fields ? fields + strlen("failed: ") : why);
        } else {
            job_fail(job, ERR_INVALID, "%s", why);
        }
        return;
    case SQLITE_INTERRUPT:
        job_fail(job, stop ? stop : ERR_CANCELLED, "%s", err_text(stop ? stop : ERR_CANCELLED));
        return;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        job_fail(job, stop ? stop : ERR_BUSY, "another writer holds the database file");
        return;
    case SQLITE_FULL:
        job_fail(job, ERR_UNAVAILABLE, "no space is left for the database file %s", file);
        return;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        job_fail(job, ERR_UNAVAILABLE, "the database file is damaged: %s", file);
        return;
    case SQLITE_TOOBIG:
        job_fail(job, ERR_TOO_LARGE, "%s", why);
        return;
    case SQLITE_NOMEM:
        job_fail(job, ERR_NO_MEMORY, "%s", err_text(ERR_NO_MEMORY));
        return;
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
        job_fail(job, ERR_UNAVAILABLE, "%s: %s", why, file);
        return;
    case SQLITE_MISUSE:
        job_fail(job, ERR_INVALID, "the text is not one SQL statement");
        return;
    default:
        job_fail(job, ERR_INTERNAL, "%s", why);
    }
}

static int on_progress(void *data) {
    const connection_t *c = data;
    return c->job && job_stop(c->job) != 0;
}

/* Waits a little longer each time, at most 10 ms, for another process's write. */
static int on_busy(void *data, int tries) {
    connection_t *c = data;
    uint64_t now = clock_mono_ns(), most = c->options.busy_ms * 1000000u;
    if (tries == 0) c->busy_since_ns = now;
    if (!c->job || job_stop(c->job) || (most && now - c->busy_since_ns >= most)) return 0;
    usleep(tries < 5 ? 200u << tries : 10000u);
    return 1;
}

/* Transactions are the driver's: a stray COMMIT would end other jobs' work with it. */
static int on_authorize(
    void *data, int action, const char *a, const char *b, const char *schema, const char *trigger) {
    const connection_t *c = data;
    (void)a;
    (void)b;
    (void)schema;
    (void)trigger;
    if (c->own) return SQLITE_OK;
    return action == SQLITE_TRANSACTION || action == SQLITE_SAVEPOINT || action == SQLITE_ATTACH ||
                   action == SQLITE_DETACH
               ? SQLITE_DENY
               : SQLITE_OK;
}

static int execute(connection_t *c, const char *sql) {
    c->own = true;
    int rc = sqlite3_exec(c->db, sql, NULL, NULL, NULL);
    c->own = false;
    return rc;
}

/* SQLite does not ask the busy handler while two processes turn a new file into WAL mode at the same time. */
static int use_wal(connection_t *c) {
    int rc;
    for (int tries = 0;; tries++) {
        rc = execute(c, "PRAGMA journal_mode = WAL");
        if ((rc & 0xff) != SQLITE_BUSY || !on_busy(c, tries)) return rc;
    }
}

static int configure(connection_t *c) {
    sqlite3_extended_result_codes(c->db, 1);
    sqlite3_limit(c->db, SQLITE_LIMIT_ATTACHED, 0);
    sqlite3_limit(c->db, SQLITE_LIMIT_LENGTH, LENGTH_MOST);
    sqlite3_busy_handler(c->db, on_busy, c);
    sqlite3_progress_handler(c->db, STOP_EVERY, on_progress, c);
    sqlite3_set_authorizer(c->db, on_authorize, c);
    int rc = functions_register(c->db);
    if (rc == SQLITE_OK) rc = use_wal(c);
    if (rc == SQLITE_OK)
        rc = execute(c, "PRAGMA cache_size = -1000; PRAGMA temp_store = MEMORY;"
                        "PRAGMA foreign_keys = ON; PRAGMA secure_delete = FAST;"
                        "PRAGMA journal_size_limit = 67108864");
    if (rc == SQLITE_OK)
        rc = execute(
            c, c->options.durable ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL");
    if (rc == SQLITE_OK && !c->options.writer) rc = execute(c, "PRAGMA query_only = ON");
    return rc;
}

/* Opens the file unless it is open. False when the job has failed. */
static bool ready(connection_t *c, job_t *job) {
    const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    int stop = job_stop(job);
    if (stop) {
        job_fail(job, stop, "%s", err_text(stop));
        return false;
    }
    c->job = job;
    if (c->damaged && connection_lost(c)) disconnect(c);
    if (c->db) return true;
    int rc = sqlite3_open_v2(c->options.path, &c->db, flags, NULL);
    if (rc == SQLITE_OK) rc = configure(c);
    if (rc == SQLITE_OK) return true;
    fail(c, job, rc);
    disconnect(c);
    c->job = NULL;
    return false;
}

static int bind(sqlite3_stmt *stmt, const statement_t *statement) {
    int rc = SQLITE_OK;
    for (size_t i = 0; i < statement->count && rc == SQLITE_OK; i++) {
        const cell_t *cell = &statement->params[i];
        int at = (int)i + 1;
        switch (cell->kind) {
        case CELL_NULL:
            rc = sqlite3_bind_null(stmt, at);
            break;
        case CELL_INT:
            rc = sqlite3_bind_int64(stmt, at, cell->integer);
            break;
        case CELL_FLOAT:
            rc = sqlite3_bind_double(stmt, at, cell->number);
            break;
        case CELL_TEXT:
            rc = sqlite3_bind_text64(
                stmt, at, cell->text.ptr, cell->text.len, SQLITE_STATIC, SQLITE_UTF8);
            break;
        }
    }
    return rc;
}

static void pack_names(sqlite3_stmt *stmt, job_t *job, result_t *result) {
    result->columns = (uint32_t)sqlite3_column_count(stmt);
    result->at = job->cells.len;
    for (int i = 0; i < (int)result->columns; i++) {
        const char *name = sqlite3_column_name(stmt, i);
        cell_put(&job->cells, &(cell_t){.kind = CELL_TEXT, .text = span_of(name ? name : "")});
    }
}

static cell_t cell_of(sqlite3_stmt *stmt, int column) {
    const char *bytes;
    switch (sqlite3_column_type(stmt, column)) {
    case SQLITE_NULL:
        return (cell_t){.kind = CELL_NULL};
    case SQLITE_INTEGER:
        return (cell_t){.kind = CELL_INT, .integer = sqlite3_column_int64(stmt, column)};
    case SQLITE_FLOAT:
        return (cell_t){.kind = CELL_FLOAT, .number = sqlite3_column_double(stmt, column)};
    default:
        bytes = sqlite3_column_blob(stmt, column);
        return (cell_t){.kind = CELL_TEXT,
            .text = {bytes ? bytes : "", (size_t)sqlite3_column_bytes(stmt, column)}};
    }
}

static void pack_row(sqlite3_stmt *stmt, job_t *job, result_t *result) {
    for (int i = 0; i < (int)result->columns; i++) {
        cell_t cell = cell_of(stmt, i);
        cell_put(&job->cells, &cell);
    }
    result->rows++;
    if (job->cells.failed) job_fail(job, ERR_NO_MEMORY, "%s", err_text(ERR_NO_MEMORY));
    if (job->cells.len > job->max_bytes)
        job_fail(job, ERR_TOO_LARGE, "the result is larger than %zu bytes", job->max_bytes);
}

/* Steps to the end, or until the job fails. An SQLite code. */
static int step(connection_t *c, sqlite3_stmt *stmt, job_t *job, result_t *result) {
    int64_t before = sqlite3_total_changes64(c->db);
    int rc;
    pack_names(stmt, job, result);
    while ((rc = sqlite3_step(stmt)) == SQLITE_ROW && !job->err)
        pack_row(stmt, job, result);
    if (sqlite3_total_changes64(c->db) != before) result->changes = sqlite3_changes64(c->db);
    return rc == SQLITE_DONE || rc == SQLITE_ROW ? SQLITE_OK : rc;
}

/* A broken constraint undoes its statement alone, so the job may go on with the next. */
static bool absorb(job_t *job, const statement_t *statement, result_t *result) {
    if (!statement->may_conflict || job->err != ERR_CONFLICT) return false;
    result->err = job->err;
    memcpy(result->detail, job->detail, sizeof result->detail);
    job->err = 0;
    return true;
}

static void check_expect(job_t *job, const statement_t *statement, const result_t *result) {
    int64_t got = result->columns ? (int64_t)result->rows : result->changes;
    if (statement->expect >= 0 && got != statement->expect)
        job_fail(job, ERR_PRECONDITION_FAILED, "statement %zu has %lld rows, not %lld",
            (size_t)(statement - job->statements) + 1, (long long)got,
            (long long)statement->expect);
}

static void run(connection_t *c, job_t *job, size_t index, bool reads) {
    const statement_t *statement = &job->statements[index];
    result_t *result = &job->results[index];
    sqlite3_stmt *stmt;
    int rc = prepared_get(&c->prepared, c->db, statement->sql, &stmt);
    if (rc != SQLITE_OK) {
        fail(c, job, rc);
        return;
    }
    if (reads && !sqlite3_stmt_readonly(stmt)) {
        job_fail(job, ERR_INVALID, "the statement writes, a query must only read");
        return;
    }
    int takes = sqlite3_bind_parameter_count(stmt);
    if (takes != (int)statement->count) {
        job_fail(job, ERR_INVALID, "the statement takes %d parameters, not %zu", takes,
            statement->count);
        return;
    }
    rc = bind(stmt, statement);
    if (rc == SQLITE_OK) rc = step(c, stmt, job, result);
    if (rc != SQLITE_OK) fail(c, job, rc);
    sqlite3_reset(stmt);
    sqlite3_clear_bindings(stmt);
    if (!absorb(job, statement, result) && !job->err) check_expect(job, statement, result);
}

void connection_read(connection_t *c, job_t *job) {
    job_clear(job);
    for (size_t i = 0; i < job->count && !job->err && ready(c, job); i++)
        run(c, job, i, true);
    c->job = NULL;
}

static int say(connection_t *c, verb_t verb) {
    static const char *const TEXTS[] = {
#define X(NAME, sql) sql,
        VERBS(X)
#undef X
    };
    int rc = SQLITE_OK;
    c->own = true; /* while it runs too: SQLite prepares it anew when the schema has changed */
    if (!c->verbs[verb])
        rc = sqlite3_prepare_v3(
            c->db, TEXTS[verb], -1, SQLITE_PREPARE_PERSISTENT, &c->verbs[verb], NULL);
    if (rc == SQLITE_OK) {
        rc = sqlite3_step(c->verbs[verb]);
        sqlite3_reset(c->verbs[verb]);
    }
    c->own = false;
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

void connection_begin(connection_t *c, job_t *job) {
    if (!ready(c, job)) return;
    int rc = say(c, VERB_BEGIN);
    c->job = NULL;
    if (rc != SQLITE_OK) fail(c, job, rc);
}

void connection_apply(connection_t *c, job_t *job, bool nested) {
    job_clear(job);
    int rc = nested ? say(c, VERB_SAVE) : SQLITE_OK;
    if (rc != SQLITE_OK) {
        fail(c, job, rc);
        return;
    }
    for (size_t i = 0; i < job->count && !job->err && ready(c, job); i++)
        run(c, job, i, false);
    c->job = NULL;
    if (!nested || connection_lost(c)) return;
    if (job->err) say(c, VERB_UNDO);
    say(c, VERB_RELEASE);
}

void connection_commit(connection_t *c, job_t *job) {
    int rc = say(c, VERB_COMMIT);
    if (rc == SQLITE_OK) return;
    fail(c, job, rc);
    connection_rollback(c);
}

void connection_rollback(connection_t *c) {
    if (!connection_lost(c)) say(c, VERB_ROLLBACK);
}
