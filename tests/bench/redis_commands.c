/* redis_commands.c: what one command costs this side, in processor time, with so many of them in flight all the time:
   GETs of a small value on one shared connection, through the driver's whole way. */
#include "base/loop.h"
#include "redis/redis.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define FLIGHT_MAX 1024

typedef struct bench {
    loop_t *loop;
    redis_t *redis;
    redis_command_t commands[FLIGHT_MAX];
    long done, wanted, running;
    bool failed;
} bench_t;

static const span_t GET[] = {{"GET", 3}, {"bench:key", 9}};
static const span_t SET[] = {{"SET", 3}, {"bench:key", 9}, {"a value of 20 bytes.", 20}};

static double now_us(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static void submit(bench_t *bench, redis_command_t *command);

static void on_done(redis_command_t *command) {
    bench_t *bench = command->data;
    bench->done++;
    bench->running--;
    if (command->err || command->reply->type == REDIS_REPLY_ERROR) bench->failed = true;
    if (bench->done + bench->running < bench->wanted && !bench->failed) submit(bench, command);
}

static void submit(bench_t *bench, redis_command_t *command) {
    bool set = bench->wanted == 1;
    *command = (redis_command_t){.argv = set ? SET : GET,
        .argc = set ? 3 : 2,
        .key = 1,
        .repeatable = true,
        .done = on_done,
        .data = bench};
    if (redis_submit(bench->redis, command) == 0)
        bench->running++;
    else
        bench->failed = true;
}

/* Runs `wanted` commands, `flight` at a time. False when one failed. */
static bool run(bench_t *bench, long wanted, int flight) {
    bench->done = bench->running = 0;
    bench->wanted = wanted;
    for (int i = 0; i < flight && i < wanted; i++)
        submit(bench, &bench->commands[i]);
    while (bench->running > 0)
        loop_turn(bench->loop, 1000);
    return !bench->failed;
}

int main(int argc, char **argv) {
    static bench_t bench;
    char why[200];
    long wanted = argc > 3 ? atol(argv[3]) : 0;
    int flight = argc > 2 ? atoi(argv[2]) : 0;
    if (wanted < 1 || flight < 1 || flight > FLIGHT_MAX) {
        fprintf(stderr, "bench_redis URL IN-FLIGHT COMMANDS: prints microseconds per command\n");
        return 2;
    }
    bench.loop = loop_new();
    redis_options_t options = {
        .url = argv[1], .shared = 1, .command_ms = 30000, .bound = FLIGHT_MAX};
    bench.redis = redis_new(bench.loop, &options, why, sizeof why);
    if (!bench.redis) {
        fprintf(stderr, "%s\n", why);
        return 1;
    }
    bool fine = run(&bench, 1, 1) && run(&bench, wanted / 10 + 1, flight);
    double cpu = now_us(CLOCK_PROCESS_CPUTIME_ID), wall = now_us(CLOCK_MONOTONIC);
    fine = fine && run(&bench, wanted, flight);
    printf("%.3f %.3f\n", (now_us(CLOCK_PROCESS_CPUTIME_ID) - cpu) / (double)wanted,
        (now_us(CLOCK_MONOTONIC) - wall) / (double)wanted);
    loop_delete(bench.loop);
    return fine ? 0 : 1;
}
