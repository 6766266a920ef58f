/* err.h: the one enumeration of errors: a name, an HTTP status and a sentence each. */
#ifndef PERIGEE_BASE_ERR_H
#define PERIGEE_BASE_ERR_H
#include <stddef.h>

/* X(NAME, name, status, sentence). Lua and JSON see the lower-case name. */
#define ERR_LIST(X)                                                                                \
    X(INVALID, invalid, 400, "the input is not valid")                                             \
    X(BAD_JSON, bad_json, 400, "the body is not valid JSON")                                       \
    X(UNAUTHORIZED, unauthorized, 401, "a valid key is required")                                  \
    X(DENIED, denied, 403, "the key does not allow this")                                          \
    X(NOT_FOUND, not_found, 404, "there is no such resource")                                      \
    X(METHOD_NOT_ALLOWED, method_not_allowed, 405, "the resource does not have this method")       \
    X(REQUEST_TIMEOUT, request_timeout, 408, "the request did not arrive in time")                 \
    X(CONFLICT, conflict, 409, "the resource exists already or has changed")                       \
    X(PRECONDITION_FAILED, precondition_failed, 412, "the resource has changed since it was read") \
    X(TOO_LARGE, too_large, 413, "the input is too large")                                         \
    X(URI_TOO_LONG, uri_too_long, 414, "the request target is too long")                           \
    X(UNSUPPORTED_TYPE, unsupported_type, 415, "the media type is not supported")                  \
    X(EXPECTATION_FAILED, expectation_failed, 417, "the expectation cannot be met")                \
    X(UNPROCESSABLE, unprocessable, 422, "the input breaks a rule")                                \
    X(TOO_MANY_REQUESTS, too_many_requests, 429, "too many requests")                              \
    X(HEADERS_TOO_LARGE, headers_too_large, 431, "the headers are too large")                      \
    X(CANCELLED, cancelled, 499, "the client left")                                                \
    X(INTERNAL, internal, 500, "an internal error")                                                \
    X(NO_MEMORY, no_memory, 500, "out of memory")                                                  \
    X(NOT_IMPLEMENTED, not_implemented, 501, "not implemented")                                    \
    X(BAD_VERSION, bad_version, 505, "the HTTP version is not supported")                          \
    X(UNAVAILABLE, unavailable, 503, "a service behind the server is not available")               \
    X(BUSY, busy, 503, "too much is waiting already")                                              \
    X(TIMEOUT, timeout, 503, "the operation did not finish in time")                               \
    X(CLOSED, closed, 503, "the other side closed the connection")                                 \
    X(RANGE, range, 422, "the number is out of range")                                             \
    X(PRECISION, precision, 422, "the amount has more digits than the currency")                   \
    X(SYNTAX, syntax, 422, "the script does not parse")                                            \
    X(RULE_ERROR, rule_error, 422, "the script raised an error")                                   \
    X(BAD_RESULT, bad_result, 422, "the script returned a value that the contract does not allow") \
    X(FORBIDDEN, forbidden, 422, "the script used something that tenants do not have")             \
    X(BUDGET_TIME, budget_time, 422, "the script ran for too long")                                \
    X(BUDGET_INSTRUCTIONS, budget_instructions, 422, "the script ran too many instructions")       \
    X(BUDGET_MEMORY, budget_memory, 422, "the script used too much memory")                        \
    X(BUDGET_DEPTH, budget_depth, 422, "the script's calls nest too deep")                         \
    X(BUDGET_CALLS, budget_calls, 422, "the script made too many calls to the shop")

typedef enum {
    ERR_OK = 0,
#define X(NAME, name, status, sentence) ERR_##NAME,
    ERR_LIST(X)
#undef X
        ERR_COUNT
} err_t;

/* The functions below take an err_t or a negative libuv code. A libuv code answers with its lower-case uv name
   ("econnrefused"), status 503 and libuv's own sentence. The strings are static. */
const char *err_name(int err);
const char *err_text(int err);
int err_status(int err);
/* The error of a lower-case name, or ERR_INTERNAL when there is none of that name. */
int err_find(const char *name);
/* Fills why with a sentence and returns err. */
int err_why(int err, char *why, size_t size, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#endif
