/* pipe.h: queries written to a connection as commands of libpq's pipeline, and the commands whose answers are to
   come. */
#ifndef PERIGEE_POSTGRES_PIPE_H
#define PERIGEE_POSTGRES_PIPE_H
#include "postgres/prepared.h"

typedef enum {
    STEP_FENCE,   /* sets the tenant */
    STEP_GUARD,   /* fails on a replica that is too far behind */
    STEP_PREPARE, /* prepares what the next step runs */
    STEP_RUN,     /* a statement of the query */
    STEP_CLOSE,   /* closes a prepared statement that is not used any more */
    STEP_SYNC
} postgres_step_kind_t;

typedef struct postgres_step {
    postgres_step_kind_t kind;
    bool answered;
    int index;       /* of the statement; -1: none */
    uint64_t number; /* of the prepared statement; 0: none */
} postgres_step_t;

typedef struct postgres_pipe {
    PGconn *conn;
    bool prepare;
    postgres_statements_t statements;
    /* A ring: steps head … tail - 1, modulo the capacity, which is a power of two. */
    postgres_step_t *steps;
    uint64_t head, tail;
    size_t capacity;
    /* For one statement's parameters, as libpq wants them. */
    Oid *types;
    const char **values;
    int *lengths, *formats;
    int room;
} postgres_pipe_t;

/* The connection is open; it becomes a pipeline that does not block. ERR_UNAVAILABLE. */
int postgres_pipe_create(postgres_pipe_t *pipe, PGconn *conn, bool prepare);
/* Ends the connection too. */
void postgres_pipe_destroy(postgres_pipe_t *pipe);
/* Writes the query into libpq's buffer, with the fence and, if guarded, the question whether the replica is far enough.
   ERR_NO_MEMORY: nothing was written. ERR_UNAVAILABLE: the connection is of no use any more; without its sync the
   server has done nothing. */
int postgres_pipe_write(postgres_pipe_t *pipe, const postgres_query_t *query, bool guarded);
/* As postgres_pipe_write, to close one of the statements that are not used any more; false: there is none. */
bool postgres_pipe_write_close(postgres_pipe_t *pipe, int *err);
/* NULL: no answer is to come. */
postgres_step_t *postgres_pipe_first(const postgres_pipe_t *pipe);
void postgres_pipe_pop(postgres_pipe_t *pipe);
/* What the answer to the first step means for what is prepared. sqlstate: NULL on success, empty when the step was
   skipped. True: the statement was not known as expected, and the query may simply be sent again. */
bool postgres_pipe_learn(postgres_pipe_t *pipe, const char *sqlstate);

#endif
