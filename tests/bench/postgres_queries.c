/* postgres_queries.c: what one prepared point read costs this side, in processor time: through the driver with so many
   in flight all the time, or with libpq alone, one after another. */
#include "base/loop.h"
#include "postgres/postgres.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define FLIGHT_MAX 1024
#define ROWS 1000
#define SQL "select id, name, price from bench_points where id = $1::bigint"

typedef struct bench bench_t;

typedef struct slot {
    bench_t *bench;
    postgres_query_t query;
    postgres_statement_t statement;
    postgres_param_t param;
    char id[16];
} slot_t;

struct bench {
    loop_t *loop;
    postgres_t *postgres;
    slot_t slots[FLIGHT_MAX];
    long started, done, wanted;
    bool failed;
};

static double now_us(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static void submit(slot_t *slot);

static void on_done(postgres_query_t *query) {
    slot_t *slot = query->data;
    bench_t *bench = slot->bench;
    bench->done++;
    if (query->err || PQntuples(query->results[0]) != 1) {
        fprintf(stderr, "a query failed: %s\n", query->detail);
        bench->failed = true;
    }
    if (bench->started < bench->wanted && !bench->failed) submit(slot);
}

static void submit(slot_t *slot) {
    bench_t *bench = slot->bench;
    snprintf(slot->id, sizeof slot->id, "%ld", bench->started % ROWS + 1);
    slot->param = (postgres_param_t){.value = slot->id};
    slot->statement = (postgres_statement_t){.sql = SQL, .params = &slot->param, .count = 1};
    memset(&slot->query, 0, sizeof slot->query);
    slot->query.statements = &slot->statement;
    slot->query.count = 1;
    slot->query.repeatable = true;
    slot->query.done = on_done;
    slot->query.data = slot;
    bench->started++;
    if (postgres_submit(bench->postgres, &slot->query) == 0) return;
    bench->done++;
    bench->failed = true;
}

/* Runs `wanted` queries, `flight` at a time. False when one failed. */
static bool run_driver(bench_t *bench, long wanted, int flight) {
    bench->started = bench->done = 0;
    bench->wanted = wanted;
    for (int i = 0; i < flight && i < wanted; i++) {
        bench->slots[i].bench = bench;
        submit(&bench->slots[i]);
    }
    while (bench->done < bench->started)
        loop_turn(bench->loop, 1000);
    return !bench->failed;
}

static bool run_plain(PGconn *conn, long wanted) {
    bool fine = true;
    for (long i = 0; i < wanted && fine; i++) {
        char id[16];
        const char *values[] = {id};
        snprintf(id, sizeof id, "%ld", i % ROWS + 1);
        PGresult *result = PQexecPrepared(conn, "point", 1, values, NULL, NULL, 0);
        fine = PQntuples(result) == 1;
        PQclear(result);
    }
    return fine;
}

static void report(double cpu, double wall, long wanted) {
    printf("%.3f %.3f\n", (now_us(CLOCK_PROCESS_CPUTIME_ID) - cpu) / (double)wanted,
        (now_us(CLOCK_MONOTONIC) - wall) / (double)wanted);
}

static bool driver(const char *url, int flight, long wanted) {
    static bench_t bench;
    char why[200];
    bench.loop = loop_new();
    postgres_options_t options = {.url = url, .shared = 1, .query_ms = 30000};
    bench.postgres = postgres_new(bench.loop, &options, why, sizeof why);
    if (!bench.postgres) {
        fprintf(stderr, "%s\n", why);
        return false;
    }
    bool fine = run_driver(&bench, wanted / 10 + 1, flight);
    double cpu = now_us(CLOCK_PROCESS_CPUTIME_ID), wall = now_us(CLOCK_MONOTONIC);
    fine = fine && run_driver(&bench, wanted, flight);
    report(cpu, wall, wanted);
    loop_delete(bench.loop);
    return fine;
}

static bool plain(const char *url, long wanted) {
    PGconn *conn = PQconnectdb(url);
    PQclear(PQprepare(conn, "point", SQL, 1, NULL));
    bool fine = run_plain(conn, wanted / 10 + 1);
    double cpu = now_us(CLOCK_PROCESS_CPUTIME_ID), wall = now_us(CLOCK_MONOTONIC);
    fine = fine && run_plain(conn, wanted);
    report(cpu, wall, wanted);
    if (!fine) fprintf(stderr, "%s\n", PQerrorMessage(conn));
    PQfinish(conn);
    return fine;
}

int main(int argc, char **argv) {
    long wanted = argc > 3 ? atol(argv[3]) : 0;
    int flight = argc > 2 ? atoi(argv[2]) : -1;
    if (wanted < 1 || flight < 0 || flight > FLIGHT_MAX) {
        fprintf(stderr, "bench_postgres URL IN-FLIGHT QUERIES: prints microseconds of processor "
                        "and of the clock per "
                        "query; 0 in flight is libpq alone\n");
        return 2;
    }
    bool fine = flight > 0 ? driver(argv[1], flight, wanted) : plain(argv[1], wanted);
    return fine ? 0 : 1;
}
