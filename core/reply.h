/* reply.h: what a handler returned, and what went wrong, as an answer. */
#ifndef PERIGEE_REPLY_H
#define PERIGEE_REPLY_H
#include "request.h"

/* Answers with the value at the index of L, a task's coroutine: nil (or index 0) is 204; text is 200 text/plain; a
   table is 200 JSON, or an answer when it has __answer. Anything else, or what cannot be encoded, is a 500 with a
   line in the log. Runs no script code: all access is raw. */
void reply_value(request_t *request, lua_State *L, int index);
/* The same for an error value that a script raised: false, and nothing is answered, when it is no table with
   __answer. */
bool reply_raised(request_t *request, lua_State *L, int index);
/* Answers application/problem+json for an error; detail may be NULL. */
void reply_problem(request_t *request, int err, const char *detail);
/* The same with ready header lines ("Allow: GET\r\n"). */
void reply_problem_with(request_t *request, int err, const char *detail, span_t headers);
/* Logs what a handler did wrong, which the client is not told, and answers the error. */
void reply_failure(request_t *request, int err, const char *what);
/* Pushes an answer table with a problem, as scripts/lib/problem.lua makes it. May raise. */
void reply_push_problem(lua_State *L, request_t *request, int err, const char *detail);
/* Writes the problem's JSON. id may be "". */
void reply_write_problem(buf_t *out, int err, const char *detail, const char *id);

/* The header lines of every answer to this request. */
void reply_put_common(const request_t *request, buf_t *headers);

#endif
