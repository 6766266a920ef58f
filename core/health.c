/* health.c: alive, and ready for requests. */
#include "health.h"
#include <stdio.h>

static void say(exchange_t *exchange, int status, span_t body, span_t headers) {
    answer_t answer = {
        .status = status, .type = SPAN("application/json"), .headers = headers, .body = body};
    exchange_answer(exchange, &answer);
}

/* A server that is away does not make the worker unready: it serves what needs none, and a proxy that took it out would
   take all of them out. */
static void say_roles(exchange_t *exchange, const services_t *services) {
    role_state_t roles[SERVICES_ROLES];
    char text[320];
    int size = snprintf(text, sizeof text, "{\"status\":\"ready\",\"roles\":");
    services_roles(services, roles);
    for (int i = 0; i < SERVICES_ROLES; i++)
        size += snprintf(text + size, sizeof text - (size_t)size,
            "%c\"%s\":{\"engine\":\"%s\",\"up\":%s}", i ? ',' : '{', roles[i].role, roles[i].engine,
            roles[i].up ? "true" : "false");
    size += snprintf(text + size, sizeof text - (size_t)size, "}}");
    say(exchange, 200, (span_t){text, (size_t)size}, (span_t){NULL, 0});
}

bool health_answer(exchange_t *exchange, const services_t *services, bool ready) {
    bool alive = span_eq(exchange->path, SPAN("/healthz"));
    if (!alive && !span_eq(exchange->path, SPAN("/readyz"))) return false;
    if (exchange->method != METHOD_GET && exchange->method != METHOD_HEAD)
        say(exchange, 405, (span_t){NULL, 0}, SPAN("Allow: GET, HEAD\r\n"));
    else if (alive)
        say(exchange, 200, SPAN("{\"status\":\"alive\"}"), (span_t){NULL, 0});
    else if (ready)
        say_roles(exchange, services);
    else
        say(exchange, 503, SPAN("{\"status\":\"starting or draining\"}"),
            SPAN("Retry-After: 1\r\n"));
    return true;
}
