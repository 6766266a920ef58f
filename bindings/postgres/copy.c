/* copy.c: COPY in and out on a leased connection, outside of its pipeline. */
#include <stdio.h>
#include <stdlib.h>
#include "base/err.h"
#include "postgres/query.h"
#include "postgres/fault.h"
#include "postgres/verb.h"

/* ASKED: the server has not agreed yet; IN, OUT: data flows; BLOCKED: IN, and more is written than has left; ENDING:
   the last answer is to come. */
typedef enum { ASKED, IN, BLOCKED, OUT, ENDING, ENDED } copy_state_t;

/* The link keeps a pointer to it. */
typedef struct postgres_holding {
    postgres_taker_t taker;
    postgres_copy_t *copy;
    PGconn *conn;
} holding_t;

static void on_ended(deferred_t *deferred) {
    postgres_copy_t *copy = LIST_OWNER(deferred, postgres_copy_t, ended);
    postgres_t *postgres = copy->postgres;
    copy->postgres = NULL;
    postgres_leave(postgres);
    copy->done(copy);
}

/* Its end, told on a later turn. */
static void end(postgres_copy_t *copy) {
    deadline_clear(&copy->timer);
    copy->link = NULL;
    copy->state = ENDED;
    free(copy->holding);
    copy->holding = NULL;
    loop_defer(copy->postgres->ground.loop, &copy->ended);
}

static void fail(postgres_copy_t *copy, int err, const char *detail) {
    if (copy->err) return;
    copy->err = err;
    snprintf(copy->detail, sizeof copy->detail, "%s", detail);
}

static void on_lost(void *data, const char *detail) {
    postgres_copy_t *copy = ((holding_t *)data)->copy;
    fail(copy, ERR_CLOSED, detail);
    end(copy);
}

static void on_deadline(deadline_t *deadline) {
    postgres_copy_t *copy = LIST_OWNER(deadline, postgres_copy_t, timer);
    fail(copy, ERR_TIMEOUT, "the copy did not end in time");
    postgres_link_fail(copy->link, copy->detail);
}

static void take_fault(postgres_copy_t *copy, const PGresult *result) {
    postgres_fault_t fault;
    postgres_fault_read(result, &fault);
    if (copy->err || !fault.sqlstate[0] || fault.fatal) return; /* on_lost tells */
    fail(copy, fault.err, fault.detail);
    snprintf(copy->sqlstate, sizeof copy->sqlstate, "%s", fault.sqlstate);
    memcpy(copy->constraint, fault.constraint, sizeof copy->constraint);
    memcpy(copy->table, fault.table, sizeof copy->table);
    memcpy(copy->column, fault.column, sizeof copy->column);
}

/* The server waits for data, and nobody has any. */
static void take_no_in(postgres_copy_t *copy) {
    fail(copy, ERR_INVALID, "the COPY reads, and what was asked for is one that writes");
    PQputCopyEnd(copy->holding->conn, copy->detail);
    copy->state = ENDING;
}

static void take_result(postgres_copy_t *copy, PGresult *result) {
    switch (PQresultStatus(result)) {
    case PGRES_COPY_IN:
        copy->state = BLOCKED;
        if (!copy->ready) take_no_in(copy);
        break;
    case PGRES_COPY_OUT:
        copy->state = OUT;
        if (!copy->data)
            fail(copy, ERR_INVALID, "the COPY writes, and what was asked for is one that reads");
        break;
    case PGRES_COMMAND_OK:
        copy->rows = strtoull(PQcmdTuples(result), NULL, 10);
        copy->state = ENDING;
        break;
    default:
        take_fault(copy, result);
        copy->state = ENDING;
    }
    PQclear(result);
}

/* The last answer was taken: the connection is idle, or in its transaction. */
static void give_back(postgres_copy_t *copy) {
    postgres_link_t *link = copy->link;
    end(copy);
    postgres_link_give_back(link);
}

/* False: nothing more is there. */
static bool take_answer(postgres_copy_t *copy) {
    PGconn *conn = copy->holding->conn;
    if (PQisBusy(conn)) return false;
    PGresult *result = PQgetResult(conn);
    if (result) {
        take_result(copy, result);
        return true;
    }
    if (PQstatus(conn) == CONNECTION_BAD) return false;
    give_back(copy);
    return false;
}

static bool take_data(postgres_copy_t *copy) {
    char *bytes = NULL;
    int len = PQgetCopyData(copy->holding->conn, &bytes, 1);
    if (len < 0) copy->state = ENDING;
    if (len > 0) {
        if (copy->data) copy->data(copy, (span_t){bytes, (size_t)len});
        PQfreemem(bytes);
    }
    return len != 0;
}

static bool take_some(postgres_copy_t *copy) {
    if (!copy->link || copy->state == IN || copy->state == BLOCKED) return false;
    if (copy->state != OUT) return take_answer(copy);
    return !postgres_link_is_paused(copy->link) && take_data(copy);
}

/* Whether something is still to leave. */
static bool write_out(postgres_copy_t *copy) {
    return PQflush(copy->holding->conn) > 0;
}

static void read_in(postgres_copy_t *copy) {
    bool alive = true;
    do {
        if (!postgres_link_is_paused(copy->link)) alive = PQconsumeInput(copy->holding->conn) == 1;
        while (take_some(copy)) {
        }
    } while (copy->link && alive && !postgres_link_is_paused(copy->link) &&
             postgres_link_holds_more(copy->link));
}

static void on_turn(void *data) {
    postgres_copy_t *copy = ((holding_t *)data)->copy;
    read_in(copy);
    if (!copy->link) return;
    bool unsent = write_out(copy);
    if (!postgres_link_taken_wait(copy->link, unsent)) return;
    if (copy->state != BLOCKED || unsent) return;
    copy->state = IN;
    copy->ready(copy);
}

static void begin(postgres_copy_t *copy, postgres_t *postgres) {
    loop_t *loop = postgres->ground.loop;
    uint64_t soon = loop_now(loop) + postgres->options.query_ms;
    copy->postgres = postgres;
    copy->rows = 0;
    copy->err = 0;
    copy->detail[0] = copy->sqlstate[0] = '\0';
    copy->constraint[0] = copy->table[0] = copy->column[0] = '\0';
    copy->state = ASKED;
    deferred_init(&copy->ended, on_ended);
    deadline_init(&copy->timer, on_deadline);
    deadline_set(loop, &copy->timer, copy->deadline_ms ? copy->deadline_ms : soon);
    postgres->count++;
}

int postgres_copy(lease_t *lease, postgres_copy_t *copy) {
    postgres_link_t *link = postgres_lease_link(lease);
    if (!link) return ERR_CLOSED;
    if (!postgres_verb_is(copy->sql, "copy")) return ERR_INVALID;
    holding_t *holding = calloc(1, sizeof *holding);
    if (!holding) return ERR_NO_MEMORY;
    *holding = (holding_t){{on_turn, on_lost, holding}, copy, NULL};
    holding->conn = postgres_link_take(link, &holding->taker);
    if (!holding->conn) {
        free(holding);
        return ERR_BUSY;
    }
    begin(copy, pool_engine(lease->pool));
    copy->link = link;
    copy->holding = holding;
    if (PQsendQueryParams(holding->conn, copy->sql, 0, NULL, NULL, NULL, NULL, 0) != 1)
        fail(copy, ERR_UNAVAILABLE, "the COPY could not be sent");
    postgres_link_flush_later(link);
    return 0;
}

bool postgres_copy_write(postgres_copy_t *copy, span_t bytes) {
    if (copy->state != IN || !bytes.len) return copy->state == IN;
    holding_t *holding = copy->holding;
    int result = PQputCopyData(holding->conn, bytes.ptr, (int)bytes.len);
    bool unsent = result != 1 || write_out(copy);
    if (unsent) copy->state = BLOCKED;
    postgres_link_flush_later(copy->link);
    if (result == 1) return !unsent;
    fail(copy, ERR_UNAVAILABLE, "the data could not be sent");
    postgres_copy_end(copy, copy->detail); /* with a part missing, nothing of it is kept */
    return false;
}

void postgres_copy_end(postgres_copy_t *copy, const char *fault) {
    if (copy->state != IN && copy->state != BLOCKED) return;
    copy->state = ENDING;
    PQputCopyEnd(copy->holding->conn, fault);
    postgres_link_flush_later(copy->link);
}
