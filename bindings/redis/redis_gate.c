/* redis_gate.c: two GETs and one script call for a request, sent together, told together. */
#include "redis/redis_gate.h"
#include <stdio.h>
#include <stdlib.h>
#include "base/arena.h"
#include "base/err.h"
#include "redis/command.h"
#include "redis/script.h"

/* The bucket of base/rate.c, on the server and by the server's clock: the String is the time at which it is full again.
   The answer is cache_gate_t.ahead_us. */
static redis_script_t TAKE = {
    .text = "local time = redis.call('TIME')\n"
            "local now = time[1] * 1000000 + time[2]\n"
            "local interval, capacity = tonumber(ARGV[1]), tonumber(ARGV[2])\n"
            "local stored = tonumber(redis.call('GET', KEYS[1]) or 0) or 0\n"
            "local full = math.max(math.min(stored, now + capacity), now)\n"
            "local allowed = full + interval <= now + capacity\n"
            "if allowed then full = full + interval end\n"
            "if allowed or full < stored then\n"
            "  redis.call('SET', KEYS[1], string.format('%.0f', full), 'PX', math.ceil((full - "
            "now) / 1000))\n"
            "end\n"
            "if allowed then return full - now end\n"
            "return now - full\n"};

#define TAKE_ARGS (REDIS_SCRIPT_ARGS + 2)
#define NUMBER_MOST 20 /* digits */

/* Outlives the gate when that is cancelled. */
typedef struct visit {
    cache_gate_t *gate; /* NULL: nobody waits any more */
    redis_t *redis;
    buf_t words;   /* keys and numbers */
    arena_t arena; /* the texts that were read */
    redis_command_t config, session, take;
    span_t config_argv[2], session_argv[2], take_argv[TAKE_ARGS];
    int pending;
} visit_t;

/* Room for all words at once, so that none of them moves. */
static bool reserve_words(visit_t *visit) {
    const cache_gate_t *gate = visit->gate;
    size_t spaces = sizeof "config:session:ratelimit:::";
    size_t texts = 3 * gate->tenant.len + gate->session.len + gate->bucket.len;
    return buf_reserve(&visit->words, spaces + texts + 2 * NUMBER_MOST) != NULL;
}

static span_t key_of(visit_t *visit, span_t space, span_t rest) {
    buf_t *words = &visit->words;
    size_t start = words->len;
    buf_span(words, space);
    buf_span(words, visit->gate->tenant);
    if (rest.len) buf_char(words, ':');
    buf_span(words, rest);
    return (span_t){words->ptr + start, words->len - start};
}

static span_t number_of(visit_t *visit, uint64_t number) {
    size_t start = visit->words.len;
    buf_u64(&visit->words, number);
    return (span_t){visit->words.ptr + start, visit->words.len - start};
}

static void end(visit_t *visit) {
    buf_destroy(&visit->words);
    arena_destroy(&visit->arena);
    free(visit);
}

/* One of the commands is over. */
static void settle(visit_t *visit) {
    if (--visit->pending > 0) return;
    cache_gate_t *gate = visit->gate;
    if (gate) {
        gate->state = NULL;
        gate->done(gate);
    }
    end(visit);
}

static int err_of(const redis_command_t *command) {
    if (command->err) return command->err;
    return redis_reply_err(command->reply);
}

static void take_text(visit_t *visit, const redis_command_t *command, span_t *text, int *err) {
    const redisReply *reply = command->reply;
    *err = err_of(command);
    if (*err || reply->type == REDIS_REPLY_NIL) return;
    char *copy =
        reply->type == REDIS_REPLY_STRING ? arena_dup(&visit->arena, reply->str, reply->len) : NULL;
    *text = (span_t){copy, copy ? reply->len : 0};
    if (!copy) *err = reply->type == REDIS_REPLY_STRING ? ERR_NO_MEMORY : ERR_INTERNAL;
}

static void on_config(redis_command_t *command) {
    visit_t *visit = command->data;
    cache_gate_t *gate = visit->gate;
    if (gate) take_text(visit, command, &gate->config_text, &gate->config_err);
    settle(visit);
}

static void on_session(redis_command_t *command) {
    visit_t *visit = command->data;
    cache_gate_t *gate = visit->gate;
    if (gate) take_text(visit, command, &gate->session_text, &gate->session_err);
    settle(visit);
}

static void on_take(redis_command_t *command) {
    visit_t *visit = command->data;
    cache_gate_t *gate = visit->gate;
    if (gate && redis_script_again(&TAKE, command)) return;
    if (gate) {
        gate->rate_err = err_of(command);
        if (!gate->rate_err && command->reply->type != REDIS_REPLY_INTEGER)
            gate->rate_err = ERR_INTERNAL;
        if (!gate->rate_err) gate->ahead_us = command->reply->integer;
    }
    settle(visit);
}

static uint64_t deadline_of(const visit_t *visit) {
    uint64_t wait_ms = visit->gate->wait_ms;
    return wait_ms ? loop_now(redis_loop(visit->redis)) + wait_ms : 0;
}

static void prepare(
    visit_t *visit, redis_command_t *command, span_t *argv, void (*done)(redis_command_t *)) {
    argv[0] = SPAN("GET");
    command->argv = argv;
    command->argc = 2;
    command->key = 1;
    command->repeatable = true;
    command->deadline_ms = deadline_of(visit);
    command->done = done;
    command->data = visit;
}

static void prepare_all(visit_t *visit) {
    const cache_gate_t *gate = visit->gate;
    prepare(visit, &visit->config, visit->config_argv, on_config);
    prepare(visit, &visit->session, visit->session_argv, on_session);
    visit->config_argv[1] = key_of(visit, SPAN("config:"), (span_t){NULL, 0});
    visit->session_argv[1] = key_of(visit, SPAN("session:"), gate->session);
    visit->take = (redis_command_t){
        .repeatable = true, .deadline_ms = deadline_of(visit), .done = on_take, .data = visit};
    visit->take_argv[REDIS_SCRIPT_ARGS] = number_of(visit, gate->interval_us);
    visit->take_argv[REDIS_SCRIPT_ARGS + 1] = number_of(visit, gate->capacity_us);
}

static int submit_take(visit_t *visit) {
    span_t key = key_of(visit, SPAN("ratelimit:"), visit->gate->bucket);
    return redis_script_call(visit->redis, &TAKE, &visit->take, visit->take_argv, TAKE_ARGS, key);
}

static void submit_all(visit_t *visit) {
    cache_gate_t *gate = visit->gate;
    if (!gate->alone) {
        gate->config_err = redis_submit(visit->redis, &visit->config);
        visit->pending += gate->config_err == 0;
    }
    if (gate->session.len && !gate->alone) {
        gate->session_err = redis_submit(visit->redis, &visit->session);
        visit->pending += gate->session_err == 0;
    }
    if (gate->bucket.len) {
        gate->rate_err = submit_take(visit);
        visit->pending += gate->rate_err == 0;
    }
}

int redis_gate(void *redis, cache_gate_t *gate) {
    visit_t *visit = calloc(1, sizeof *visit);
    if (!visit) return ERR_NO_MEMORY;
    visit->gate = gate;
    visit->redis = redis;
    arena_create(&visit->arena);
    buf_create(&visit->words);
    int err = reserve_words(visit) ? 0 : ERR_NO_MEMORY;
    if (!err) prepare_all(visit);
    if (!err) submit_all(visit);
    if (!err && visit->pending == 0) err = gate->alone ? gate->rate_err : gate->config_err;
    if (err)
        end(visit);
    else
        gate->state = visit;
    return err;
}

void redis_gate_cancel(cache_gate_t *gate) {
    visit_t *visit = gate->state;
    if (!visit) return;
    gate->state = NULL;
    visit->gate = NULL;
    redis_cancel(&visit->config);
    redis_cancel(&visit->session);
    redis_cancel(&visit->take);
}
