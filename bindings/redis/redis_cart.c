/* redis_cart.c: HGETALL for a cart, and one script call that checks its version, writes its fields and its TTL. */
#include "redis/redis_cart.h"
#include <stdio.h>
#include <stdlib.h>
#include "base/arena.h"
#include "base/err.h"
#include "redis/router.h"
#include "redis/script.h"

/* A new cart's version is the clock in microseconds: a cart that was deleted and made anew must not meet a version that
   somebody still holds. The version is written first: a server without memory refuses what grows, but after an HDEL it
   would refuse nothing more. */
static redis_script_t SAVE = {
    .text = "local version = redis.call('HGET', KEYS[1], 'version')\n"
            "if ARGV[1] == '0' then\n"
            "  if version then return false end\n"
            "  local time = redis.call('TIME')\n"
            "  version = time[1] * 1000000 + time[2]\n"
            "elseif version ~= ARGV[1] then\n"
            "  return false\n"
            "else\n"
            "  version = version + 1\n"
            "end\n"
            "redis.call('HSET', KEYS[1], 'version', string.format('%.0f', version))\n"
            "local unset = tonumber(ARGV[3])\n"
            "for i = 4, 3 + unset do redis.call('HDEL', KEYS[1], ARGV[i]) end\n"
            "for i = 4 + unset, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end\n"
            "redis.call('PEXPIRE', KEYS[1], ARGV[2])\n"
            "return version\n"};

/* Either of the two; outlives it when that is cancelled. */
typedef struct visit {
    redis_command_t command;
    cache_cart_load_t *load;
    cache_cart_save_t *save;
    arena_t arena;
    span_t *argv;
} visit_t;

static span_t keep(visit_t *visit, span_t text) {
    char *copy = arena_dup(&visit->arena, text.len ? text.ptr : "", text.len);
    return (span_t){copy, text.len};
}

static span_t number(visit_t *visit, uint64_t value) {
    char *text = arena_printf(&visit->arena, "%llu", (unsigned long long)value);
    return (span_t){text, text ? strlen(text) : 0};
}

static span_t key_of(visit_t *visit, span_t tenant, span_t session) {
    char *text = arena_alloc(&visit->arena, 6 + tenant.len + session.len);
    if (!text) return (span_t){NULL, 0};
    memcpy(text, "cart:", 5);
    memcpy(text + 5, tenant.ptr, tenant.len);
    text[5 + tenant.len] = ':';
    memcpy(text + 6 + tenant.len, session.ptr, session.len);
    return (span_t){text, 6 + tenant.len + session.len};
}

static visit_t *visit_new(size_t args) {
    visit_t *visit = calloc(1, sizeof *visit);
    if (!visit) return NULL;
    arena_create(&visit->arena);
    visit->argv = arena_zalloc(&visit->arena, args * sizeof(span_t));
    if (visit->argv) return visit;
    free(visit);
    return NULL;
}

static void visit_delete(visit_t *visit) {
    arena_destroy(&visit->arena);
    free(visit);
}

/* The command's failure or the server's error. */
static int err_of(const redis_command_t *command, char detail[120]) {
    const redisReply *reply = command->reply;
    int err = command->err ? command->err : redis_reply_err(reply);
    const char *text = command->err ? command->detail : err ? reply->str : "";
    snprintf(detail, 120, "%s", err && !*text ? err_text(err) : text);
    return err;
}

static span_t text_of(const redisReply *reply) {
    return (span_t){reply->str, reply->len};
}

/* Fields in the reply itself, which lives until done returns; the version is none of them. */
static int read_fields(visit_t *visit, const redisReply *reply) {
    cache_cart_load_t *load = visit->load;
    cache_field_t *fields =
        arena_alloc(&visit->arena, (reply->elements / 2 + 1) * sizeof(cache_field_t));
    if (!fields) return ERR_NO_MEMORY;
    load->fields = fields;
    for (size_t i = 0; i + 1 < reply->elements; i += 2) {
        span_t name = text_of(reply->element[i]), text = text_of(reply->element[i + 1]);
        if (!span_eq(name, SPAN("version")))
            fields[load->count++] = (cache_field_t){name, text};
        else if (span_to_i64(text, &load->version) != 0)
            load->version = 0;
    }
    return 0;
}

static void on_loaded(redis_command_t *command) {
    visit_t *visit = command->data;
    cache_cart_load_t *load = visit->load;
    if (load) {
        load->state = NULL;
        load->err = err_of(command, load->detail);
        if (!load->err) load->err = read_fields(visit, command->reply);
        load->done(load);
    }
    visit_delete(visit);
}

static uint64_t deadline_of(const redis_t *redis, uint64_t wait_ms) {
    return wait_ms ? loop_now(redis_loop(redis)) + wait_ms : 0;
}

int redis_cart_load(void *redis, cache_cart_load_t *load) {
    visit_t *visit = visit_new(2);
    if (!visit) return ERR_NO_MEMORY;
    visit->argv[0] = SPAN("HGETALL");
    visit->argv[1] = key_of(visit, load->tenant, load->session);
    visit->load = load;
    visit->command = (redis_command_t){.argv = visit->argv,
        .argc = 2,
        .key = 1,
        .repeatable = true,
        .deadline_ms = deadline_of(redis, load->wait_ms),
        .done = on_loaded,
        .data = visit};
    int err = visit->argv[1].ptr ? redis_submit(redis, &visit->command) : ERR_NO_MEMORY;
    if (err)
        visit_delete(visit);
    else
        load->state = visit;
    return err;
}

void redis_cart_load_cancel(cache_cart_load_t *load) {
    visit_t *visit = load->state;
    if (!visit) return;
    load->state = NULL;
    visit->load = NULL;
    redis_cancel(&visit->command);
}

static void on_saved(redis_command_t *command) {
    visit_t *visit = command->data;
    cache_cart_save_t *save = visit->save;
    if (save && redis_script_again(&SAVE, command)) return;
    if (save) {
        save->state = NULL;
        save->err = err_of(command, save->detail);
        if (!save->err && command->reply->type == REDIS_REPLY_INTEGER)
            save->saved_as = command->reply->integer;
        else if (!save->err)
            save->err = ERR_PRECONDITION_FAILED;
        save->done(save);
    }
    visit_delete(visit);
}

/* False when out of memory. */
static bool fill_arguments(visit_t *visit, const cache_cart_save_t *save, int argc) {
    span_t *to = visit->argv + REDIS_SCRIPT_ARGS;
    *to++ = number(visit, (uint64_t)save->version);
    *to++ = number(visit, save->ttl_ms);
    *to++ = number(visit, save->nunset);
    for (size_t i = 0; i < save->nunset; i++)
        *to++ = keep(visit, save->unset[i]);
    for (size_t i = 0; i < save->nset; i++) {
        *to++ = keep(visit, save->set[i].name);
        *to++ = keep(visit, save->set[i].text);
    }
    for (int i = REDIS_SCRIPT_ARGS; i < argc; i++)
        if (!visit->argv[i].ptr) return false;
    return true;
}

int redis_cart_save(void *redis, cache_cart_save_t *save) {
    int argc = REDIS_SCRIPT_ARGS + 3 + (int)save->nunset + 2 * (int)save->nset;
    visit_t *visit = visit_new((size_t)argc);
    if (!visit) return ERR_NO_MEMORY;
    span_t key = key_of(visit, save->tenant, save->session);
    visit->save = save;
    visit->command.repeatable = true;
    visit->command.deadline_ms = deadline_of(redis, save->wait_ms);
    visit->command.done = on_saved;
    visit->command.data = visit;
    int err = key.ptr && fill_arguments(visit, save, argc) ? 0 : ERR_NO_MEMORY;
    if (!err) err = redis_script_call(redis, &SAVE, &visit->command, visit->argv, argc, key);
    if (err)
        visit_delete(visit);
    else
        save->state = visit;
    return err;
}

void redis_cart_save_cancel(cache_cart_save_t *save) {
    visit_t *visit = save->state;
    if (!visit) return;
    save->state = NULL;
    visit->save = NULL;
    redis_cancel(&visit->command);
}
