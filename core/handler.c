/* handler.c: a route of the platform's scripts as a task, and what it came to as an answer. */
#include "handler.h"
#include "base/err.h"
#include "reply.h"
#include "req.h"

/* problem.raise: an error whose value is an answer. */
static void on_error(request_t *request, lua_State *L, int nresults, const char *error) {
    if (nresults && reply_raised(request, L, lua_gettop(L))) return;
    reply_failure(request, ERR_INTERNAL, error);
}

static void on_done(task_t *task, task_end_t end, lua_State *L, int nresults, const char *error) {
    request_t *request = task_user(task);
    request->task = NULL;
    request->waited_ns = task_waited_ns(task, "");
    if (end == TASK_CANCELLED) return; /* the exchange is going */
    if (end == TASK_OK)
        reply_value(request, L, nresults ? lua_gettop(L) - nresults + 1 : 0);
    else if (end == TASK_ERROR)
        on_error(request, L, nresults, error);
    else if (end == TASK_TIMEOUT)
        reply_problem(request, ERR_TIMEOUT, NULL);
    else
        reply_failure(request, ERR_NO_MEMORY, error);
}

static int push_handler(lua_State *L, void *data) {
    request_t *request = data;
    lua_rawgeti(L, LUA_REGISTRYINDEX, request->route->handler);
    req_push(L, request);
    return 1;
}

/* By its address a task is known for a handler's. */
static const task_ops_t HANDLER = {.done = on_done};

request_t *handler_request(const task_t *task) {
    return task && task_get_ops(task) == &HANDLER ? task_user(task) : NULL;
}

void handler_run(request_t *request) {
    task_options_t options = {.vm = request->app->vm,
        .ops = &HANDLER,
        .user = request,
        .deadline_ms = request->deadline_ms,
        .request_id = request->id};
    bool alive;
    task_t *task = task_start(&options, push_handler, request, &alive);
    if (alive)
        request->task = task;
    else if (!task)
        reply_problem(request, ERR_NO_MEMORY, NULL);
}
