/* greet.c: what is said first on a connection: who we are, which protocol, which database. */
#include "redis/greet.h"
#include <stdio.h>

static const char *const NAMES[] = {
    [GREET_AUTH] = "AUTH",
    [GREET_HELLO] = "HELLO",
    [GREET_NAME] = "CLIENT SETNAME",
    [GREET_SELECT] = "SELECT",
    [GREET_READONLY] = "READONLY",
    [GREET_ROLE] = "ROLE",
};

/* AUTH first: a server that wants a password refuses HELLO without one. */
void redis_greet_begin(redis_greeting_t *greeting, const redis_access_t *access) {
    *greeting = (redis_greeting_t){.protocol = 2};
    if (access->password && access->password[0]) greeting->steps[greeting->count++] = GREET_AUTH;
    if (!access->resp2) greeting->steps[greeting->count++] = GREET_HELLO;
    greeting->steps[greeting->count++] = GREET_NAME;
    if (access->db) greeting->steps[greeting->count++] = GREET_SELECT;
    if (access->readonly) greeting->steps[greeting->count++] = GREET_READONLY;
    if (access->master) greeting->steps[greeting->count++] = GREET_ROLE;
}

static void add(redis_line_t *line, span_t text) {
    line->argv[line->argc++] = text;
}

void redis_greet_line(
    const redis_greeting_t *greeting, const redis_access_t *access, int i, redis_line_t *line) {
    line->argc = 0;
    switch (greeting->steps[i]) {
    case GREET_AUTH:
        add(line, SPAN("AUTH"));
        if (access->user && access->user[0]) add(line, span_of(access->user));
        add(line, span_of(access->password));
        break;
    case GREET_HELLO:
        add(line, SPAN("HELLO"));
        add(line, SPAN("3"));
        break;
    case GREET_NAME:
        add(line, SPAN("CLIENT"));
        add(line, SPAN("SETNAME"));
        add(line, SPAN("perigee"));
        break;
    case GREET_SELECT:
        add(line, SPAN("SELECT"));
        snprintf(line->number, sizeof line->number, "%d", access->db);
        add(line, span_of(line->number));
        break;
    case GREET_READONLY:
        add(line, SPAN("READONLY"));
        break;
    case GREET_ROLE:
        add(line, SPAN("ROLE"));
        break;
    }
}

/* A server before 6 has no HELLO, a Sentinel may have no CLIENT SETNAME, and an ACL may forbid either: the connection
   works without. */
static bool optional(redis_step_t step) {
    return step == GREET_HELLO || step == GREET_NAME;
}

/* ["master", …] or ["slave", …] */
static bool is_master(const redisReply *reply) {
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements == 0) return false;
    const redisReply *role = reply->element[0];
    return role->type == REDIS_REPLY_STRING && strcmp(role->str, "master") == 0;
}

/* What the server says, as far as it may be told: NULL for the code alone, because one that does not know a command
   repeats what it was sent. */
static const char *sentence(redis_step_t step, const char *text) {
    if (step == GREET_SELECT) return text;
    bool open = strstr(text, "without any password") || strstr(text, "no password is set");
    return open ? "it has no password" : NULL;
}

/* The password is in none of it. */
static void explain(redis_step_t step, const redis_access_t *access, const redisReply *reply,
    char *why, size_t size) {
    char of[64] = "";
    bool named = access->user && access->user[0];
    size_t word = strcspn(reply->str, " \r\n");
    if (step == GREET_AUTH) snprintf(of, sizeof of, " as %.20s", named ? access->user : "default");
    if (step == GREET_SELECT) snprintf(of, sizeof of, " %d", access->db);
    if (step == GREET_HELLO) snprintf(of, sizeof of, " without a password");
    const char *said = sentence(step, reply->str);
    int shown = said ? 60 : word < 14 ? (int)word : 14;
    snprintf(why, size, "%s%s was refused: %.*s", NAMES[step], of, shown, said ? said : reply->str);
}

int redis_greet_answer(redis_greeting_t *greeting, const redis_access_t *access,
    const redisReply *reply, char *why, size_t size) {
    redis_step_t step = greeting->steps[greeting->next++];
    bool refused = reply->type == REDIS_REPLY_ERROR;
    if (step == GREET_HELLO && reply->type == REDIS_REPLY_MAP) greeting->protocol = 3;
    bool locked = redis_reply_is(reply, "NOAUTH"); /* nothing will work: say so now */
    if (refused && (locked || !optional(step))) {
        explain(step, access, reply, why, size);
        return -1;
    }
    if (step == GREET_ROLE && !is_master(reply)) {
        snprintf(why, size, "it is not the master");
        return -1;
    }
    return greeting->next == greeting->count;
}
