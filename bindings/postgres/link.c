/* link.c: one pipelined connection: its descriptor is polled, its answers are handed to whoever stands first in the
   queue. A cancel stops whatever the server runs when it arrives, so only the oldest query is ever cancelled, and
   nothing is sent behind it until its answer and the cancel's end have come. */
#include "postgres/link.h"
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include "base/err.h"
#include "postgres/dial.h"
#include "postgres/fault.h"
#include "postgres/intake.h"
#include "postgres/pipe.h"

#define GRACE_MS 50    /* for a late query that has just become the oldest: it may be quick */
#define HEED_MS 1000   /* so long a server may take to do as it is asked */
#define STRAY_MS 10000 /* for so long after a cancel a query may be hit by it */
#define CHUNK_ROWS 100 /* of rows as they come, where libpq can gather them */
#define CLOSE_MS 5000  /* for what closes a prepared statement */
#define NO_PLACE UINT64_MAX
/* So much of an answer that is too large is thrown away before its connection is: what fills the sockets' buffers while
   the server is asked to stop. */
#define SWALLOWED_MAX ((size_t)32 * 1024 * 1024)

typedef enum { DIALLING, UP, CLOSED } link_state_t;

/* A query on its way. */
typedef struct place {
    postgres_query_t *query;   /* NULL: forgotten, the answer is swallowed */
    uint64_t sent_ms, span_ms; /* its time runs until sent + span */
    uint64_t late_ms;          /* from then on, once forgotten, it is to be cancelled */
    PGresult **results;        /* one per statement, from the first that came */
    int count;
    size_t bytes; /* of the results */
} place_t;

struct postgres_link {
    postgres_link_options_t options;
    link_state_t state;
    postgres_dial_t *dial;
    postgres_pipe_t pipe;
    uv_poll_t poll;
    bool piped, polled;
    int interest;
    deferred_t flush;
    deadline_t watch;
    bool broken, paused, corked;
    bool leave; /* after the answer that is being taken: the server takes no writes any more */
    bool unreplicated; /* the commit of the oldest was cut short, see on_notice */
    bool step_failed;  /* the oldest query has an error already */
    /* A ring: places head … tail - 1, modulo the capacity, which is a power of two. */
    place_t *places;
    uint64_t head, tail;
    size_t capacity;
    uint64_t head_ms;         /* when the oldest became that */
    postgres_intake_t intake; /* of its answer, as far as that is in no result yet */
    postgres_cancel_job_t *job;
    bool choked;     /* paused until the job is done */
    uint64_t target; /* the place that is being cancelled */
    uint64_t cancelled_ms;
    const postgres_taker_t *taker;
    char detail[POSTGRES_DETAIL_MAX];
};

static place_t *place_at(const postgres_link_t *link, uint64_t number) {
    return &link->places[number & (link->capacity - 1)];
}

static uint64_t now_of(const postgres_link_t *link) {
    return loop_now(link->options.ground->loop);
}

static bool make_room(postgres_link_t *link) {
    if (link->tail - link->head < link->capacity) return true;
    size_t capacity = link->capacity ? link->capacity * 2 : 16;
    place_t *places = malloc(capacity * sizeof *places);
    if (!places) return false;
    for (uint64_t i = link->head; i < link->tail; i++)
        places[i & (capacity - 1)] = *place_at(link, i);
    free(link->places);
    link->places = places;
    link->capacity = capacity;
    return true;
}

static void free_results(place_t *place) {
    for (int i = 0; place->results && i < place->count; i++)
        PQclear(place->results[i]);
    free(place->results);
    place->results = NULL;
}

static void on_ended(deferred_t *deferred) {
    postgres_query_t *query = LIST_OWNER(deferred, postgres_query_t, ended);
    query->settle(query);
}

/* An error that was answered before the end has undone the query for certain; anything else is not known. */
static void end_lost(postgres_link_t *link, postgres_query_t *query, const char *detail) {
    query->link = NULL;
    if (!query->err) {
        query->err = ERR_CLOSED;
        if (!query->detail[0]) snprintf(query->detail, sizeof query->detail, "%s", detail);
    }
    deferred_init(&query->ended, on_ended);
    loop_defer(link->options.ground->loop, &query->ended);
}

static void report_all(postgres_link_t *link, const char *detail) {
    for (; link->head < link->tail; link->head++) {
        place_t *place = place_at(link, link->head);
        free_results(place);
        if (place->query) end_lost(link, place->query, detail);
    }
}

static void free_link(postgres_link_t *link) {
    free(link->places);
    free(link);
}

static void on_poll_closed(uv_handle_t *handle) {
    free_link(handle->data);
}

/* The memory outlives every caller on the stack: while there is a poll handle, it goes with that. Without one nothing
   of the link is on the stack but what has just called this. */
static void release(postgres_link_t *link) {
    if (link->dial) postgres_dial_stop(link->dial);
    if (link->job) postgres_cancel_let_go(link->job);
    deadline_clear(&link->watch);
    deferred_clear(&link->flush);
    if (link->polled) uv_close((uv_handle_t *)&link->poll, on_poll_closed);
    if (link->piped)
        postgres_pipe_destroy(&link->pipe); /* after the handle: it closes the descriptor */
    link->piped = false;
    if (!link->polled) free_link(link);
}

/* The server goes on with a statement whose connection has gone, until it has rows to send. */
static void stop_running(postgres_link_t *link) {
    bool running =
        link->state == UP && link->options.owned && (link->head < link->tail || link->taker);
    if (running) postgres_cancel_send(&link->options.ground->cancels, link->pipe.conn, NULL, NULL);
}

void postgres_link_close(postgres_link_t *link) {
    if (link->state == CLOSED) return;
    stop_running(link);
    link->state = CLOSED;
    report_all(link, "the connection was closed");
    if (link->taker) link->taker->lost(link->taker->data, "the connection was closed");
    release(link);
}

/* The connection is over, and not by our wish. Nothing touches the link after this. */
static void drop(postgres_link_t *link, const char *reason) {
    char detail[POSTGRES_DETAIL_MAX];
    if (link->state == CLOSED) return;
    postgres_sentence(detail, sizeof detail, reason);
    if (link->state == UP) link->options.ground->losses++;
    link->state = CLOSED;
    report_all(link, detail);
    if (link->taker) link->taker->lost(link->taker->data, detail);
    link->options.events->down(link->options.data, link, detail);
    release(link);
}

static const char *fault_of(const postgres_link_t *link) {
    const char *sentence = PQerrorMessage(link->pipe.conn);
    return sentence[0] ? sentence : "the connection broke";
}

static void on_poll(uv_poll_t *poll, int status, int events);

static void want(postgres_link_t *link, int interest) {
    if (link->interest == interest) return;
    link->interest = interest;
    if (interest)
        uv_poll_start(&link->poll, interest, on_poll);
    else
        uv_poll_stop(&link->poll);
}

/* Answers: one step after the other, one place after the other. */

static void check_free(postgres_link_t *link) {
    const postgres_link_events_t *events = link->options.events;
    bool tell = postgres_link_can_send(link) && events->free;
    if (tell) events->free(link->options.data, link);
}

/* A place that is first and forgotten is cancelled when it is late, and given twice its time before the connection is
   given up, at least once its time since the place before it was answered, and a second since the cancel: a server that
   has stood still and works off its queue is not late. */
static uint64_t cancel_at(const postgres_link_t *link, const place_t *first) {
    uint64_t least = link->head_ms + (first->late_ms < link->head_ms ? GRACE_MS : 0);
    return first->late_ms > least ? first->late_ms : least;
}

static uint64_t give_up_at(const postgres_link_t *link, const place_t *first) {
    uint64_t at = first->sent_ms + 2 * first->span_ms;
    uint64_t least = link->head_ms + first->span_ms, heed = link->cancelled_ms + HEED_MS;
    if (at < least) at = least;
    return at < heed ? heed : at;
}

static void watch_head(postgres_link_t *link) {
    deadline_clear(&link->watch);
    if (link->head == link->tail || link->state != UP) return;
    const place_t *first = place_at(link, link->head);
    if (first->query) return;
    bool asked = link->target == link->head || link->job; /* one cancel at a time */
    uint64_t at = asked ? give_up_at(link, first) : cancel_at(link, first);
    deadline_set(link->options.ground->loop, &link->watch, at);
}

static void on_cancel_done(void *data) {
    postgres_link_t *link = data;
    link->job = NULL;
    if (link->choked) postgres_link_pause(link, false);
    link->choked = false;
    watch_head(link);
    check_free(link);
}

void postgres_link_stop(postgres_link_t *link) {
    if (link->head == link->tail || link->target == link->head || link->job) return;
    link->job =
        postgres_cancel_send(&link->options.ground->cancels, link->pipe.conn, on_cancel_done, link);
    link->target = link->head;
    link->cancelled_ms = now_of(link);
}

/* The server stopped it because of a cancel that came late for another, and has undone it. */
static bool is_stray(const postgres_link_t *link, const postgres_fault_t *fault) {
    return strcmp(fault->sqlstate, "57014") == 0 && link->cancelled_ms && !link->options.owned &&
           link->target != link->head && now_of(link) - link->cancelled_ms < STRAY_MS;
}

static int judge(
    postgres_link_t *link, const postgres_step_t *step, const postgres_fault_t *fault, bool stale) {
    bool guarded = link->options.guarded;
    if (stale) return POSTGRES_STALE;
    if (is_stray(link, fault)) return POSTGRES_STRAY;
    if (step->kind == STEP_GUARD && strcmp(fault->sqlstate, "22012") == 0) return POSTGRES_BEHIND;
    /* The replica gave up a query because replaying could not wait for it. */
    if (guarded && strcmp(fault->sqlstate, "40001") == 0) return POSTGRES_BEHIND;
    if (!guarded && strcmp(fault->sqlstate, "25006") == 0 && postgres_url_writes(link->options.url))
        return POSTGRES_READ_ONLY;
    return POSTGRES_PASS;
}

static void take_fault(postgres_link_t *link, postgres_step_t *step, const PGresult *result) {
    place_t *place = place_at(link, link->head);
    postgres_query_t *query = place->query;
    postgres_fault_t fault;
    postgres_fault_read(result, &fault);
    bool stale = postgres_pipe_learn(&link->pipe, fault.sqlstate);
    int verdict = judge(link, step, &fault, stale);
    if (verdict == POSTGRES_READ_ONLY) link->leave = true;
    if (!query || link->step_failed) return;
    link->step_failed = true;
    query->err = fault.fatal ? 0 : fault.err; /* see report_all */
    query->verdict = fault.fatal ? POSTGRES_PASS : verdict;
    query->failed = step->index;
    snprintf(query->detail, sizeof query->detail, "%s", fault.detail);
    snprintf(query->sqlstate, sizeof query->sqlstate, "%s", fault.sqlstate);
    memcpy(query->constraint, fault.constraint, sizeof query->constraint);
    memcpy(query->table, fault.table, sizeof query->table);
    memcpy(query->column, fault.column, sizeof query->column);
}

static void set_too_large(const postgres_link_t *link, postgres_query_t *query) {
    const postgres_step_t *step = postgres_pipe_first(&link->pipe);
    query->err = ERR_TOO_LARGE;
    query->failed = step ? step->index : -1;
    snprintf(query->detail, sizeof query->detail,
        "the result takes more than %zu bytes (postgres_result_max_bytes): read it as it comes, "
        "with pg.rows",
        link->options.ground->result_max);
}

/* True: it is within the limit. Otherwise it has happened, but nobody is told what came of it. */
static bool count_result(postgres_link_t *link, place_t *place, const PGresult *result) {
    place->bytes += PQresultMemorySize(result);
    if (place->bytes <= link->options.ground->result_max) return true;
    free_results(place);
    set_too_large(link, place->query);
    return false;
}

/* True: the result is kept. */
static bool keep(postgres_link_t *link, const postgres_step_t *step, PGresult *result) {
    place_t *place = place_at(link, link->head);
    if (!place->query || place->query->err || step->kind != STEP_RUN) return false;
    if (!count_result(link, place, result)) return false;
    if (!place->results) {
        place->results = calloc((size_t)place->query->count, sizeof *place->results);
        place->count = place->query->count;
    }
    if (!place->results) {
        place->query->err =
            ERR_NO_MEMORY; /* it has happened, but nobody can be told what came of it */
        return false;
    }
    PQclear(place->results[step->index]);
    place->results[step->index] = result;
    return true;
}

static void hand_rows(postgres_link_t *link, const PGresult *result) {
    postgres_query_t *query = place_at(link, link->head)->query;
    postgres_intake_clear(&link->intake);
    if (query && query->chunk && PQntuples(result) > 0) query->chunk(query, result);
}

static void take_step(postgres_link_t *link, PGresult *result) {
    postgres_step_t *step = postgres_pipe_first(&link->pipe);
    bool kept = false;
    step->answered = true;
    switch (PQresultStatus(result)) {
    case PGRES_TUPLES_OK:
    case PGRES_COMMAND_OK:
    case PGRES_EMPTY_QUERY:
        postgres_pipe_learn(&link->pipe, NULL);
        kept = keep(link, step, result);
        break;
    case PGRES_SINGLE_TUPLE:
#ifdef LIBPQ_HAS_CHUNK_MODE
    case PGRES_TUPLES_CHUNK:
#endif
        hand_rows(link, result);
        break;
    case PGRES_PIPELINE_ABORTED:
        postgres_pipe_learn(&link->pipe, "");
        break;
    case PGRES_COPY_IN:
    case PGRES_COPY_OUT:
    case PGRES_COPY_BOTH:
        link->broken =
            true; /* refused by name, but a function could do it; a pipeline does not come back from it */
        break;
    default:
        take_fault(link, step, result);
    }
    if (!kept) PQclear(result);
}

/* The rows of the last statement are wanted as they come: libpq is told when its answer is next. */
static void begin_step(postgres_link_t *link) {
    if (link->head == link->tail) return;
    const postgres_query_t *query = place_at(link, link->head)->query;
    const postgres_step_t *step = postgres_pipe_first(&link->pipe);
    bool last = query && query->chunk && step && step->kind == STEP_RUN;
    if (!last || step->index != query->count - 1) return;
#ifdef LIBPQ_HAS_CHUNK_MODE
    PQsetChunkedRowsMode(link->pipe.conn, CHUNK_ROWS);
#else
    PQsetSingleRowMode(link->pipe.conn);
#endif
}

static void conclude(postgres_link_t *link, postgres_query_t *query, place_t *place) {
    query->link = NULL;
    if (!query->err && link->step_failed)
        query->err = ERR_CLOSED; /* a fatal error, and yet an end */
    if (!query->err && link->unreplicated) {
        query->err = ERR_CLOSED;
        snprintf(query->detail, sizeof query->detail, "committed, and perhaps not replicated");
    }
    if (query->err) return;
    query->results = query->slots = place->results;
    query->nresults = place->results ? place->count : 0;
}

/* The sync has come. Whoever gets the result may send more, or close the link. */
static void end_place(postgres_link_t *link) {
    place_t place = *place_at(link, link->head++);
    postgres_query_t *query = place.query;
    bool cancelling = link->target != NO_PLACE;
    link->head_ms = now_of(link);
    postgres_intake_clear(&link->intake);
    if (query) conclude(link, query, &place);
    link->step_failed = link->unreplicated = false;
    if (link->target < link->head) link->target = NO_PLACE;
    if (query) query->settle(query);
    free_results(&place);
    if (link->state == CLOSED) return;
    if (link->leave) {
        drop(link, "the server takes no writes any more");
        return;
    }
    begin_step(link);
    if ((cancelling && link->target == NO_PLACE) || link->head == link->tail) check_free(link);
}

/* NULL from libpq ends a step; a sync is one result without an end. */
static void take(postgres_link_t *link, PGresult *result) {
    const postgres_step_t *step = postgres_pipe_first(&link->pipe);
    if (result && PQresultStatus(result) == PGRES_PIPELINE_SYNC) {
        PQclear(result);
        link->broken |= !step || step->kind != STEP_SYNC;
        postgres_pipe_pop(&link->pipe);
        end_place(link);
    } else if (!step || step->kind == STEP_SYNC || (!result && !step->answered)) {
        PQclear(result);
        link->broken = true;
    } else if (result) {
        take_step(link, result);
    } else {
        postgres_pipe_pop(&link->pipe);
        begin_step(link);
    }
}

static bool is_lost(const postgres_link_t *link) {
    return PQstatus(link->pipe.conn) == CONNECTION_BAD;
}

static bool may_take(const postgres_link_t *link) {
    return link->state == UP && !link->paused && !link->broken && link->head < link->tail;
}

/* Once the connection is lost, libpq makes up a last result, which is not the server's. */
static bool is_made_up(const postgres_link_t *link, const PGresult *result) {
    return is_lost(link) && result && PQresultStatus(result) == PGRES_FATAL_ERROR &&
           !PQresultErrorField(result, PG_DIAG_SQLSTATE);
}

static void take_all(postgres_link_t *link) {
    while (may_take(link) && !PQisBusy(link->pipe.conn)) {
        PGresult *result = PQgetResult(link->pipe.conn);
        if (is_made_up(link, result)) {
            PQclear(result);
            link->broken = true;
        } else {
            take(link, result);
        }
    }
}

static void take_notices(postgres_link_t *link) {
    PGnotify *notice;
    while (link->state == UP && (notice = PQnotifies(link->pipe.conn))) {
        const postgres_link_events_t *events = link->options.events;
        if (events->notified) events->notified(link->options.data, link, notice);
        PQfreemem(notice);
        postgres_intake_clear(&link->intake); /* no part of an answer */
    }
}

bool postgres_link_holds_more(const postgres_link_t *link) {
    SSL *session = PQsslStruct(link->pipe.conn, "OpenSSL");
    return session && SSL_pending(session) > 0;
}

/* Nothing more is read before the server has been asked to stop: what it has sent stays in the sockets' buffers. */
static void refuse_answer(postgres_link_t *link, postgres_query_t *query) {
    postgres_link_forget(query, true);
    set_too_large(link, query);
    end_lost(link, query, "");
    link->choked = link->job != NULL;
    if (link->choked) postgres_link_pause(link, true);
}

/* libpq gathers a result before it shows it, and would gather one that does not end. */
static void check_intake(postgres_link_t *link) {
    size_t most = link->options.ground->result_max;
    if (link->state == CLOSED || link->head == link->tail || link->intake.bytes <= most) return;
    postgres_query_t *query = place_at(link, link->head)->query;
    if (query && query->chunk) return;
    if (query) refuse_answer(link, query);
    if (!query) postgres_link_stop(link);
    link->broken |= link->intake.bytes > most + SWALLOWED_MAX;
}

static void read_in(postgres_link_t *link) {
    bool alive;
    do {
        alive = postgres_intake_read(&link->intake, link->pipe.conn);
        take_all(link);
        take_notices(link);
        check_intake(link);
        if (link->state == CLOSED) return;
    } while (alive && !link->paused && postgres_link_holds_more(link));
    if (!alive || link->broken || is_lost(link))
        drop(link, fault_of(link));
    else
        watch_head(link);
}

static void write_out(postgres_link_t *link) {
    int left = PQflush(link->pipe.conn);
    if (left < 0 || is_lost(link) || link->broken) {
        read_in(link); /* answers first: a peer that has gone leaves them behind */
        if (link->state != CLOSED) drop(link, fault_of(link));
        return;
    }
    want(link, (link->paused ? 0 : UV_READABLE) | (left ? UV_WRITABLE : 0));
}

static void set_cork(postgres_link_t *link, int on) {
    link->corked = on;
    setsockopt(PQsocket(link->pipe.conn), IPPROTO_TCP, TCP_CORK, &on, sizeof on);
}

void postgres_link_cork(postgres_link_t *link) {
    set_cork(link, 1);
}

void postgres_link_flush(postgres_link_t *link) {
    if (link->state != UP) return;
    if (link->corked) set_cork(link, 0);
    if (!link->taker) write_out(link);
}

static void on_flush(deferred_t *deferred) {
    postgres_link_t *link = LIST_OWNER(deferred, postgres_link_t, flush);
    bool reads = !link->paused && !(link->interest & UV_READABLE);
    if (link->taker)
        link->taker->turn(link->taker->data);
    else if (reads) /* what libpq holds already makes no descriptor readable */
        read_in(link);
    if (link->state == UP && !link->taker) write_out(link);
}

void postgres_link_flush_later(postgres_link_t *link) {
    if (link->state == UP) loop_defer(link->options.ground->loop, &link->flush);
}

static void on_poll(uv_poll_t *poll, int status, int events) {
    postgres_link_t *link = poll->data;
    if (status < 0) {
        /* libuv has stopped, and knows no more than that there is an error: reading tells. */
        link->interest = 0;
        want(link, UV_READABLE);
        events = UV_READABLE;
    }
    if (link->taker) {
        link->taker->turn(link->taker->data);
        return;
    }
    if (events & UV_READABLE) read_in(link);
    if (link->state != CLOSED && (events & UV_WRITABLE)) write_out(link);
}

/* A cancel that comes while a commit waits for the standby ends the wait, not the commit: the server then says success
   and warns. That success is not one. */
static void on_notice(void *data, const PGresult *notice) {
    postgres_link_t *link = data;
    const char *function = PQresultErrorField(notice, PG_DIAG_SOURCE_FUNCTION);
    if (function && strcmp(function, "SyncRepWaitForLSN") == 0) link->unreplicated = true;
}

static int adopt(postgres_link_t *link, PGconn *conn) {
    int err = postgres_pipe_create(&link->pipe, conn, link->options.url->prepare);
    link->piped = true;
    if (!err) err = uv_poll_init(loop_uv(link->options.ground->loop), &link->poll, PQsocket(conn));
    if (err) return err;
    link->poll.data = link;
    link->polled = true;
    PQsetNoticeReceiver(conn, on_notice, link);
    return 0;
}

static void on_dialled(void *data, PGconn *conn, const char *why) {
    postgres_link_t *link = data;
    link->dial = NULL;
    int err = conn ? adopt(link, conn) : 0;
    if (!conn || err) {
        drop(link, conn ? err_text(err) : why);
        return;
    }
    link->state = UP;
    link->options.ground->connects++;
    want(link, UV_READABLE);
    link->options.events->up(link->options.data, link);
}

/* What has arrived is read first: perhaps it was this process that stood still. */
static void on_watch(deadline_t *deadline) {
    postgres_link_t *link = LIST_OWNER(deadline, postgres_link_t, watch);
    uint64_t head = link->head, now = now_of(link);
    if (!link->taker) read_in(link);
    if (link->state == CLOSED || link->head != head) return;
    const place_t *first = place_at(link, link->head);
    if (first->query) return;
    if (now >= give_up_at(link, first)) {
        drop(link, "no answer in twice the query's time");
        return;
    }
    if (now >= cancel_at(link, first)) postgres_link_stop(link);
    watch_head(link);
}

postgres_link_t *postgres_link_open(const postgres_link_options_t *options) {
    postgres_link_t *link = calloc(1, sizeof *link);
    if (!link) return NULL;
    link->options = *options;
    link->target = NO_PLACE;
    deadline_init(&link->watch, on_watch);
    deferred_init(&link->flush, on_flush);
    link->dial = postgres_dial_new(
        options->ground->loop, options->url, options->connect_ms, on_dialled, link);
    if (link->dial) return link;
    free(link);
    return NULL;
}

static void add_place(postgres_link_t *link, postgres_query_t *query, uint64_t span_ms) {
    uint64_t now = now_of(link);
    if (link->head == link->tail) link->head_ms = now;
    *place_at(link, link->tail++) =
        (place_t){.query = query, .sent_ms = now, .span_ms = span_ms, .late_ms = now + span_ms};
}

/* What is not used any more is closed on the server; on a connection of one's own outside of transactions, as one that
   has failed would refuse. Others may never be idle. */
static void tidy(postgres_link_t *link) {
    int err = 0;
    bool idle = link->head == link->tail && PQtransactionStatus(link->pipe.conn) == PQTRANS_IDLE;
    if (link->options.owned && !idle) return;
    while (make_room(link) && postgres_pipe_write_close(&link->pipe, &err))
        add_place(link, NULL, CLOSE_MS);
    if (err == ERR_UNAVAILABLE) link->broken = true;
}

int postgres_link_send(postgres_link_t *link, postgres_query_t *query) {
    uint64_t now = now_of(link);
    tidy(link);
    if (link->broken) return ERR_UNAVAILABLE;
    if (!make_room(link)) return ERR_NO_MEMORY;
    int err = postgres_pipe_write(&link->pipe, query, link->options.guarded);
    if (err == ERR_UNAVAILABLE) link->broken = true;
    if (err) return err;
    query->link = link;
    query->place = link->tail;
    query->sent = true;
    add_place(link, query, query->until_ms > now ? query->until_ms - now : 1);
    if (link->tail - link->head == 1) begin_step(link);
    return 0;
}

void postgres_link_forget(postgres_query_t *query, bool late) {
    postgres_link_t *link = query->link;
    if (!link) return;
    place_t *place = place_at(link, query->place);
    uint64_t now = now_of(link);
    place->query = NULL;
    free_results(place);
    query->link = NULL;
    if ((late || link->options.owned) && place->late_ms > now) place->late_ms = now;
    if (link->paused) postgres_link_pause(link, false);
    if (query->place == link->head && place->late_ms <= now) postgres_link_stop(link);
    watch_head(link);
}

void postgres_link_abandon(postgres_link_t *link) {
    for (uint64_t i = link->head; i < link->tail; i++) {
        postgres_query_t *query = place_at(link, i)->query;
        if (!query) continue;
        postgres_link_forget(query, true);
        end_lost(link, query, "the connection was given back");
    }
}

bool postgres_link_is_up(const postgres_link_t *link) {
    return link->state == UP;
}

bool postgres_link_can_send(const postgres_link_t *link) {
    return link->state == UP && !link->broken && !link->leave && !link->job && !link->taker &&
           link->target == NO_PLACE;
}

size_t postgres_link_load(const postgres_link_t *link) {
    return (size_t)(link->tail - link->head);
}

PGTransactionStatusType postgres_link_state(const postgres_link_t *link) {
    if (link->state != UP || link->broken) return PQTRANS_UNKNOWN;
    if (link->head < link->tail || link->taker) return PQTRANS_ACTIVE;
    return PQtransactionStatus(link->pipe.conn);
}

void postgres_link_pause(postgres_link_t *link, bool paused) {
    if (link->state != UP || link->paused == paused) return;
    link->paused = paused;
    if (paused)
        want(link, link->interest & ~UV_READABLE);
    else
        postgres_link_flush_later(link);
}

bool postgres_link_is_paused(const postgres_link_t *link) {
    return link->paused;
}

bool postgres_link_is_taken(const postgres_link_t *link) {
    return link->taker != NULL;
}

void postgres_link_forget_prepared(postgres_link_t *link) {
    postgres_statements_clear(&link->pipe.statements);
}

PGconn *postgres_link_take(postgres_link_t *link, const postgres_taker_t *taker) {
    bool idle = postgres_link_can_send(link) && link->head == link->tail;
    if (!idle || PQexitPipelineMode(link->pipe.conn) != 1) return NULL;
    link->taker = taker;
    return link->pipe.conn;
}

bool postgres_link_taken_wait(postgres_link_t *link, bool unsent) {
    if (is_lost(link)) {
        drop(link, fault_of(link));
        return false;
    }
    want(link, (link->paused ? 0 : UV_READABLE) | (unsent ? UV_WRITABLE : 0));
    return true;
}

void postgres_link_fail(postgres_link_t *link, const char *detail) {
    stop_running(link);
    drop(link, detail);
}

void postgres_link_give_back(postgres_link_t *link) {
    link->taker = NULL;
    link->paused = false;
    if (PQenterPipelineMode(link->pipe.conn) != 1) link->broken = true;
    postgres_link_flush_later(link);
}
