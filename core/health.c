/* health.c: alive, and ready for requests. */
#include "health.h"

static void say(exchange_t *exchange, int status, span_t body, span_t headers) {
    answer_t answer = {
        .status = status, .type = SPAN("application/json"), .headers = headers, .body = body};
    exchange_answer(exchange, &answer);
}

bool health_answer(exchange_t *exchange, bool ready) {
    bool alive = span_eq(exchange->path, SPAN("/healthz"));
    if (!alive && !span_eq(exchange->path, SPAN("/readyz"))) return false;
    if (exchange->method != METHOD_GET && exchange->method != METHOD_HEAD)
        say(exchange, 405, (span_t){NULL, 0}, SPAN("Allow: GET, HEAD\r\n"));
    else if (alive)
        say(exchange, 200, SPAN("{\"status\":\"alive\"}"), (span_t){NULL, 0});
    else if (ready)
        say(exchange, 200,
            SPAN("{\"status\":\"ready\",\"roles\":{\"documents\":{\"engine\":\"embedded\"},"
                 "\"cache\":{\"engine\":\"embedded\"},\"search\":{\"engine\":\"embedded\"}}}"),
            (span_t){NULL, 0});
    else
        say(exchange, 503, SPAN("{\"status\":\"starting or draining\"}"),
            SPAN("Retry-After: 1\r\n"));
    return true;
}
