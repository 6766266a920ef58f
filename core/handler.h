/* handler.h: runs the handler of a request's API route. */
#ifndef PERIGEE_HANDLER_H
#define PERIGEE_HANDLER_H
#include "request.h"

/* Starts request->route's function on request->app; the request is answered when it ends. request->task is the task
   while it waits. */
void handler_run(request_t *request);
/* The request whose handler the task is; NULL for any other task, and for NULL. */
request_t *handler_request(const task_t *task);

#endif
