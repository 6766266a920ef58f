/* db.c: queues operations to the threads of one file and lets waiting transactions share one commit. */
#include "sqlite/db.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include "sqlite/connection.h"

#define GROUP_MOST 64 /* transactions that share one commit */

/* WAITING: in the queue. TAKEN: a thread works on it. OVER: job holds the result. DROPPED: cancelled before it was
   taken. Guarded by the db's lock. */
enum { OP_WAITING, OP_TAKEN, OP_OVER, OP_DROPPED };

struct db {
    char *path;
    char read_name[16], write_name[16];
    threads_t *readers, *writer;
    connection_options_t read_options, write_options;
    pthread_mutex_t lock;
    list_t writes; /* waiting DB_WRITE and DB_PEEK operations, in the order of the writer's queue */
    bool closing;
};

static void *enter(void *options) {
    return connection_new(options);
}
static void leave(void *connection) {
    if (connection) connection_delete(connection);
}

static bool start(db_t *db, const db_options_t *options) {
    threads_options_t threads = {.loop = options->loop,
        .count = options->readers,
        .bound = options->bound,
        .name = db->read_name,
        .enter = enter,
        .leave = leave,
        .data = &db->read_options};
    db->read_options = (connection_options_t){
        .path = db->path, .durable = options->durable, .busy_ms = options->busy_ms};
    db->write_options = db->read_options;
    db->write_options.writer = true;
    db->readers = threads_new(&threads);
    if (!db->readers) return false;
    threads.count = 1;
    threads.name = db->write_name;
    threads.data = &db->write_options;
    db->writer = threads_new(&threads);
    return db->writer != NULL;
}

db_t *db_new(const db_options_t *options) {
    db_t *db = calloc(1, sizeof *db);
    if (!db) return NULL;
    pthread_mutex_init(&db->lock, NULL);
    list_init(&db->writes);
    snprintf(db->read_name, sizeof db->read_name, "%.12s-r", options->name);
    snprintf(db->write_name, sizeof db->write_name, "%.12s-w", options->name);
    db->path = strdup(options->path);
    if (db->path && start(db, options)) return db;
    db_delete(db);
    return NULL;
}

void db_delete(db_t *db) {
    db->closing = true;
    if (db->readers) threads_delete(db->readers);
    if (db->writer) threads_delete(db->writer);
    pthread_mutex_destroy(&db->lock);
    free(db->path);
    free(db);
}

static db_op_t *op_of(work_t *work) {
    return LIST_OWNER(work, db_op_t, work);
}

static void finish(db_op_t *op) {
    pthread_mutex_lock(&op->db->lock);
    op->state = OP_OVER;
    pthread_mutex_unlock(&op->db->lock);
}

/* Takes the operation unless another has: dropped by a cancel, or run in an earlier group. */
static bool take(db_op_t *op) {
    pthread_mutex_lock(&op->db->lock);
    bool mine = op->state == OP_WAITING;
    if (mine) op->state = OP_TAKEN;
    list_remove(&op->node);
    pthread_mutex_unlock(&op->db->lock);
    return mine;
}

static void run_read(work_t *work, void *connection) {
    db_op_t *op = op_of(work);
    if (!take(op)) return;
    if (connection)
        connection_read(connection, &op->job);
    else
        job_fail(&op->job, ERR_NO_MEMORY, "%s", err_text(ERR_NO_MEMORY));
    finish(op);
}

/* Adds the transactions that wait behind the leader, in order, up to one that is not a transaction. */
static size_t gather(db_t *db, db_op_t **group) {
    size_t count = 1;
    pthread_mutex_lock(&db->lock);
    while (count < GROUP_MOST && !list_empty(&db->writes)) {
        db_op_t *next = LIST_OWNER(db->writes.next, db_op_t, node);
        if (next->kind != DB_WRITE) break;
        list_remove(&next->node);
        next->state = OP_TAKEN;
        group[count++] = next;
    }
    pthread_mutex_unlock(&db->lock);
    return count;
}

/* Behind a begin that succeeded. */
static void complete(connection_t *connection, job_t *job) {
    connection_apply(connection, job, false);
    if (!job->err && connection_lost(connection))
        job_fail(job, ERR_INTERNAL, "a statement ended the transaction");
    if (job->err)
        connection_rollback(connection);
    else
        connection_commit(connection, job);
}

static void run_alone(connection_t *connection, job_t *job) {
    job_clear(job);
    connection_begin(connection, job);
    if (!job->err) complete(connection, job);
}

/* Each inside its own savepoint, all under one commit. How many were applied before the transaction was lost, which is
   all of them when it was not. */
static size_t apply_all(connection_t *connection, db_op_t **group, size_t count) {
    for (size_t i = 0; i < count; i++) {
        connection_apply(connection, &group[i]->job, true);
        if (connection_lost(connection)) return i;
    }
    return count;
}

static void commit_all(connection_t *connection, db_op_t **group, size_t count) {
    job_t outcome = {0};
    connection_commit(connection, &outcome);
    for (size_t i = 0; outcome.err && i < count; i++)
        job_fail(&group[i]->job, outcome.err, "%s", outcome.detail);
}

/* A failure that undid everything must not take the innocent along: they run again, each on its own. */
static void run_again(connection_t *connection, db_op_t **group, size_t count, size_t culprit) {
    if (!group[culprit]->job.err)
        job_fail(&group[culprit]->job, ERR_INTERNAL, "a statement ended the transaction");
    for (size_t i = 0; i < count; i++)
        if (i > culprit || (i < culprit && !group[i]->job.err))
            run_alone(connection, &group[i]->job);
}

static void run_group(connection_t *connection, db_op_t **group, size_t count) {
    size_t applied = apply_all(connection, group, count);
    if (applied == count)
        commit_all(connection, group, count);
    else
        run_again(connection, group, count, applied);
}

/* The leader begins, and only then looks who else waits: the more come while another process writes, the fewer
   commits. */
static size_t run_leader(connection_t *connection, db_op_t **group) {
    job_t *job = &group[0]->job;
    job_clear(job);
    connection_begin(connection, job);
    if (job->err) return 1;
    size_t count = gather(group[0]->db, group);
    if (count == 1)
        complete(connection, job);
    else
        run_group(connection, group, count);
    return count;
}

static void run_write(work_t *work, void *connection) {
    db_op_t *group[GROUP_MOST] = {op_of(work)};
    size_t count = 1;
    if (!take(group[0])) return;
    if (!connection)
        job_fail(&group[0]->job, ERR_NO_MEMORY, "%s", err_text(ERR_NO_MEMORY));
    else if (group[0]->kind == DB_PEEK)
        connection_read(connection, &group[0]->job);
    else
        count = run_leader(connection, group);
    for (size_t i = 0; i < count; i++)
        finish(group[i]);
}

/* Also called for works that the pool skipped: a member of an earlier group is over although its own turn never
   came. */
static void on_done(work_t *work) {
    db_op_t *op = op_of(work);
    pthread_mutex_lock(&op->db->lock);
    int state = op->state;
    list_remove(&op->node);
    pthread_mutex_unlock(&op->db->lock);
    if (state != OP_OVER) {
        int err = state == OP_DROPPED ? ERR_CANCELLED : ERR_CLOSED;
        job_clear(&op->job);
        job_fail(&op->job, err, "%s", err_text(err));
    }
    op->done(op);
}

int db_submit(db_t *db, db_op_t *op) {
    threads_t *threads = op->kind == DB_READ ? db->readers : db->writer;
    if (db->closing) return ERR_CLOSED;
    op->db = db;
    op->state = OP_WAITING;
    list_init(&op->node);
    op->work.run = op->kind == DB_READ ? run_read : run_write;
    op->work.done = on_done;
    /* Under the lock, so that the list has the order of the queue; a thread that is quicker waits in take. */
    pthread_mutex_lock(&db->lock);
    int err = threads_submit(threads, &op->work);
    if (!err && op->kind != DB_READ) list_push(&db->writes, &op->node);
    pthread_mutex_unlock(&db->lock);
    return err;
}

void db_cancel(db_op_t *op) {
    db_t *db = op->db;
    atomic_store_explicit(&op->job.cancelled, true, memory_order_relaxed);
    pthread_mutex_lock(&db->lock);
    bool waits = op->state == OP_WAITING;
    if (waits) op->state = OP_DROPPED;
    list_remove(&op->node);
    pthread_mutex_unlock(&db->lock);
    if (waits) threads_drop(op->kind == DB_READ ? db->readers : db->writer, &op->work);
}
